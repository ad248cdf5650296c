//! The heap: blocks of any size and lifetime, from any thread.
//!
//! In the order in which a request passes through them:
//!
//! - `heap`: [`Heap`], the allocator; `api/`: its methods beside those of `Resource`
//! - `classes`: size classes; `geometry`: sizes of segments, units and blocks
//! - `thread/`: what one thread uses without a lock: its slabs, the cache of blocks it freed, and
//!   frees that it has not posted yet
//! - `slab/`: equal blocks in a run of units, and their purging
//! - `central/`: what threads share under one lock: segments, abandoned slabs, large blocks
//! - `segment/`: 256 MiB of addresses with the metadata of their units
//! - `owner`: the word that says which thread heap owns a unit
//! - `remote_free`: blocks that other threads freed, one bit each
//! - `hardened/`: a heap that detects misuse

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
