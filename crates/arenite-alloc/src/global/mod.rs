//! The program's global allocator, as a resource and from the inside.
//!
//! - `counted_global`: [`CountedGlobal`], a resource with counters of its own.
//! - `global`: [`Global`], a resource that counts for the whole process.
//! - `stats_allocator`: [`StatsAllocator`], a `#[global_allocator]` with counters of each thread.

mod counted_global;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
mod global;
mod stats_allocator;

pub use counted_global::CountedGlobal;
pub use global::Global;
pub use stats_allocator::{AllocCounts, RecycleGuard, StatsAllocator};
