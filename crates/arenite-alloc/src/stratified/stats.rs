//! Counters of stratified pools.
//!
//! A hit reuses a cached buffer; a miss allocates one from the upstream.

use super::SizeBucket;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of one pool that any thread may add to.
///
/// ```
/// use arenite_alloc::AtomicPoolStats;
/// let stats = AtomicPoolStats::new();
/// stats.record_miss();
/// stats.record_return();
/// stats.record_hit();
/// assert_eq!((stats.hits(), stats.misses(), stats.returns(), stats.hit_rate()), (1, 1, 1, 0.5));
/// ```
#[derive(Debug, Default)]
pub struct AtomicPoolStats {
    hits: AtomicU64,
    misses: AtomicU64,
    returns: AtomicU64,
}

impl AtomicPoolStats {
    /// Returns counters of zero.
    #[must_use]
    pub const fn new() -> Self {
        Self { hits: AtomicU64::new(0), misses: AtomicU64::new(0), returns: AtomicU64::new(0) }
    }

    /// Counts a request that a cached buffer served.
    pub fn record_hit(&self) {
        self.hits.fetch_add(1, Relaxed);
    }

    /// Counts a request that needed fresh memory.
    pub fn record_miss(&self) {
        self.misses.fetch_add(1, Relaxed);
    }

    /// Counts a freed buffer.
    pub fn record_return(&self) {
        self.returns.fetch_add(1, Relaxed);
    }

    /// Returns the number of requests that cached buffers served.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    /// Returns the number of requests that needed fresh memory.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses.load(Relaxed)
    }

    /// Returns the number of freed buffers.
    #[must_use]
    pub fn returns(&self) -> u64 {
        self.returns.load(Relaxed)
    }

    /// Returns the fraction of the requests that were hits, or 0 without requests.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        rate(self.hits(), self.misses())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate, to a few digits")]
fn rate(hits: u64, misses: u64) -> f64 {
    if hits + misses == 0 { 0.0 } else { hits as f64 / (hits + misses) as f64 }
}

/// Counters of a stratified pool. Exact once the threads that used it have synchronized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StratifiedPoolStats {
    /// Requests that were served, including those above the largest bucket.
    pub total_allocations: u64,
    /// Requests that a cached buffer served, for each bucket from [`SizeBucket::Tiny`] on.
    pub hits_per_bucket: [u64; 5],
    /// Requests that a fresh buffer served, for each bucket.
    pub misses_per_bucket: [u64; 5],
    /// Freed buffers, for each bucket.
    pub returns_per_bucket: [u64; 5],
    /// Requests above the buckets, served with a block of the requested size.
    pub direct: u64,
    /// Bytes of cached buffers.
    pub free_bytes: usize,
}

impl StratifiedPoolStats {
    /// Returns the number of requests that cached buffers served.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits_per_bucket.iter().sum()
    }

    /// Returns the number of requests that needed fresh memory, including those above the largest
    /// bucket.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses_per_bucket.iter().sum::<u64>() + self.direct
    }

    /// Returns the number of freed buffers of the buckets.
    #[must_use]
    pub fn returns(&self) -> u64 {
        self.returns_per_bucket.iter().sum()
    }

    /// Returns the fraction of the requests that were hits, or 0 without requests.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        rate(self.hits(), self.misses())
    }

    /// Returns the number of live buffers of a bucket.
    #[must_use]
    pub fn live(&self, bucket: SizeBucket) -> u64 {
        let at = bucket as usize;
        (self.hits_per_bucket[at] + self.misses_per_bucket[at]).saturating_sub(self.returns_per_bucket[at])
    }
}
