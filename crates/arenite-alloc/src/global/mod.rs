//! The program's global allocator, as a resource and from the inside.
//!
//! - `global`: [`Global`], a resource that counts for the whole process.
//! - `stats_allocator`: [`Front`], a `#[global_allocator]` that counts each thread's calls.

#[expect(clippy::module_inception, reason = "a file is named for its main type")]
mod global;
mod stats_allocator;

pub use global::Global;
pub(crate) use global::counted;
pub use stats_allocator::{Front, FrontCounts, Recycling};
