//! What happened: who holds how much, when, and what it cost the process.
//!
//! Rests on `arenite-core`'s events, which every resource emits behind a `Traced` adaptor, and on `arenite-pages` for the
//! process's own numbers.
//!
//! A [`MemoryTracker`] counts, a [`Timeline`] remembers when, [`Both`] feeds two sinks, [`ProcessUsage`] reads what the
//! kernel counted. A [`MemoryMonitor`] tells how short memory is, and a [`PressureHandler`] does something about it.

mod tee;
mod pressure;
mod process_usage;
mod timeline;
mod tracker;

pub use tee::Both;
pub use pressure::{MemoryMonitor, MonitorError, PressureHandler, PressureReaction, Shrinkable};
pub use process_usage::ProcessUsage;
pub use timeline::{Moment, Timeline};
pub use tracker::{LabelUsage, MemoryTracker};
