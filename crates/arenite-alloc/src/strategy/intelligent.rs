//! A strategy that routes each request by its size.
//!
//! Rests on three checked allocators: a stratified pool for small blocks, the system's for middle ones, and for large ones either one
//! range that is cut and joined, or whole mappings on the thread's node.
#![expect(unsafe_code, reason = "copies a block from one allocator's to another's")]

use super::allocation_strategy::vector_alignment;
use super::{AllocationStrategy, CacheAwareStrategy};
use crate::checked::{Checked, SystemAllocator};
use crate::fit::{MemoryPool, SharedMemoryPool};
use crate::stratified::StratifiedMemoryPool;
use arenite_core::{AllocError, Bytes, MemoryAllocator, ResourceState, Trim};
use arenite_pages::{NumaAllocator, NumaPolicy};
use std::sync::OnceLock;

/// From which size on blocks lie in one range, and below which they come from a pool, unless it is said otherwise.
const ARENA_FROM: usize = 1 << 20;
const POOL_BELOW: usize = 4096;
/// The addresses of that range, and the least it makes do with.
const RANGE: Bytes = Bytes::gib(64);

type Large = Box<dyn MemoryAllocator<Error = AllocError>>;

/// Picks an allocator by size, and is one: requests below the pool's threshold go to a pool, those from the arena's on to one range,
/// those between to the system. Shared by threads; every block is checked when it comes back.
///
/// ```
/// use arenite_alloc::{AllocationStrategy, IntelligentAllocationStrategy};
/// use arenite_core::{AllocError, MemoryAllocator};
/// let strategy = IntelligentAllocationStrategy::new()
///     .with_arena_threshold(1024 * 1024)
///     .with_pool_threshold(4096)
///     .with_cache_awareness(true)
///     .with_numa_awareness(true);
/// assert!(strategy.should_use_pool(1024));
/// assert!(strategy.should_use_arena(10 * 1024 * 1024));
/// assert!(!strategy.should_use_arena(128 * 1024));
/// let allocator: Box<dyn MemoryAllocator<Error = AllocError>> = Box::new(strategy);
/// let block = allocator.allocate(10 << 20, 64)?;
/// allocator.deallocate(block, 10 << 20, 64)?;
/// assert_eq!(allocator.allocated_size(), 0);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct IntelligentAllocationStrategy {
    arena_from: usize,
    pool_below: usize,
    caches: Option<CacheAwareStrategy>,
    numa: bool,
    small: Checked<StratifiedMemoryPool>,
    middle: SystemAllocator,
    large: OnceLock<LargeBlocks>,
}

/// For `Debug`, which a trait object lacks.
struct LargeBlocks(Large);

impl core::fmt::Debug for LargeBlocks {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "{} of large blocks", Bytes(self.0.allocated_size()))
    }
}

impl Default for IntelligentAllocationStrategy {
    fn default() -> Self {
        Self::new()
    }
}

impl IntelligentAllocationStrategy {
    /// Pools below 4 KiB, one range from 1 MiB on.
    #[must_use]
    pub fn new() -> Self {
        Self {
            arena_from: ARENA_FROM,
            pool_below: POOL_BELOW,
            caches: None,
            numa: false,
            small: Checked::new(StratifiedMemoryPool::new("small")),
            middle: SystemAllocator::new(),
            large: OnceLock::new(),
        }
    }

    /// The same with blocks of one range from `bytes` on.
    #[must_use]
    pub const fn with_arena_threshold(mut self, bytes: usize) -> Self {
        self.arena_from = bytes;
        self
    }

    /// The same with pools below `bytes`; it goes before the range's threshold where both fit.
    #[must_use]
    pub const fn with_pool_threshold(mut self, bytes: usize) -> Self {
        self.pool_below = bytes;
        self
    }

    /// The same with block sizes chosen by this machine's caches.
    #[must_use]
    pub fn with_cache_awareness(mut self, wanted: bool) -> Self {
        self.caches = wanted.then(CacheAwareStrategy::new);
        self
    }

    /// The same with large blocks on the node of the thread that asks.
    #[must_use]
    pub const fn with_numa_awareness(mut self, wanted: bool) -> Self {
        self.numa = wanted;
        self
    }

    fn large(&self) -> &Large {
        let range = || -> Large {
            let pool = MemoryPool::new(RANGE.0).with_alignment(64).labelled("large");
            Box::new(Checked::new(SharedMemoryPool::new(pool)))
        };
        let made = self.large.get_or_init(|| {
            let local = self.numa.then(|| NumaAllocator::new(NumaPolicy::Local));
            // a system that places nothing has one place for all
            LargeBlocks(match local {
                Some(Ok(local)) => Box::new(Checked::new(local)),
                _ => range(),
            })
        });
        &made.0
    }

