//! A pool with the checked API (`MemoryAllocator`).

use super::SharedPool;
use crate::checked::impl_memory_allocator;
use arenite_core::{AllocError, ResourceState};
use core::ptr::NonNull;

/// A pool of `count` equal blocks with checked plain pointers. Shared between threads, O(1).
///
/// ```
/// use arenite_alloc::PoolAllocator;
/// let pool = PoolAllocator::new(1024, 100)?;
/// let first = pool.allocate_block()?;
/// let second = pool.allocate_block()?;
/// pool.deallocate_block(first)?;
/// assert_eq!(pool.fragmentation_level(), 0.5);
/// pool.deallocate_block(second)?;
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
#[derive(Debug)]
pub struct PoolAllocator {
    pool: SharedPool,
}

impl PoolAllocator {
    /// Makes a pool of `count` blocks of `block_size` bytes.
    ///
    /// # Errors
    /// As [`SharedPool::new`].
    pub fn new(block_size: usize, count: usize) -> Result<Self, AllocError> {
        Ok(Self { pool: SharedPool::new(block_size, count)? })
    }

    /// Allocates a block of undefined bytes.
    ///
    /// # Errors
    /// As [`SharedPool::allocate_block`].
    pub fn allocate_block(&self) -> Result<*mut u8, AllocError> {
        self.pool.allocate_block().map(NonNull::as_ptr)
    }

    /// Frees a block.
    ///
    /// # Errors
    /// As [`SharedPool::deallocate_block`]; null is an invalid pointer.
    pub fn deallocate_block(&self, block: *mut u8) -> Result<(), AllocError> {
        let outside = NonNull::<u8>::without_provenance(core::num::NonZero::<usize>::MAX);
        self.pool.deallocate_block(NonNull::new(block).unwrap_or(outside))
    }

    /// Returns the fraction of the blocks touched so far that is free, from 0 to 1.
    #[must_use]
    pub fn fragmentation_level(&self) -> f64 {
        self.pool.fragmentation_level()
    }

    /// Decommits the memory behind the last live block. O(capacity).
    pub fn trim(&mut self) -> usize {
        self.pool.trim_mut()
    }

    /// Returns the bytes in use, held and available.
    #[must_use]
    pub fn state(&self) -> ResourceState {
        arenite_core::Resource::state(&self.pool)
    }
}

impl_memory_allocator!(PoolAllocator, pool);
