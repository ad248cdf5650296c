//! A strategy that knows the caches.
//!
//! Rests on what the machine says of them; each size can be set by hand.

use super::AllocationStrategy;
use arenite_pages::machine::Caches;

/// Sizes where the machine does not tell its caches'.
const L1: usize = 32 << 10;
const L2: usize = 256 << 10;
const L3: usize = 8 << 20;

/// Chooses sizes by the caches of the machine: half of the nearest one for a block that is worked on, because the other operand
/// wants a place as well; a pool for what fits in a cache line or a few, an arena for what fits in no cache.
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
    /// With this machine's caches.
    #[must_use]
    pub fn new() -> Self {
        let caches = Caches::read();
        let size = |cache: Option<&arenite_pages::machine::Cache>, other: usize| {
            cache.and_then(|cache| usize::try_from(cache.size).ok()).filter(|&size| size > 0).unwrap_or(other)
        };
        Self { l1: size(caches.l1d(), L1), l2: size(caches.l2(), L2), l3: size(caches.l3(), L3) }
    }

    /// The same with a nearest cache of so many bytes.
    #[must_use]
    pub const fn with_l1_cache_size(mut self, bytes: usize) -> Self {
        self.l1 = bytes;
        self
    }

    /// The same with a second cache of so many bytes.
    #[must_use]
    pub const fn with_l2_cache_size(mut self, bytes: usize) -> Self {
        self.l2 = bytes;
        self
    }

    /// The same with a last cache of so many bytes.
    #[must_use]
    pub const fn with_l3_cache_size(mut self, bytes: usize) -> Self {
        self.l3 = bytes;
        self
    }

    /// The sizes of the three, from the nearest.
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
