//! Decay: memory that was free for a whole period is purged (jemalloc: dirty decay).
//!
//! The time is checked under the heap's lock, on calls that take it anyway, so a working heap
//! needs no thread for it. A program that idles starts one with [`Heap::decay_in_background`].
//! Purged memory was free at two successive ticks, so it is between one and two periods old.
#![expect(unsafe_code, reason = "reaches the shared part of a heap")]

use crate::heap::Heap;
use crate::heap::central::central::{Central, State};
use core::time::Duration;

impl Central {
    /// Purges what has expired, if the time is due for a check. `now` checks at once.
    #[inline]
    pub(crate) fn poll_decay(&self, state: &mut State, now: bool) {
        if state.clock.poll(now) {
            self.purge_expired(state);
        }
    }

    #[cold]
    fn purge_expired(&self, state: &mut State) {
        if state.clock.advance() {
            // blocks freed before the tick that has just ended are a whole period old
            let tick = state.clock.tick();
            state.large_cache.trim_before(tick - 1);
            state.for_each_segment(|segment| {
                segment.decommit_free(true);
                segment.age();
            });
            self.request_empty_trim();
        }
    }

    /// Checks the time, for callers with nothing else to do under the lock.
    pub(crate) fn tick(&self) {
        self.poll_decay(&mut self.lock(), true);
    }
}

impl Heap {
    /// Sets the decay period, see [`Heap::with_decay`]. A thread of [`Heap::decay_in_background`]
    /// keeps its period.
    pub fn set_decay(&self, period: Option<Duration>) {
        if let Some(central) = self.central_ptr() {
            // SAFETY: made by `init`, and the heap is borrowed.
            unsafe { central.as_ref() }.lock().clock.period = period;
        }
    }

    /// Sets whether the heap advises huge pages from now on, see [`Heap::with_huge_pages`].
    pub fn set_huge_pages(&self, enabled: bool) {
        if let Some(central) = self.central_ptr() {
            // SAFETY: made by `init`, and the heap is borrowed.
            let central = unsafe { central.as_ref() };
            let mut state = central.lock();
            state.huge_pages = enabled;
            state.for_each_segment(|segment| segment.allow_huge_advice(enabled));
        }
    }

    /// Starts a thread that checks the decay once per period, for programs that idle. Call it once:
    /// each call starts a thread.
    ///
    /// Idle threads of the program keep their empty slabs, thread caches and unposted remote frees;
    /// [`Heap`] has the limits.
    ///
    /// ```
    /// use arenite_alloc::Heap;
    /// static HEAP: Heap = Heap::new();
    /// HEAP.decay_in_background()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`std::io::Error`] if no thread can be started.
    pub fn decay_in_background(&'static self) -> std::io::Result<()> {
        let set = self.central().map(|central| central.lock().clock.period);
        let Some(period) = set.unwrap_or(self.decay()) else { return Ok(()) };
        std::thread::Builder::new().name("arenite decay".into()).stack_size(64 << 10).spawn(move || {
            loop {
                std::thread::sleep(period);
                if let Some(central) = self.central() {
                    central.tick();
                }
            }
        })?;
        Ok(())
    }
}
