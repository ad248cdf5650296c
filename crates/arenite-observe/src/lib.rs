//! Memory observation: trackers, timelines, process counters and pressure monitors.
//!
//! Events come from `Traced` adaptors; process counters come from the kernel.
//!
//! - [`MemoryTracker`]: current, peak and number of allocations, in total and by label.
//! - [`Timeline`]: memory over time, in bounded memory.
//! - [`Tee`]: one sink that feeds two.
//! - [`ProcessUsage`]: page faults and resident memory.
//! - [`MemoryMonitor`]: the pressure level, its changes, and trimming under pressure.
//! - [`PressureHandler`]: a reaction for each pressure level.

mod pressure;
mod process_usage;
mod tee;
mod timeline;
mod tracker;

pub use pressure::{MemoryMonitor, MonitorError, PressureHandler, PressureReaction, Shrinkable};
pub use process_usage::ProcessUsage;
pub use tee::Tee;
pub use timeline::{Sample, Timeline};
pub use tracker::{LabelUsage, MemoryTracker};
