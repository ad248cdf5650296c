//! Units of an arena that were given back lately, newest last.
//!
//! Rests on nothing. What was just used is likely in the processor's caches, and its addresses among those that are translated fast; so
//! who needs one unit gets the newest, and what lies idle longest is left to be given back to the system.

use core::cell::Cell;

/// How many are remembered: 16 MiB of them.
const CAPACITY: usize = 256;

/// A stack of units, of which the oldest is forgotten where there is no room. Under the heap's lock. All zeroes is none: the first
/// unit of an arena is never free.
#[derive(Debug)]
pub(crate) struct FreeUnitStack {
    units: [Cell<u16>; CAPACITY],
    /// Where the next one goes.
    next: Cell<usize>,
}

impl FreeUnitStack {
    /// A unit was given back.
    pub(crate) fn push(&self, unit: usize) {
        let next = self.next.get() % CAPACITY;
        self.units[next].set(u16::try_from(unit).unwrap_or(0));
        self.next.set(next + 1);
    }

    /// The newest that is free still and has its memory; what else is met is forgotten.
    pub(crate) fn pop(&self, is_ready: impl Fn(usize) -> bool) -> Option<usize> {
        loop {
            let newest = (self.next.get() + CAPACITY - 1) % CAPACITY;
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
        let stack = FreeUnitStack { units: [const { Cell::new(0) }; CAPACITY], next: Cell::new(0) };
        assert_eq!(stack.pop(|_| true), None);
        (1..=CAPACITY + 10).for_each(|unit| stack.push(unit));
        assert_eq!(stack.pop(|unit| unit % 2 == 1), Some(CAPACITY + 9));
        let rest: Vec<_> = core::iter::from_fn(|| stack.pop(|_| true)).collect();
        assert_eq!(rest, (11..CAPACITY + 9).rev().collect::<Vec<_>>());
        stack.push(1);
        assert_eq!((stack.pop(|_| false), stack.pop(|_| true)), (None, None));
    }
}
