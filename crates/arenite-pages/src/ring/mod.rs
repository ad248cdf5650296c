//! Rings: queues over memory that is mapped twice, so that any run of elements is one slice.
//!
//! In the order in which an element passes:
//!
//! - `ring_buffer`: [`ring_buffer()`] makes both ends of a ring.
//! - `producer`: [`Producer`] pushes, or reserves slots and commits them.
//! - `prefetch`: the cache lines that the producer writes next.
//! - `indices`: the two indices, and the wake-up of a waiting end.
//! - `consumer`: [`Consumer`] pops, or peeks and releases.
//! - `shared`: the state of both ends.
//! - `double_mapping`: the memory.
//! - `cache`: the memory of dropped rings ([`RingCache`]).
//! - `ring_file`, `location`: [`RingFile`], a ring in a file, between processes.
//!
//! One producer and one consumer, wait-free: only `wait_…`, `send` and `recv` wait, and no call
//! locks. The indices are those of Lamport's queue (1977). Each end caches the other's index, as
//! in FastForward and its successors, and loads it only if the cached one shows full or empty.

mod cache;
mod consumer;
mod double_mapping;
mod error;
mod indices;
mod location;
mod prefetch;
mod producer;
mod ring_buffer;
mod ring_file;
mod shared;

pub use cache::RingCache;
pub use consumer::Consumer;
pub use error::{RingError, WaitError};
pub use producer::{Producer, WriteSlots};
pub use ring_buffer::ring_buffer;
pub use ring_file::RingFile;
