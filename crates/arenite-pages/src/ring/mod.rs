//! Rings: memory seen twice in a row, and queues over it whose slices never split.
//!
//! Rests on `os` for the double mapping. In the order in which an element passes: [`ring_buffer`] makes the two ends; the
//! [`Producer`] pushes, or reserves slots and commits them; `Indices` are the two counters between them, which know
//! numbers and not memory; the [`Consumer`] pops, or peeks and releases. [`RingFile`] is the same ring in a file, between
//! processes. What a dropped ring leaves is in `cache`.
//!
//! One producer and one consumer, wait-free: no call but those named `wait_…`, `send` and `recv` ever waits, and none takes
//! a lock. The counters are those of Lamport's queue (1977), each with a copy of the other side's, as in FastForward and
//! its successors: the far counter is read only when the copy says full or empty.

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
