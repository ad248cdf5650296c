//! Blocks of one class that a thread gave back last, newest last.
//!
//! Rests on nothing. What was just given back is likely in the processor's caches, and its address among those that are translated
//! fast; so it is the best answer to the next request of its class, wherever its slab lies. (Caches of objects by thread are as old as
//! Bonwick and Adams, "Magazines and Vmem", 2001; these hold few, as slabs have lists of their own.) The blocks themselves are
//! not touched. One cache line a class.

use crate::sync::plain::{AtomicU32, Ordering::Relaxed};
use core::cell::Cell;
use core::ptr::NonNull;

/// The most blocks that wait.
const MOST: usize = 7;
/// Blocks above this size do not wait: each would hold a large slab back.
const LARGE: usize = 16 << 10;

/// All zeroes is one that takes none.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Recent {
    blocks: [Cell<Option<NonNull<u8>>>; MOST],
    count: AtomicU32,
    most: Cell<u32>,
}

impl Recent {
    /// Makes it one for blocks of `size` bytes, of wide slabs or of others: those lie close together, and do not wait.
    pub(super) fn begin(&self, size: usize, wide: bool) {
        self.most.set(if wide && size <= LARGE { 7 } else { 0 });
    }

    /// How many wait. Its owner alone changes it; anybody may ask.
    #[inline(always)]
    pub(super) fn count(&self) -> u32 {
        self.count.load(Relaxed)
    }

    /// How many may wait.
    pub(super) fn most(&self) -> u32 {
        self.most.get()
    }

    /// The newest.
    #[inline(always)]
    pub(super) fn pop(&self) -> Option<NonNull<u8>> {
        let left = self.count().checked_sub(1)?;
        self.count.store(left, Relaxed);
        self.blocks.get(left as usize)?.get()
    }

    /// Has a block wait; false where as many wait as may.
    #[inline(always)]
    pub(super) fn push(&self, block: NonNull<u8>) -> bool {
        let count = self.count();
        if count >= self.most.get() {
            return false;
        }
        let Some(place) = self.blocks.get(count as usize) else { return false };
        place.set(Some(block));
        self.count.store(count + 1, Relaxed);
        true
    }

    /// Takes the `number` oldest.
    pub(super) fn pop_oldest(&self, number: u32, mut visit: impl FnMut(NonNull<u8>)) {
        let (number, count) = (number.min(self.count()) as usize, self.count() as usize);
        let gone = &self.blocks[..number];
        gone.iter().filter_map(Cell::get).for_each(&mut visit);
        for at in number..count {
            self.blocks[at - number].set(self.blocks[at].get());
        }
        self.count.store(u32::try_from(count - number).unwrap_or(0), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        let recent = Recent {
            blocks: [const { Cell::new(None) }; MOST],
            count: AtomicU32::new(0),
            most: Cell::new(0),
        };
        let block = |number: usize| NonNull::<u8>::dangling().map_addr(|at| at.saturating_add(number));
        assert!(!recent.push(block(0)), "none may wait at first");
        for (size, most) in [(960, 0), (1024, 7), (2048, 7), (16 << 10, 7), (18 << 10, 0)] {
            recent.begin(size, size > 960);
            assert_eq!(recent.most(), most);
            let waiting: Vec<usize> = (0..10).filter(|&number| recent.push(block(number))).collect();
            assert_eq!(waiting, (0..most as usize).collect::<Vec<_>>());
            let mut gone = Vec::new();
            recent.pop_oldest(2, |block| gone.push(block));
            assert_eq!(gone, waiting.iter().take(2).map(|&number| block(number)).collect::<Vec<_>>());
            let rest: Vec<_> = core::iter::from_fn(|| recent.pop()).collect();
            assert_eq!(rest, waiting.iter().skip(2).rev().map(|&number| block(number)).collect::<Vec<_>>());
            assert_eq!((recent.count(), recent.pop()), (0, None));
        }
    }
}