    fn serving(&self, size: usize) -> &dyn MemoryAllocator<Error = AllocError> {
        if self.should_use_pool(size) {
            &self.small
        } else if self.should_use_arena(size) {
            &**self.large()
        } else {
            &self.middle
        }
    }

    /// Moves a block from one allocator to another.
    fn move_between(
        old: &dyn MemoryAllocator<Error = AllocError>,
        new: &dyn MemoryAllocator<Error = AllocError>,
        (ptr, old_size): (*mut u8, usize),
        (new_size, alignment): (usize, usize),
    ) -> Result<*mut u8, AllocError> {
        let moved = new.allocate(new_size, alignment)?;
        // looks whether the block is one, which nothing else here may
        let checked = match old.reallocate(ptr, old_size, old_size, alignment) {
            Ok(checked) => checked,
            Err(error) => {
                new.deallocate(moved, new_size, alignment)?;
                return Err(error);
            }
        };
        // SAFETY: two live blocks of at least so many bytes, lent just now by different allocators.
        unsafe { moved.copy_from_nonoverlapping(checked, old_size.min(new_size)) };
        old.deallocate(checked, old_size, alignment)?;
        Ok(moved)
    }

    fn all(&self) -> impl Iterator<Item = &dyn MemoryAllocator<Error = AllocError>> {
        let large = self.large.get().map(|large| &*large.0);
        let small: &dyn MemoryAllocator<Error = AllocError> = &self.small;
        [
            Some(small),
            Some(&self.middle as &dyn MemoryAllocator<Error = AllocError>),
            large.map(|large| large as _),
        ]
        .into_iter()
        .flatten()
    }

    /// What the pool for small blocks has lent and holds.
    #[must_use]
    pub fn small_state(&self) -> ResourceState {
        arenite_core::Resource::state(&self.small)
    }
}

impl AllocationStrategy for IntelligentAllocationStrategy {
    fn should_use_arena(&self, size: usize) -> bool {
        size >= self.arena_from && !self.should_use_pool(size)
    }

    fn should_use_pool(&self, size: usize) -> bool {
        size < self.pool_below
    }

    fn get_alignment(&self, dtype: &str) -> usize {
        vector_alignment(dtype)
    }

    #[expect(clippy::cast_precision_loss, reason = "a part, to a few digits")]
    fn estimate_fragmentation(&self) -> f64 {
        let state = self.small_state();
        if state.held == 0 { 0.0 } else { 1.0 - state.in_use as f64 / state.held as f64 }
    }

    fn preferred_block_size(&self, element_size: usize) -> usize {
        match &self.caches {
            Some(caches) => caches.preferred_block_size(element_size),
            None => self.pool_below.max(element_size) / element_size.max(1) * element_size.max(1),
        }
    }
}

impl MemoryAllocator for IntelligentAllocationStrategy {
    type Error = AllocError;

    fn allocate(&self, size: usize, alignment: usize) -> Result<*mut u8, AllocError> {
        self.serving(size).allocate(size, alignment)
    }

    fn deallocate(&self, ptr: *mut u8, size: usize, alignment: usize) -> Result<(), AllocError> {
        self.serving(size).deallocate(ptr, size, alignment)
    }

    /// Moves the block where the new size is another allocator's.
    fn reallocate(
        &self,
        ptr: *mut u8,
        old_size: usize,
        new_size: usize,
        alignment: usize,
    ) -> Result<*mut u8, AllocError> {
        let (old, new) = (self.serving(old_size), self.serving(new_size));
        if core::ptr::eq(core::ptr::from_ref(old).cast::<()>(), core::ptr::from_ref(new).cast::<()>()) {
            return old.reallocate(ptr, old_size, new_size, alignment);
        }
        Self::move_between(old, new, (ptr, old_size), (new_size, alignment))
    }

    fn allocated_size(&self) -> usize {
        self.all().map(MemoryAllocator::allocated_size).sum()
    }

    /// The sum of the three's peaks, which may have been at different times.
    fn peak_allocated(&self) -> usize {
        self.all().map(MemoryAllocator::peak_allocated).sum()
    }

    fn reset_peak(&self) {
        self.all().for_each(MemoryAllocator::reset_peak);
    }
}

impl Trim for IntelligentAllocationStrategy {
    fn trim(&self, target_held: usize) -> usize {
        self.small.trim(target_held)
    }
}
