//! The heap: blocks of any size and life time, from any thread.
//!
//! Rests on `arenite_pages` and on no other allocator. In the order in which a block is found: `classes` says which size it has;
//! [`Heap`] finds the calling thread's `ThreadHeap`; that one takes it from a `Slab` without a lock; `Central` has more slabs,
//! under one lock; a `Header` is an arena of 256 MiB that slabs and spans lie in, those that came back `Lately` first; `Large` is a block with a region of its own;
//! `Recent` holds what a thread gave back last, `Remote` what other threads did, `Away` what it has not told them of, and `Looking` when to look for it; `dry` gives back the OS pages inside free blocks, `decay` does so by itself; `guarded` serves a hardened heap by its `tags`; `windows` knows whether an address has tables before it at all.

mod api;
mod central;
mod classes;
mod geometry;
mod hardened;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
mod heap;
mod owner;
mod remote_free;
mod segment;
mod slab;
mod thread;

pub use central::stats::{ClassStats, HeapStats};
pub use classes::SizeClasses;
pub use hardened::misuse::{Caller, Misuse, MisuseReport};
pub use hardened::options::Hardening;
pub use heap::Heap;
