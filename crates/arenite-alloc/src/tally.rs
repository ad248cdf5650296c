//! A tally: bytes and blocks in use and the peak, counted by many threads.
//!
//! Rests on relaxed atomics. The numbers are statistics: each is exact once the threads have met, and none guards memory.

use arenite_core::ResourceState;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts what is lent by a resource that keeps no numbers of its own.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    in_use: AtomicUsize,
    peak: AtomicUsize,
    live: AtomicUsize,
}

impl Tally {
    pub(crate) const fn new() -> Self {
        Self { in_use: AtomicUsize::new(0), peak: AtomicUsize::new(0), live: AtomicUsize::new(0) }
    }

    #[inline]
    pub(crate) fn add(&self, size: usize) {
        self.live.fetch_add(1, Relaxed);
        let now = self.in_use.fetch_add(size, Relaxed) + size;
        if now > self.peak.load(Relaxed) {
            self.peak.fetch_max(now, Relaxed);
        }
    }

    /// Adds a block, unless that would bring the bytes above `limit`.
    #[inline]
    pub(crate) fn try_add(&self, size: usize, limit: usize) -> bool {
        let added = self.try_resize(size, limit);
        if added {
            self.live.fetch_add(1, Relaxed);
        }
        added
    }

    /// Adds bytes to a block, unless that would bring them above `limit`.
    pub(crate) fn try_resize(&self, more: usize, limit: usize) -> bool {
        let fits = |now: usize| now.checked_add(more).filter(|&sum| sum <= limit);
        match self.in_use.fetch_update(Relaxed, Relaxed, fits) {
            Ok(before) => {
                self.peak.fetch_max(before + more, Relaxed);
                true
            }
            Err(_) => false,
        }
    }

    #[inline]
    pub(crate) fn remove(&self, size: usize) {
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
