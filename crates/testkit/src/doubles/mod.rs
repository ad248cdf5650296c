//! Test doubles over any [`Resource`](arenite_core::Resource), and a global allocator for tests.
//!
//! - `scribbling`: overwrites fresh and freed bytes.
//! - `counting`: counts calls and tracks live blocks.
//! - `thread_counter`: a global allocator that counts and limits allocations per thread.
//!
//! The resource that fails on demand is `Failing` in `arenite-alloc`.

mod counting;
mod scribbling;
mod thread_counter;

pub use counting::Counting;
pub use scribbling::{FREED, FRESH, Scribbling};
pub use thread_counter::{ThreadCounter, allocations_of_this_thread, with_blocks_left};
