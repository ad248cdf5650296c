//! Doubles: resources that scribble, resources that count, an allocator that counts for one thread.
//!
//! Rests on any [`Resource`](arenite_core::Resource) as upstream. A resource that fails on demand is `Failing` of
//! `arenite-alloc`.

mod counting;
mod scribbling;
mod thread_counter;

pub use counting::Counting;
pub use scribbling::{FREED, FRESH, Scribbling};
pub use thread_counter::{ThreadCounter, allocations_of_this_thread, with_blocks_left};
