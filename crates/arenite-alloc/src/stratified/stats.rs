//! What a stratified pool counts.
//!
//! Rests on [`SizeBucket`]. A hit is a buffer that was lent before; a miss is one that had to come from the upstream.

use super::SizeBucket;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts of one pool, added to by any thread.
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
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { hits: AtomicU64::new(0), misses: AtomicU64::new(0), returns: AtomicU64::new(0) }
    }

    /// A request was served by what the pool had.
    pub fn record_hit(&self) {
        self.hits.fetch_add(1, Relaxed);
    }

    /// A request needed fresh memory.
    pub fn record_miss(&self) {
        self.misses.fetch_add(1, Relaxed);
    }

    /// A buffer received back.
    pub fn record_return(&self) {
        self.returns.fetch_add(1, Relaxed);
    }

    /// Requests that the pool had a buffer for.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    /// Requests that needed fresh memory.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses.load(Relaxed)
    }

    /// Buffers that received back.
    #[must_use]
    pub fn returns(&self) -> u64 {
        self.returns.load(Relaxed)
    }

    /// The part of the requests that were hits, 0 where there was none.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        rate(self.hits(), self.misses())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate, to a few digits")]
fn rate(hits: u64, misses: u64) -> f64 {
    if hits + misses == 0 { 0.0 } else { hits as f64 / (hits + misses) as f64 }
}

/// What a stratified pool has done. Exact once the threads that used it have met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StratifiedPoolStats {
    /// Requests that were served, those above the largest bucket among them.
    pub total_allocations: u64,
    /// Served by a buffer that was lent before, for each bucket from [`SizeBucket::Tiny`] on.
    pub hits_per_bucket: [u64; 5],
    /// Served by a fresh buffer, for each bucket.
    pub misses_per_bucket: [u64; 5],
    /// Buffers that received back, for each bucket.
    pub returns_per_bucket: [u64; 5],
    /// Served past the buckets, with a block of the size poll_flush_request.
    pub direct: u64,
    /// Bytes of buffers that nobody has now.
    pub free_bytes: usize,
}

impl StratifiedPoolStats {
    /// Requests that the pool had a buffer for.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits_per_bucket.iter().sum()
    }

    /// Requests that needed fresh memory, those above the largest bucket among them.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses_per_bucket.iter().sum::<u64>() + self.direct
    }

    /// Buffers of buckets that received back.
    #[must_use]
    pub fn returns(&self) -> u64 {
        self.returns_per_bucket.iter().sum()
    }

    /// The part of the requests that were hits, 0 where there was none.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        rate(self.hits(), self.misses())
    }

    /// Buffers of a bucket that somebody has now.
    #[must_use]
    pub fn live(&self, bucket: SizeBucket) -> u64 {
        let at = bucket as usize;
        (self.hits_per_bucket[at] + self.misses_per_bucket[at]).saturating_sub(self.returns_per_bucket[at])
    }
}
