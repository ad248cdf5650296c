//! A strategy that routes each request by its size.
//!
//! Small blocks come from a stratified pool, middle ones from the global allocator. Large ones
//! come either from one range that is split and coalesced, or from mappings on the thread's node.
#![expect(unsafe_code, reason = "forwards an unsafe trait to one of three")]

use super::{AllocationStrategy, CacheAwareStrategy};
use crate::checked::Checked;
use crate::global::CountedGlobal;
use crate::stratified::StratifiedMemoryPool;
use crate::tlsf::{MemoryPool, SharedMemoryPool};
use crate::util::fallible_vec::try_boxed;
use arenite_core::{
    AllocError, AllocErrorKind, AllocResult, Bytes, Label, MemoryAllocator, Resource, ResourceState, Trim,
};
use arenite_pages::{NumaAllocator, NumaPolicy};
use core::alloc::Layout;
use core::ptr::NonNull;
use std::sync::OnceLock;

/// Default size from which on blocks lie in one range, and below which they come from a pool.
const DEFAULT_ARENA_THRESHOLD: usize = 1 << 20;
const DEFAULT_POOL_THRESHOLD: usize = 4096;
/// Size of that range.
const RANGE_SIZE: Bytes = Bytes::gib(64);

/// An allocator that selects an upstream by size.
///
/// Requests below the pool's threshold go to a pool, those from the arena's threshold on to one
/// range, and those between to the global allocator. Shared by threads; every deallocation is
/// checked.
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
    checked: Checked<Router>,
    thresholds: Thresholds,
    caches: Option<CacheAwareStrategy>,
}

#[derive(Clone, Copy, Debug)]
struct Thresholds {
    arena_from: usize,
    pool_below: usize,
    numa: bool,
}

/// Three resources as one.
#[derive(Debug)]
struct Router {
    /// Thresholds, fixed by the first block: a block is freed where a block of its size is
    /// allocated.
    fixed: OnceLock<Thresholds>,
    small: StratifiedMemoryPool,
    middle: CountedGlobal,
    large: OnceLock<LargePath>,
}

#[derive(Debug)]
enum LargePath {
    Range(Box<[SharedMemoryPool; 1]>),
    Local(NumaAllocator),
}

impl Thresholds {
    const fn pool(self, size: usize) -> bool {
        size < self.pool_below
    }

    const fn arena(self, size: usize) -> bool {
        size >= self.arena_from && !self.pool(size)
    }
}

impl Router {
    /// Returns the thresholds; the first call fixes them.
    fn thresholds(&self) -> Thresholds {
        let first = Thresholds {
            arena_from: DEFAULT_ARENA_THRESHOLD,
            pool_below: DEFAULT_POOL_THRESHOLD,
            numa: false,
        };
        *self.fixed.get_or_init(|| first)
    }

    /// Returns the resource for large blocks, or `None` if there is no memory for the range's own
    /// lists.
    fn large(&self) -> Option<&dyn Resource> {
        let made = match self.large.get() {
            Some(made) => made,
            None => {
                let made = self.init_large()?;
                // If two threads initialize it at once, one of the values is dropped. No range has
                // memory before its first block.
                self.large.get_or_init(|| made)
            }
        };
        Some(match made {
            LargePath::Range(range) => &range[0],
            LargePath::Local(local) => local,
        })
    }

    #[cold]
    fn init_large(&self) -> Option<LargePath> {
        let local = self.thresholds().numa.then(|| NumaAllocator::new(NumaPolicy::Local));
        if let Some(Ok(local)) = local {
            return Some(LargePath::Local(local));
        }
        // A system without NUMA placement uses one range.
        let pool = MemoryPool::new(RANGE_SIZE.0).with_alignment(64).with_label("large");
        try_boxed(SharedMemoryPool::new(pool)).ok().map(LargePath::Range)
    }

    fn route(&self, size: usize) -> Option<&dyn Resource> {
        let fixed = self.thresholds();
        if fixed.pool(size) {
            Some(&self.small)
        } else if fixed.arena(size) {
            self.large()
        } else {
            Some(&self.middle)
        }
    }
}

// SAFETY: forwards each call to the one of three that serves blocks of that size, which never
// changes.
unsafe impl Resource for Router {
    fn allocate(&self, layout: Layout) -> AllocResult {
        let Some(route) = self.route(layout.size()) else {
            let cause = AllocErrorKind::Exhausted { errno: 0 };
            return Err(AllocError::new(cause, layout, self.state(), Label::new("large")));
        };
        route.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let route = self.route(layout.size());
        debug_assert!(route.is_some(), "the resource that allocated the block exists");
        if let Some(route) = route {
            // SAFETY: the caller's guarantee; a block of that size was allocated there.
            unsafe { route.deallocate(block, layout) };
        }
    }

