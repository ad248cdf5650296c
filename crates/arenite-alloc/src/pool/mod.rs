//! Pools: equal blocks, reused one by one.
//!
//! [`Slots`](slots) is the geometry (which block is this address?), [`Ground`](ground) the memory, [`Pool`] the one of a
//! thread, [`SharedPool`] its twin over a lock-free [`IndexStack`](index_stack), [`PoolAllocator`] the checked door,
//! [`SizedPools`] one pool per block size.

mod ground;
mod index_stack;
mod local;
mod pool_allocator;
mod shared;
mod sized_pools;
mod slots;

pub use local::Pool;
pub use pool_allocator::PoolAllocator;
pub use shared::SharedPool;
pub use sized_pools::SizedPools;
