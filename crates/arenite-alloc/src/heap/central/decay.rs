//! The clock of a heap: memory that nobody used for a while goes back to the system by itself.
//!
//! Rests on nothing but the time. The clock is looked at under the heap's lock, by whoever comes there, so a heap that works needs
//! no thread for it; a heap of a program that idles has one if it asks (`Heap::decay_in_background`). What is given back was free
//! at one tick and at the next, so it is between one period and two old.

#![expect(unsafe_code, reason = "reaches the shared part of a heap")]

use crate::heap::Heap;
use crate::heap::central::central::{Central, State};
use core::time::Duration;
use std::time::Instant;

/// How many small requests pass between two looks at the time.
const LOOKS: u32 = 64;

/// When the next tick is.
#[derive(Debug)]
pub(crate) struct Clock {
    period: Option<Duration>,
    last: Option<Instant>,
    tick: u64,
    looks: u32,
}

impl Clock {
    pub(crate) const fn new(period: Option<Duration>) -> Self {
        Self { period, last: None, tick: 1, looks: 0 }
    }

    /// The number of the tick that is to come.
    pub(crate) const fn tick(&self) -> u64 {
        self.tick
    }

    /// Whether a period has passed; begins the next one then.
    fn passed(&mut self) -> bool {
        let Some(period) = self.period else { return false };
        let now = Instant::now();
        let last = *self.last.get_or_insert(now);
        let passed = now.duration_since(last) >= period;
        if passed {
            self.last = Some(now);
            self.tick += 1;
        }
        passed
    }
}

impl Central {
    /// Looks at the time, where it was not looked at for some requests or `at_once`.
    #[inline]
    pub(crate) fn look_at_clock(&self, state: &mut State, at_once: bool) {
        state.clock.looks += 1;
        if (at_once || state.clock.looks >= LOOKS) && state.clock.period.is_some() {
            self.look(state);
        }
    }

    #[cold]
    fn look(&self, state: &mut State) {
        state.clock.looks = 0;
        if state.clock.passed() {
            let tick = state.clock.tick;
            // kept before the tick that has just begun ended, which is a whole period ago
            state.kept.trim_before(tick - 1);
            state.each_arena(|header| {
                header.decommit_free(true);
                header.age();
            });
            self.call_for_empty();
        }
    }

    /// One look at the time, for those that have nothing else to do here.
    pub(crate) fn tick(&self) {
        self.look_at_clock(&mut self.lock(), true);
    }
}

impl Heap {
    /// Changes how long memory is free before it goes back to the system by itself; see [`Heap::decaying`]. A thread of
    /// [`Heap::decay_in_background`] keeps its period.
    pub fn set_decay(&self, period: Option<Duration>) {
        if let Some(central) = self.shared() {
            // SAFETY: made by `begin`, and the heap is borrowed.
            unsafe { central.as_ref() }.lock().clock.period = period;
        }
    }

    /// Changes whether huge pages are asked for from now on; see [`Heap::on_huge_pages`].
    pub fn set_huge_pages(&self, wanted: bool) {
        if let Some(central) = self.shared() {
            // SAFETY: made by `begin`, and the heap is borrowed.
            let central = unsafe { central.as_ref() };
            let mut state = central.lock();
            state.huge = wanted;
            state.each_arena(|header| header.let_ask(wanted));
        }
    }

    /// Starts a thread that gives memory back while the program does nothing: once a period, all that was free for one. What
    /// idle threads keep stays theirs: up to 2 MiB of empty slabs, the blocks that they freed last ([`Heap`] says how many), and up to 16 KiB of each size
    /// that they freed for other threads. Twice is once more: ask once.
    ///
    /// ```
    /// use arenite_alloc::Heap;
    /// static HEAP: Heap = Heap::new();
    /// HEAP.decay_in_background()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`std::io::Error`] where no thread can be started.
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
