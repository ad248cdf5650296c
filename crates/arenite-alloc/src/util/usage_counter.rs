//! A counter: bytes and blocks in use and the peak, counted by many threads.
//!
//! Rests on relaxed atomics. The numbers are statistics: each is exact once the threads have met, and none guards memory.

use arenite_core::ResourceState;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts what is lent by a resource that keeps no numbers of its own.
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
        self.live.fetch_add(1, Relaxed);
        let now = self.in_use.fetch_add(size, Relaxed) + size;
        if now > self.peak.load(Relaxed) {
            self.peak.fetch_max(now, Relaxed);
        }
    }

    /// Charges bytes, unless that would bring them above `limit`. The peak is not touched before [`UsageCounter::confirm_charge`].
    #[inline]
    pub(crate) fn try_charge(&self, more: usize, limit: usize) -> bool {
        let fits = |now: usize| now.checked_add(more).filter(|&sum| sum <= limit);
        self.in_use.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    /// Takes a charge back.
    pub(crate) fn uncharge(&self, more: usize) {
        self.in_use.fetch_sub(more, Relaxed);
    }

    /// Makes a charge one for `blocks` more blocks.
    #[inline]
    pub(crate) fn confirm_charge(&self, blocks: usize) {
        self.live.fetch_add(blocks, Relaxed);
        let now = self.in_use.load(Relaxed);
        if now > self.peak.load(Relaxed) {
            self.peak.fetch_max(now, Relaxed);
        }
    }

    #[inline]
    pub(crate) fn record_free(&self, size: usize) {
        self.in_use.fetch_sub(size, Relaxed);
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
