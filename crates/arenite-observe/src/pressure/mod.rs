//! Memory pressure: its level, its changes, and the reactions to it.
//!
//! - `shrinkable.rs`: a resource that can be shrunk.
//! - `monitor.rs`: reports the level and its changes, and shrinks registered resources.
//! - `handler.rs`: a reaction for each level, run when the program polls.

mod handler;
mod monitor;
mod shrinkable;

pub use handler::{PressureHandler, PressureReaction};
pub use monitor::{MemoryMonitor, MonitorError};
pub use shrinkable::Shrinkable;
