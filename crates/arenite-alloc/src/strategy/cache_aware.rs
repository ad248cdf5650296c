//! A strategy that follows the cache sizes of the machine; each size can be set by hand.

use super::AllocationStrategy;
use arenite_pages::machine::Caches;

/// Default sizes for machines that report none.
const L1: usize = 32 << 10;
const L2: usize = 256 << 10;
const L3: usize = 8 << 20;

/// A strategy that derives sizes from the caches of the machine.
///
/// A block that is processed takes half of the nearest cache, because the other operand needs
/// space too. A pool serves what fits in an eighth of it, an arena what fits in no cache.
///
/// ```
/// use arenite_alloc::{AllocationStrategy, CacheAwareStrategy};
/// let strategy = CacheAwareStrategy::new()
///     .with_l1_cache_size(32 * 1024)
///     .with_l2_cache_size(256 * 1024)
///     .with_l3_cache_size(8 * 1024 * 1024);
/// let optimal_block = strategy.preferred_block_size(8);
/// assert_eq!(optimal_block, 16 * 1024);
/// println!("alignment {}, {} elements", strategy.get_alignment("f64"), optimal_block / 8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheAwareStrategy {
    l1: usize,
    l2: usize,
    l3: usize,
}

impl Default for CacheAwareStrategy {
    fn default() -> Self {
        Self::new()
    }
}

impl CacheAwareStrategy {
    /// Reads this machine's caches.
    #[must_use]
    pub fn new() -> Self {
        let caches = Caches::read();
        let size = |cache: Option<&arenite_pages::machine::Cache>, other: usize| {
            cache.and_then(|cache| usize::try_from(cache.size).ok()).filter(|&size| size > 0).unwrap_or(other)
        };
        Self { l1: size(caches.l1d(), L1), l2: size(caches.l2(), L2), l3: size(caches.l3(), L3) }
    }

    /// Sets the size of the nearest cache.
    #[must_use]
    pub const fn with_l1_cache_size(mut self, bytes: usize) -> Self {
        self.l1 = bytes;
        self
    }

    /// Sets the size of the second cache.
    #[must_use]
    pub const fn with_l2_cache_size(mut self, bytes: usize) -> Self {
        self.l2 = bytes;
        self
    }

    /// Sets the size of the last cache.
    #[must_use]
    pub const fn with_l3_cache_size(mut self, bytes: usize) -> Self {
        self.l3 = bytes;
        self
    }

    /// Returns the sizes of the three caches, the nearest first.
    #[must_use]
    pub const fn cache_sizes(&self) -> [usize; 3] {
        [self.l1, self.l2, self.l3]
    }
}

impl AllocationStrategy for CacheAwareStrategy {
    fn should_use_arena(&self, size: usize) -> bool {
        size > self.l3
    }

    fn should_use_pool(&self, size: usize) -> bool {
        size <= self.l1 / 8
    }

    fn preferred_block_size(&self, element_size: usize) -> usize {
        let element = element_size.max(1);
        (self.l1 / 2 / element * element).max(element)
    }
}
