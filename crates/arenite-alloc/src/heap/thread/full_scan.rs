//! Whether a thread looks at full slabs of a class for blocks that came back, and at how many.
//!
//! Rests on nothing but numbers. The heap counts how often some slab of a class, of whichever thread, was the first to get a block back; where
//! that did not change since a thread looked at all of its slabs, none of them has any as a rule, and looking would fetch a cache line for
//! each. Now and then some are looked at even so: a thread that is late tells of the class that a slab had before, and one that a `fork`
//! left behind never tells.

use core::cell::Cell;

/// At how many slabs a thread looks before it takes a new one.
const LOOKS: u32 = 8;
/// At which of the times that nothing was told of some are looked at even so.
const QUIET: u32 = 16;

/// Of one class. All zeroes at first.
#[derive(Debug, Default)]
pub(crate) struct Looking {
    /// How often the heap had told of some when the thread began to look.
    told: Cell<u32>,
    /// How many slabs are to be looked at still. One that becomes full meanwhile was looked at just then, and so was one that is taken over full.
    left: Cell<u32>,
    /// How often nothing was told of.
    quiet: Cell<u32>,
}

impl Looking {
    /// At how many of `full` slabs to look now, from the one that was not looked at for longest. `told`: how often the heap has told of some.
    pub(crate) fn looks(&self, told: u32, full: u32) -> u32 {
        if self.left.get() == 0 {
            if self.told.replace(told) != told {
                self.left.set(full);
            } else {
                self.quiet.set(self.quiet.get().wrapping_add(1));
                if self.quiet.get().is_multiple_of(QUIET) {
                    self.left.set(full.min(LOOKS));
                }
            }
        }
        self.left.get().min(LOOKS)
    }

    /// One of them was looked at.
    pub(crate) fn looked(&self) {
        self.left.set(self.left.get().saturating_sub(1));
    }

    /// There are no slabs any more.
    pub(crate) fn end(&self) {
        self.left.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_looked_at_where_some_were_told_of_and_a_few_now_and_then() {
        let looking = Looking::default();
        let looks = |told, full| {
            let looks = looking.looks(told, full);
            (0..looks).for_each(|_| looking.looked());
            looks
        };
        assert_eq!(looking.looks(1, 20), 8);
        looking.looked();
        // the first of them had some: the others are still to be looked at
        assert_eq!(looks(1, 19), 8);
        // told of again while it looks: it looks at all once more afterwards
        assert_eq!((looks(2, 21), looks(2, 21)), (8, 3));
        assert_eq!((looks(2, 3), looks(2, 3)), (3, 0));
        let now_and_then: Vec<u32> = (0..32).map(|_| looks(2, 100)).collect();
        assert_eq!((now_and_then.iter().sum::<u32>(), now_and_then.iter().max()), (16, Some(&8)));
        looking.looks(3, 100);
        looking.end();
        assert_eq!(looking.looks(3, 0), 0);
    }
}
