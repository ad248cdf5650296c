//! A counter of bytes and blocks in use and of their peak, shared by threads.
//!
//! The numbers are statistics with relaxed ordering: each is exact once the threads have
//! synchronized, and none guards memory.

use arenite_core::ResourceState;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counters for a resource that has none of its own.
#[derive(Debug, Default)]
pub(crate) struct UsageCounter {
    in_use: AtomicUsize,
    peak: AtomicUsize,
    live: AtomicUsize,
}

impl UsageCounter {
    pub(crate) const fn new() -> Self {
        Self { in_use: AtomicUsize::new(0), peak: AtomicUsize::new(0), live: AtomicUsize::new(0) }
    }

    #[inline]
    pub(crate) fn record_alloc(&self, size: usize) {
        self.record(size, 1);
    }

    /// Counts `bytes` and `blocks` more.
    #[inline]
    pub(crate) fn record(&self, bytes: usize, blocks: usize) {
        self.live.fetch_add(blocks, Relaxed);
        self.update_peak(self.in_use.fetch_add(bytes, Relaxed) + bytes);
    }

    #[inline]
    fn update_peak(&self, in_use: usize) {
        if in_use > self.peak.load(Relaxed) {
            self.peak.fetch_max(in_use, Relaxed);
        }
    }

    /// Charges bytes unless the sum would exceed `limit`. The peak is updated by
    /// [`UsageCounter::confirm_charge`].
    #[inline]
    pub(crate) fn try_charge(&self, more: usize, limit: usize) -> bool {
        let fits = |now: usize| now.checked_add(more).filter(|&sum| sum <= limit);
        self.in_use.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    /// Reverts a charge.
    #[inline]
    pub(crate) fn uncharge(&self, more: usize) {
        self.in_use.fetch_sub(more, Relaxed);
    }

    /// Turns a charge into `blocks` more live blocks and updates the peak.
    #[inline]
    pub(crate) fn confirm_charge(&self, blocks: usize) {
        self.live.fetch_add(blocks, Relaxed);
        self.update_peak(self.in_use());
    }

    #[inline]
    pub(crate) fn record_free(&self, size: usize) {
        self.uncharge(size);
        self.record_freed_block();
    }

    /// Counts a freed block whose bytes are uncharged apart from it.
    #[inline]
    pub(crate) fn record_freed_block(&self) {
        self.live.fetch_sub(1, Relaxed);
    }

    pub(crate) fn resize(&self, old: usize, new: usize) {
        if new >= old {
            let now = self.in_use.fetch_add(new - old, Relaxed) + (new - old);
            self.peak.fetch_max(now, Relaxed);
        } else {
            self.in_use.fetch_sub(old - new, Relaxed);
        }
    }

    pub(crate) fn in_use(&self) -> usize {
        self.in_use.load(Relaxed)
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Relaxed).max(self.in_use())
    }

    pub(crate) fn reset_peak(&self) {
        self.peak.store(self.in_use(), Relaxed);
    }

    pub(crate) fn state(&self) -> ResourceState {
        let in_use = self.in_use();
        ResourceState {
            in_use,
            held: in_use,
            peak: self.peak(),
            live_blocks: self.live.load(Relaxed),
            largest_free: None,
            limit: None,
        }
    }
}
