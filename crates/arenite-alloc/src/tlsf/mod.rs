//! Blocks of any size in one range, coalesced when they are freed.
//!
//! - `tlsf`: [`Tlsf`], the two-level segregated fit, which finds a block in constant time.
//! - `bounded_heap`: [`BoundedHeap`], a heap in the caller's memory.
//! - `memory_pool`: [`MemoryPool`], a pool in one region.
//! - `pool_ptr`: [`PoolPtr`], values in a pool.

mod bounded_heap;
mod memory_pool;
mod pool_ptr;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
mod tlsf;

pub use bounded_heap::BoundedHeap;
pub use memory_pool::{GpuUnsupported, MemoryPool, SharedMemoryPool};
pub use pool_ptr::PoolPtr;
pub(crate) use tlsf::Tlsf;
