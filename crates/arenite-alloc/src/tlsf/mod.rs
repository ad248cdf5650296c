//! Blocks of any size in one range, joined when they are freed.
//!
//! Rests on `Tlsf`, which finds a block that fits in constant time.

mod bounded_heap;
mod memory_pool;
mod pool_ptr;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
mod tlsf;

pub use bounded_heap::BoundedHeap;
pub use memory_pool::{GpuUnsupported, MemoryPool, SharedMemoryPool};
pub use pool_ptr::PoolPtr;
pub(crate) use tlsf::Tlsf;
