//! The shared part of a heap, in the order in which a request for memory passes through it.
//!
//! - `central`: the lock, segments, abandoned slabs and thread heaps; hands out slabs
//! - `remote_epochs`: how often remote frees reached slabs of a class
//! - `large_alloc`: spans, and blocks with a region of their own
//! - `large_block`: the header of such a block; growing, and moving its OS pages
//! - `large_cache`: the lists of cached and live ones
//! - `clock`, `decay`: purging by time
//! - `peaks`, `stats`: maxima and statistics

#[expect(clippy::module_inception, reason = "a file is named for its main type")]
pub(crate) mod central;
pub(crate) mod clock;
pub(crate) mod decay;
pub(crate) mod large_alloc;
pub(crate) mod large_block;
pub(crate) mod large_cache;
pub(crate) mod peaks;
pub(crate) mod remote_epochs;
pub(crate) mod stats;
