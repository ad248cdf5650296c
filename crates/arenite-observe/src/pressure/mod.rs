//! Memory pressure: who hears of it, and what is done about it.
//!
//! Rests on the readings of `arenite_pages` and on what every pool can do: say what it holds and give it back. A [`MemoryMonitor`] tells the
//! level and its changes, and shrinks what is registered with it; a [`PressureHandler`] has a reaction for each level and is asked.

mod handler;
mod monitor;
mod shrinkable;

pub use handler::{PressureHandler, PressureReaction};
pub use monitor::{MemoryMonitor, MonitorError};
pub use shrinkable::Shrinkable;