    fn state(&self) -> ResourceState {
        let large = match self.large.get() {
            Some(LargePath::Range(range)) => range[0].state(),
            Some(LargePath::Local(local)) => local.state(),
            None => ResourceState::default(),
        };
        let all = [self.small.state(), self.middle.state(), large];
        let sum = |of: fn(&ResourceState) -> usize| all.iter().map(of).sum();
        ResourceState {
            in_use: sum(|state| state.in_use),
            held: sum(|state| state.held),
            peak: sum(|state| state.peak),
            live_blocks: sum(|state| state.live_blocks),
            largest_free: None,
            limit: None,
        }
    }
}

impl Trim for Router {
    fn trim(&self, target_held: usize) -> usize {
        // Other threads may allocate between two readings.
        let others = self.state().held.saturating_sub(self.small.state().held);
        let mut released = self.small.trim(target_held.saturating_sub(others));
        if let Some(LargePath::Range(range)) = self.large.get() {
            let [pool] = &**range;
            let others = self.state().held.saturating_sub(pool.state().held);
            released += pool.trim(target_held.saturating_sub(others));
        }
        released
    }
}

impl Default for IntelligentAllocationStrategy {
    fn default() -> Self {
        Self::new()
    }
}

impl IntelligentAllocationStrategy {
    /// Makes an allocator with pools below 4 KiB and one range from 1 MiB on.
    #[must_use]
    pub fn new() -> Self {
        let router = Router {
            fixed: OnceLock::new(),
            small: StratifiedMemoryPool::new("small"),
            middle: CountedGlobal::new(),
            large: OnceLock::new(),
        };
        Self {
            checked: Checked::new(router).with_label("intelligent"),
            thresholds: Thresholds {
                arena_from: DEFAULT_ARENA_THRESHOLD,
                pool_below: DEFAULT_POOL_THRESHOLD,
                numa: false,
            },
            caches: None,
        }
    }

    /// Sets the size from which on blocks lie in one range. After the first block this and the
    /// other thresholds have no effect.
    #[must_use]
    pub fn with_arena_threshold(self, bytes: usize) -> Self {
        self.configure(|thresholds| thresholds.arena_from = bytes)
    }

    /// Sets the size below which blocks come from a pool. It precedes the range's threshold if both
    /// match.
    #[must_use]
    pub fn with_pool_threshold(self, bytes: usize) -> Self {
        self.configure(|thresholds| thresholds.pool_below = bytes)
    }

    /// Sets whether block sizes derive from this machine's caches.
    #[must_use]
    pub fn with_cache_awareness(mut self, enabled: bool) -> Self {
        self.caches = enabled.then(CacheAwareStrategy::new);
        self
    }

    /// Sets whether large blocks lie on the calling thread's node.
    #[must_use]
    pub fn with_numa_awareness(self, enabled: bool) -> Self {
        self.configure(|thresholds| thresholds.numa = enabled)
    }

    fn configure(mut self, change: impl FnOnce(&mut Thresholds)) -> Self {
        if self.checked.resource().fixed.get().is_none() {
            change(&mut self.thresholds);
        }
        self
    }

    /// Fixes the thresholds and returns the allocator.
    fn init(&self) -> &Checked<Router> {
        self.checked.resource().fixed.get_or_init(|| self.thresholds);
        &self.checked
    }
}

impl AllocationStrategy for IntelligentAllocationStrategy {
    fn should_use_arena(&self, size: usize) -> bool {
        self.thresholds.arena(size)
    }

    fn should_use_pool(&self, size: usize) -> bool {
        self.thresholds.pool(size)
    }

    #[expect(clippy::cast_precision_loss, reason = "a fraction, to a few digits")]
    fn estimate_fragmentation(&self) -> f64 {
        let state = self.checked.resource().state();
        if state.held == 0 { 0.0 } else { 1.0 - state.in_use as f64 / state.held as f64 }
    }

    fn preferred_block_size(&self, element_size: usize) -> usize {
        let element = element_size.max(1);
        match &self.caches {
            Some(caches) => caches.preferred_block_size(element),
            None => self.thresholds.pool_below.max(element) / element * element,
        }
    }
}

impl MemoryAllocator for IntelligentAllocationStrategy {
    type Error = AllocError;

    fn allocate(&self, size: usize, alignment: usize) -> Result<*mut u8, AllocError> {
        MemoryAllocator::allocate(self.init(), size, alignment)
    }

    fn deallocate(&self, ptr: *mut u8, size: usize, alignment: usize) -> Result<(), AllocError> {
        MemoryAllocator::deallocate(self.init(), ptr, size, alignment)
    }

    fn reallocate(
        &self,
        ptr: *mut u8,
        old_size: usize,
        new_size: usize,
        alignment: usize,
    ) -> Result<*mut u8, AllocError> {
        self.init().reallocate(ptr, old_size, new_size, alignment)
    }

    fn allocated_size(&self) -> usize {
        self.checked.allocated_size()
    }

    fn peak_allocated(&self) -> usize {
        self.checked.peak_allocated()
    }

    fn reset_peak(&self) {
        self.checked.reset_peak();
    }
}

impl Trim for IntelligentAllocationStrategy {
    fn trim(&self, target_held: usize) -> usize {
        self.checked.trim(target_held)
    }
}
