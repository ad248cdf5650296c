//! Buffers of five sizes that are cached for reuse.
//!
//! - `bucket`: [`SizeBucket`], the size that serves a request.
//! - `magazines`: the free buffers that one thread caches, without a lock.
//! - `local`: [`LocalStratifiedPool`], the magazines of one thread over an upstream.
//! - `shared`: [`StratifiedMemoryPool`], magazines for each thread and a depot between them.
//! - `buffer`: [`StratifiedBuffer`], a buffer of either pool.
//! - `stats`: the counters.

mod bucket;
mod buffer;
mod local;
mod magazines;
mod shared;
mod stats;

pub use bucket::SizeBucket;
pub use buffer::StratifiedBuffer;
pub use local::LocalStratifiedPool;
pub use shared::StratifiedMemoryPool;
pub use stats::{AtomicPoolStats, StratifiedPoolStats};
