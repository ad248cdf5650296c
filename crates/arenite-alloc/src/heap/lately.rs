//! Units that were given back lately, newest last.
//!
//! Rests on the arenas' tables, which say whether a unit is still free. What was just used is likely in the processor's caches, and its
//! addresses among those that are translated fast; so a slab of one unit gets the newest, and what lies idle longest is left to be given
//! back to the system.

use super::arena::Header;
use core::ptr::NonNull;

/// How many are remembered: 16 MiB of them.
const MOST: usize = 256;

/// A stack of units, of which the oldest is forgotten where there is no room. Under the heap's lock.
#[derive(Debug)]
pub(super) struct Lately {
    units: [Option<(NonNull<Header>, usize)>; MOST],
    /// Where the next one goes.
    next: usize,
}

impl Lately {
    pub(super) const NONE: Self = Self { units: [None; MOST], next: 0 };

    /// A unit was given back.
    pub(super) fn push(&mut self, header: NonNull<Header>, unit: usize) {
        self.units[self.next] = Some((header, unit));
        self.next = (self.next + 1) % MOST;
    }

    /// The newest of which `take` says that it could be taken: others have been, and are forgotten.
    pub(super) fn take(
        &mut self,
        mut take: impl FnMut(NonNull<Header>, usize) -> bool,
    ) -> Option<(NonNull<Header>, usize)> {
        loop {
            let newest = (self.next + MOST - 1) % MOST;
            let (header, unit) = self.units[newest].take()?;
            self.next = newest;
            if take(header, unit) {
                return Some((header, unit));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_is_free_comes_first_and_the_oldest_is_forgotten() {
        let (mut lately, header) = (Lately::NONE, NonNull::dangling());
        assert_eq!(lately.take(|_, _| true), None);
        (0..MOST + 10).for_each(|unit| lately.push(header, unit));
        assert_eq!(lately.take(|_, unit| unit % 2 == 0), Some((header, MOST + 8)));
        let rest: Vec<_> = core::iter::from_fn(|| lately.take(|_, _| true)).map(|(_, unit)| unit).collect();
        assert_eq!(rest, (10..MOST + 8).rev().collect::<Vec<_>>());
        lately.push(header, 1);
        assert_eq!((lately.take(|_, _| false), lately.take(|_, _| true)), (None, None));
    }
}
