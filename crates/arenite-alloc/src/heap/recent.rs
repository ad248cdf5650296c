//! Blocks that a thread gave back last, by class, newest last.
//!
//! Rests on nothing. What was just given back is likely in the processor's caches, and its address among those that are translated
//! fast; so it is the best answer to the next request of its class, wherever its slab lies. (Caches of objects by thread are as old as
//! Bonwick and Adams, "Magazines and Vmem", 2001.) Neither the blocks nor their slabs are touched: where sizes come and go in no
//! order, most calls end here.
//!
//! Each class has a row of slots, and a top: where the next block goes. A row begins with a slot of nothing and ends with one that is
//! marked, so one look at a slot tells whether there is a block, or room for one.
#![expect(unsafe_code, reason = "follows a pointer into its own slots")]

use super::classes::MOST;
use crate::sync::plain::{AtomicPtr, Ordering::Relaxed};
use core::cell::Cell;
use core::ptr::{NonNull, null_mut, without_provenance_mut};

/// Slots of a row.
const ROW: usize = 64;
/// The most blocks of a class that wait.
const DEPTH: usize = ROW - 2;
/// The most bytes of a class that wait, but as many blocks as `LEAST`: of sizes that come and go in no order, a dozen more or fewer are
/// free at one time than at another.
const BYTES: usize = 256 << 10;
const LEAST: usize = 12;
/// Classes that it has tops for: as many as seven bits tell apart, so that no class is out of bounds.
pub(super) const CLASSES: usize = 128;
/// Marks the slot behind the last: no block lies there.
const END: *mut u8 = without_provenance_mut(1);

#[derive(Debug)]
#[repr(transparent)]
struct Slot(Cell<*mut u8>);

/// A row without room, which each class has until a block of it waits.
struct Nowhere([Slot; 2]);

// SAFETY: never written: a slot of nothing has no block to take, and a marked one is not written to.
unsafe impl Sync for Nowhere {}

static NOWHERE: Nowhere = Nowhere([Slot(Cell::new(null_mut())), Slot(Cell::new(END))]);

/// A pointer into all of it: a top looks at the slot before, too.
fn nowhere() -> *mut Slot {
    NOWHERE.0.as_ptr().wrapping_add(1).cast_mut()
}

/// Where the next block of a class goes: a slot of its row but the first, or the second of `NOWHERE`. Its thread alone changes it.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct Top(AtomicPtr<Slot>);

impl Top {
    /// The newest.
    #[inline(always)]
    pub(super) fn pop(&self) -> Option<NonNull<u8>> {
        let newest = self.0.load(Relaxed).wrapping_sub(1);
        // SAFETY: a top is not the first slot of its row, and points into all of them, so the one before is a slot, too: of this thread's
        // part, which is borrowed with the top, or of the static, which nobody writes. No other thread looks at slots.
        let block = NonNull::new(unsafe { &*newest }.0.get())?;
        self.0.store(newest, Relaxed);
        Some(block)
    }

    /// Has a block wait; false where there is no room.
    #[inline(always)]
    pub(super) fn push(&self, block: NonNull<u8>) -> bool {
        let top = self.0.load(Relaxed);
        // SAFETY: a top is a slot, of which the same holds.
        let slot = &unsafe { &*top }.0;
        if slot.get() == END {
            return false;
        }
        slot.set(block.as_ptr());
        self.0.store(top.wrapping_add(1), Relaxed);
        true
    }
}

/// Of one thread.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Recent {
    tops: [Top; CLASSES],
    slots: [Slot; MOST * ROW],
}

impl Recent {
    /// Begins, without a block, and without room until [`Recent::begin_class`].
    pub(super) fn begin(&self) {
        self.tops.iter().for_each(|top| top.0.store(nowhere(), Relaxed));
    }

    /// The most blocks of so many bytes that wait.
    pub(super) const fn most(size: usize) -> usize {
        match BYTES / size {
            most @ LEAST..DEPTH => most,
            DEPTH.. => DEPTH,
            _ => LEAST,
        }
    }

    /// Makes room for blocks of a class, which are of `size` bytes, where there was none yet.
    pub(super) fn begin_class(&self, class: usize, size: usize) {
        if self.tops[class].0.load(Relaxed) == nowhere() {
            self.row(class)[Self::most(size) + 1].0.set(END);
            self.set_count(class, 0);
        }
    }

    fn row(&self, class: usize) -> &[Slot] {
        &self.slots[class * ROW..][..ROW]
    }

    fn set_count(&self, class: usize, count: usize) {
        // a pointer into all slots: it goes to others of the row from there
        let top = self.slots.as_ptr().wrapping_add(class * ROW + 1 + count);
        self.tops[class].0.store(top.cast_mut(), Relaxed);
    }

    /// Of a class.
    #[inline(always)]
    pub(super) fn top(&self, class: usize) -> &Top {
        &self.tops[class % CLASSES]
    }

    /// How many of a class wait. Anybody may ask.
    pub(super) fn count(&self, class: usize) -> usize {
        let top = self.tops[class].0.load(Relaxed);
        if top == nowhere() {
            return 0;
        }
        (top.addr() - self.row(class).as_ptr().addr()) / size_of::<Slot>() - 1
    }

    /// Takes the `number` oldest of a class.
    pub(super) fn pop_oldest(&self, class: usize, number: usize, mut visit: impl FnMut(NonNull<u8>)) {
        let count = self.count(class);
        let number = number.min(count);
        if number == 0 {
            return;
        }
        let blocks = &self.row(class)[1..=count];
        blocks[..number].iter().filter_map(|slot| NonNull::new(slot.0.get())).for_each(&mut visit);
        for at in number..count {
            blocks[at - number].0.set(blocks[at].0.get());
        }
        self.set_count(class, count - number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        // SAFETY: zeroes are null pointers, as in the fresh memory that a thread's part begins with.
        let recent = unsafe { Box::<Recent>::new_zeroed().assume_init() };
        recent.begin();
        let block =
            |number: usize| NonNull::<u8>::dangling().map_addr(|at| at.saturating_add(8 * (number + 1)));
        for (class, size, most) in [(0, 8, 62), (5, 4096, 62), (40, 16 << 10, 16), (MOST - 1, 64 << 10, 12)] {
            let top = recent.top(class);
            assert!(
                !top.push(block(0)) && top.pop().is_none() && recent.count(class) == 0,
                "no room at first"
            );
            (0..2).for_each(|_| recent.begin_class(class, size));
            assert_eq!(Recent::most(size), most);
            let waiting: Vec<usize> = (0..80).filter(|&number| top.push(block(number))).collect();
            assert_eq!(waiting, (0..most).collect::<Vec<_>>());
            let mut gone = Vec::new();
            recent.pop_oldest(class, 1, |block| gone.push(block));
            assert_eq!((gone, recent.count(class)), (vec![block(0)], most - 1));
            let rest: Vec<_> = core::iter::from_fn(|| top.pop()).collect();
            assert_eq!(rest, waiting.iter().skip(1).rev().map(|&number| block(number)).collect::<Vec<_>>());
            assert_eq!((recent.count(class), top.pop()), (0, None));
            assert!((0..most).all(|number| top.push(block(number))) && !top.push(block(most)));
            recent.pop_oldest(class, usize::MAX, |_| {});
            assert_eq!(recent.count(class), 0);
        }
    }
}
