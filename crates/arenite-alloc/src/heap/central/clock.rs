//! The ticks of a heap's decay.

use core::time::Duration;
use std::time::Instant;

/// Number of polls under the heap's lock between two checks of the time.
const POLLS_PER_CLOCK_CHECK: u32 = 64;

/// A clock that advances by one tick per decay period, under the heap's lock.
#[derive(Debug)]
pub(crate) struct Clock {
    pub(crate) period: Option<Duration>,
    last: Option<Instant>,
    tick: u64,
    polls: u32,
}

impl Clock {
    pub(crate) const fn new(period: Option<Duration>) -> Self {
        Self { period, last: None, tick: 1, polls: 0 }
    }

    /// Returns the number of the coming tick.
    pub(crate) const fn tick(&self) -> u64 {
        self.tick
    }

    /// Counts a request. Returns whether the time is due for a check: at once if `now`, else after
    /// some requests.
    #[inline]
    pub(crate) fn poll(&mut self, now: bool) -> bool {
        self.polls += 1;
        (now || self.polls >= POLLS_PER_CLOCK_CHECK) && self.period.is_some()
    }

    /// Advances the clock by a tick if a period has passed. Returns whether it did.
    pub(crate) fn advance(&mut self) -> bool {
        self.polls = 0;
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
