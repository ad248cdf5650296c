//! Units of an arena that were given back lately, newest last.
//!
//! Rests on nothing. What was just used is likely in the processor's caches, and its addresses among those that are translated fast; so
//! who needs one unit gets the newest, and what lies idle longest is left to be given back to the system.

use core::cell::Cell;

/// How many are remembered: 16 MiB of them.
const MOST: usize = 256;

/// A stack of units, of which the oldest is forgotten where there is no room. Under the heap's lock. All zeroes is none: the first
/// unit of an arena is never free.
#[derive(Debug)]
pub(crate) struct Lately {
    units: [Cell<u16>; MOST],
    /// Where the next one goes.
    next: Cell<usize>,
}

impl Lately {
    /// A unit was given back.
    pub(crate) fn push(&self, unit: usize) {
        let next = self.next.get() % MOST;
        self.units[next].set(u16::try_from(unit).unwrap_or(0));
        self.next.set(next + 1);
    }

    /// The newest that is free still and has its memory; what else is met is forgotten.
    pub(crate) fn take(&self, is_ready: impl Fn(usize) -> bool) -> Option<usize> {
        loop {
            let newest = (self.next.get() + MOST - 1) % MOST;
            match self.units[newest].replace(0) {
                0 => return None,
                unit => {
                    self.next.set(newest);
                    if is_ready(unit.into()) {
                        return Some(unit.into());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_is_ready_comes_first_and_the_oldest_is_forgotten() {
        let lately = Lately { units: [const { Cell::new(0) }; MOST], next: Cell::new(0) };
        assert_eq!(lately.take(|_| true), None);
        (1..=MOST + 10).for_each(|unit| lately.push(unit));
        assert_eq!(lately.take(|unit| unit % 2 == 1), Some(MOST + 9));
        let rest: Vec<_> = core::iter::from_fn(|| lately.take(|_| true)).collect();
        assert_eq!(rest, (11..MOST + 9).rev().collect::<Vec<_>>());
        lately.push(1);
        assert_eq!((lately.take(|_| false), lately.take(|_| true)), (None, None));
    }
}
