//! Buffers of five sizes, kept for whoever asks next.
//!
//! Rests on any resource for fresh buffers. [`SizeBucket`] says which size a request gets; a `Magazines` is what one thread keeps of each,
//! without a lock; [`LocalStratifiedPool`] is one of those, [`StratifiedMemoryPool`] one for each thread and a depot between them;
//! [`StratifiedBuffer`] is what either lends.

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
