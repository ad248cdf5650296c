//! Pools: equal blocks that are reused one by one.
//!
//! - `slots`: [`Slots`](slots) converts addresses to slots.
//! - `backing`: [`Backing`](backing), the memory of a pool.
//! - `local`: [`Pool`], the pool of one thread.
//! - `index_stack`: [`IndexStack`](index_stack), the lock-free list of free slots.
//! - `shared`: [`SharedPool`], the pool that threads share.
//! - `pool_allocator`: [`PoolAllocator`], a pool with the checked API.
//! - `binned_pools`: [`BinnedPools`], one pool for each block size.

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
