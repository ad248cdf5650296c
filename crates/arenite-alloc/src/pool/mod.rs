//! Pools: equal blocks, reused one by one.
//!
//! [`Slots`](slots) is the geometry (which block is this address?), [`Ground`](backing) the memory, [`Pool`] the one of a
//! thread, [`SharedPool`] its twin over a lock-free [`IndexStack`](index_stack), [`PoolAllocator`] the checked door,
//! [`BinnedPools`] one pool per block size.

mod backing;
mod binned_pools;
mod index_stack;
mod local;
mod pool_allocator;
mod shared;
mod slots;

pub use binned_pools::BinnedPools;
pub use local::Pool;
pub use pool_allocator::PoolAllocator;
pub use shared::SharedPool;
