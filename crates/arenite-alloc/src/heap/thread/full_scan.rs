//! Whether a thread looks at full slabs of a class for blocks that came back, and at how many.
//!
//! Rests on nothing but numbers. The heap counts how often some slab of a class, of whichever thread, was the first to get a block back; where
//! that did not change since a thread looked at all of its slabs, none of them has any as a rule, and looking would fetch a cache line for
//! each. Now and then some are looked at even so: a thread that is late tells of the class that a slab had before, and one that a `fork`
//! left behind never tells.

use core::cell::Cell;

/// At how many slabs a thread looks before it takes a new one.
const SCAN_BUDGET: u32 = 8;
/// At which of the times that nothing was told of some are looked at even so.
const IDLE_ROUNDS: u32 = 16;

/// Of one class. All zeroes at first.
#[derive(Debug, Default)]
pub(crate) struct ScanThrottle {
    /// How often the heap had told of some when the thread began to look.
    seen_epoch: Cell<u32>,
    /// How many slabs are to be looked at still. One that becomes full meanwhile was looked at just then, and so was one that is taken over full.
    remaining: Cell<u32>,
    /// How often nothing was told of.
    idle_rounds: Cell<u32>,
}

impl ScanThrottle {
    /// At how many of `full` slabs to look now, from the one that was not looked at for longest. `told`: how often the heap has told of some.
    pub(crate) fn budget(&self, epoch: u32, full: u32) -> u32 {
        if self.remaining.get() == 0 {
            if self.seen_epoch.replace(epoch) != epoch {
                self.remaining.set(full);
            } else {
                self.idle_rounds.set(self.idle_rounds.get().wrapping_add(1));
                if self.idle_rounds.get().is_multiple_of(IDLE_ROUNDS) {
                    self.remaining.set(full.min(SCAN_BUDGET));
                }
            }
        }
        self.remaining.get().min(SCAN_BUDGET)
    }

    /// One of them was looked at.
    pub(crate) fn note_scanned(&self) {
        self.remaining.set(self.remaining.get().saturating_sub(1));
    }

    /// There are no slabs any more.
    pub(crate) fn clear(&self) {
        self.remaining.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_looked_at_where_some_were_told_of_and_a_few_now_and_then() {
        let throttle = ScanThrottle::default();
        let budget = |epoch, full| {
            let budget = throttle.budget(epoch, full);
            (0..budget).for_each(|_| throttle.note_scanned());
            budget
        };
        assert_eq!(throttle.budget(1, 20), 8);
        throttle.note_scanned();
        // the first of them had some: the others are still to be looked at
        assert_eq!(budget(1, 19), 8);
        // told of again while it looks: it looks at all once more afterwards
        assert_eq!((budget(2, 21), budget(2, 21)), (8, 3));
        assert_eq!((budget(2, 3), budget(2, 3)), (3, 0));
        let now_and_then: Vec<u32> = (0..32).map(|_| budget(2, 100)).collect();
        assert_eq!((now_and_then.iter().sum::<u32>(), now_and_then.iter().max()), (16, Some(&8)));
        throttle.budget(3, 100);
        throttle.clear();
        assert_eq!(throttle.budget(3, 0), 0);
    }
}
