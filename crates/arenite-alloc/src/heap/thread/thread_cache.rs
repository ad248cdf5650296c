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

use crate::heap::classes::SIZE_CLASS_COUNT;
use crate::sync::plain::{AtomicPtr, Ordering::Relaxed};
use core::cell::Cell;
use core::ptr::{NonNull, null_mut, without_provenance_mut};

/// Slots of a row.
const SLOTS_PER_BIN: usize = 64;
/// The most blocks of a class that wait.
const MAX_CACHED: usize = SLOTS_PER_BIN - 2;
/// How many bytes of a class wait at first, but as many blocks as the second.
const INITIAL_CAPACITY: (usize, usize) = (64 << 10, 4);
/// The same at most: of sizes that come and go in no order, two dozen more or fewer are free at one time than at another.
const MAX_BIN_CAPACITY: (usize, usize) = (512 << 10, 24);
/// The most bytes of all classes for which there is room.
const MAX_CACHED_BYTES: usize = 24 << 20;
/// Classes that it has tops for: as many as seven bits tell apart, so that no class is out of bounds.
pub(crate) const BIN_COUNT: usize = 128;
/// Marks the slot behind the last: no block lies there.
const SENTINEL: *mut u8 = without_provenance_mut(1);

#[derive(Debug)]
#[repr(transparent)]
struct Slot(Cell<*mut u8>);

/// A row without room, which each class has until a block of it waits.
struct EmptyBin([Slot; 2]);

// SAFETY: never written: a slot of nothing has no block to take, and a marked one is not written to.
unsafe impl Sync for EmptyBin {}

static EMPTY_BIN: EmptyBin = EmptyBin([Slot(Cell::new(null_mut())), Slot(Cell::new(SENTINEL))]);

/// A pointer into all of it: a top looks at the slot before, too.
fn empty_bin() -> *mut Slot {
    EMPTY_BIN.0.as_ptr().wrapping_add(1).cast_mut()
}

/// Where the next block of a class goes: a slot of its row but the first, or the second of `NOWHERE`. Its thread alone changes it.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct CacheBin(AtomicPtr<Slot>);

impl CacheBin {
    /// The newest.
    #[inline(always)]
    pub(crate) fn pop(&self) -> Option<NonNull<u8>> {
        let newest = self.0.load(Relaxed).wrapping_sub(1);
        // SAFETY: a top is not the first slot of its row, and points into all of them, so the one before is a slot, too: of this thread's
        // part, which is borrowed with the top, or of the static, which nobody writes. No other thread looks at slots.
        let block = NonNull::new(unsafe { &*newest }.0.get())?;
        self.0.store(newest, Relaxed);
        Some(block)
    }

    /// Has a block wait; false where there is no room.
    #[inline(always)]
    pub(crate) fn push(&self, block: NonNull<u8>) -> bool {
        let top = self.0.load(Relaxed);
        // SAFETY: a top is a slot, of which the same holds.
        let slot = &unsafe { &*top }.0;
        if slot.get() == SENTINEL {
            return false;
        }
        slot.set(block.as_ptr());
        self.0.store(top.wrapping_add(1), Relaxed);
        true
    }
}

/// Of one thread. All zeroes but for the tops at first.
///
/// It lies at a multiple of 4096, as blocks of 1 KiB and more do at multiples of 1 KiB: what is used often is not in a line that they begin
/// in, of which the processor's caches have few places.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct ThreadCache {
    bins: [CacheBin; BIN_COUNT],
    /// For how many bytes of all classes there is room.
    capacity_bytes: Cell<usize>,
    capacities: Capacities,
    slots: [Slot; SIZE_CLASS_COUNT * SLOTS_PER_BIN],
}

#[derive(Debug)]
#[repr(C, align(64))]
struct Capacities {
    /// For how many blocks of each class there is room.
    capacity: [Cell<u8>; SIZE_CLASS_COUNT],
    /// Whether there were too few of a class since it got more room.
    missed: [Cell<bool>; SIZE_CLASS_COUNT],
}

const _: () = assert!(
    core::mem::offset_of!(ThreadCache, capacities) % 1024 == 64
        && core::mem::offset_of!(ThreadCache, slots) % 1024 == 256,
    "off the lines that blocks begin in"
);

/// How many blocks of `size` bytes are so many bytes, or so many blocks if that is more; at most a row.
fn blocks_within(size: usize, (bytes, least): (usize, usize)) -> usize {
    (bytes / size).max(least).min(MAX_CACHED)
}

impl ThreadCache {
    /// Begins, without a block, and without room until [`Recent::begin_class`].
    pub(crate) fn init(&self) {
        self.bins.iter().for_each(|top| top.0.store(empty_bin(), Relaxed));
    }

    /// Makes room for blocks of a class, which are of `size` bytes, where there was none yet.
    pub(crate) fn init_bin(&self, class: usize, size: usize) {
        if self.bins[class].0.load(Relaxed) == empty_bin() {
            self.set_len(class, 0);
            self.set_capacity(class, size, blocks_within(size, INITIAL_CAPACITY));
        }
    }

    /// For how many blocks of a class there is room.
    pub(crate) fn capacity(&self, class: usize) -> usize {
        usize::from(self.capacities.capacity[class].get())
    }

    fn set_capacity(&self, class: usize, size: usize, capacity: usize) {
        let before = self.capacity(class);
        self.bin_slots(class)[before + 1].0.set(null_mut());
        self.bin_slots(class)[capacity + 1].0.set(SENTINEL);
        self.capacities.capacity[class].set(u8::try_from(capacity).unwrap_or(0));
        self.capacity_bytes.set(self.capacity_bytes.get() + capacity * size - before * size);
    }

    /// One of a class was asked for that has a row, where none waits and its slab has none.
    pub(crate) fn note_miss(&self, class: usize) {
        if self.capacity(class) > 0 && self.len(class) == 0 {
            self.capacities.missed[class].set(true);
        }
    }

    /// Makes room for twice as many blocks of a class that has none left, where there were too few of it since it got that room: then as
    /// many came and went as it has room for. False: it stays as it is.
    pub(crate) fn grow(&self, class: usize, size: usize) -> bool {
        let capacity = self.capacity(class);
        let free = MAX_CACHED_BYTES.saturating_sub(self.capacity_bytes.get()) / size;
        let wider = (2 * capacity).min(capacity + free).min(blocks_within(size, MAX_BIN_CAPACITY));
        if wider <= capacity || !self.capacities.missed[class].replace(false) {
            return false;
        }
        self.set_capacity(class, size, wider);
        true
    }

    /// Each class, none of whose blocks waits, has the room that it began with.
    pub(crate) fn reset_capacities(&self, size_of: impl Fn(usize) -> usize) {
        for class in (0..SIZE_CLASS_COUNT).filter(|&class| self.capacity(class) > 0) {
            debug_assert_eq!(self.len(class), 0, "they would lie behind the end");
            let size = size_of(class);
            self.set_capacity(class, size, blocks_within(size, INITIAL_CAPACITY));
            self.capacities.missed[class].set(false);
        }
    }

    fn bin_slots(&self, class: usize) -> &[Slot] {
        &self.slots[class * SLOTS_PER_BIN..][..SLOTS_PER_BIN]
    }

    fn set_len(&self, class: usize, count: usize) {
        // a pointer into all slots: it goes to others of the row from there
        let top = self.slots.as_ptr().wrapping_add(class * SLOTS_PER_BIN + 1 + count);
        self.bins[class].0.store(top.cast_mut(), Relaxed);
    }

    /// Of a class.
    #[inline(always)]
    pub(crate) fn bin(&self, class: usize) -> &CacheBin {
        &self.bins[class % BIN_COUNT]
    }

    /// How many of a class wait. Anybody may ask.
    pub(crate) fn len(&self, class: usize) -> usize {
        let top = self.bins[class].0.load(Relaxed);
        if top == empty_bin() {
            return 0;
        }
        (top.addr() - self.bin_slots(class).as_ptr().addr()) / size_of::<Slot>() - 1
    }

    /// Takes the `number` oldest of a class.
    pub(crate) fn pop_oldest(&self, class: usize, number: usize, mut visit: impl FnMut(NonNull<u8>)) {
        let count = self.len(class);
        let number = number.min(count);
        if number == 0 {
            return;
        }
        let blocks_within = &self.bin_slots(class)[1..=count];
        blocks_within[..number].iter().filter_map(|slot| NonNull::new(slot.0.get())).for_each(&mut visit);
        for at in number..count {
            blocks_within[at - number].0.set(blocks_within[at].0.get());
        }
        self.set_len(class, count - number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        // SAFETY: zeroes are null pointers, as in the fresh memory that a thread's part begins with.
        let recent = unsafe { Box::<ThreadCache>::new_zeroed().assume_init() };
        recent.init();
        let block =
            |number: usize| NonNull::<u8>::dangling().map_addr(|at| at.saturating_add(8 * (number + 1)));
        let sizes = [
            (0, 8, 62, 62),
            (5, 4096, 16, 62),
            (40, 16 << 10, 4, 32),
            (SIZE_CLASS_COUNT - 1, 64 << 10, 4, 24),
        ];
        for (class, size, first, most) in sizes {
            let top = recent.bin(class);
            assert!(!top.push(block(0)) && top.pop().is_none() && recent.len(class) == 0, "no room at first");
            (0..2).for_each(|_| recent.init_bin(class, size));
            let fill = || (0..80).filter(|&number| top.push(block(number))).count();
            assert_eq!((fill(), recent.capacity(class)), (first, first));
            assert!(!recent.grow(class, size), "it was never short");
            let mut capacity = first;
            while capacity < most {
                recent.note_miss(class);
                assert!(!recent.grow(class, size), "some waited");
                recent.pop_oldest(class, capacity, |_| {});
                recent.note_miss(class);
                assert_eq!(fill(), capacity);
                assert!(recent.grow(class, size) && !recent.grow(class, size));
                let wider = recent.capacity(class);
                assert_eq!((wider, fill()), ((2 * capacity).min(most), wider - capacity));
                capacity = wider;
            }
            recent.pop_oldest(class, most, |_| {});
            recent.note_miss(class);
            assert_eq!(fill(), most);
            assert!(!recent.grow(class, size), "never more");
            recent.pop_oldest(class, most, |_| {});
            let waiting: Vec<usize> = (0..80).filter(|&number| top.push(block(number))).collect();
            assert_eq!(waiting, (0..most).collect::<Vec<_>>());
            let mut gone = Vec::new();
            recent.pop_oldest(class, 1, |block| gone.push(block));
            assert_eq!((gone, recent.len(class)), (vec![block(0)], most - 1));
            let rest: Vec<_> = core::iter::from_fn(|| top.pop()).collect();
            assert_eq!(rest, waiting.iter().skip(1).rev().map(|&number| block(number)).collect::<Vec<_>>());
            assert_eq!((recent.len(class), top.pop()), (0, None));
            assert!((0..most).all(|number| top.push(block(number))) && !top.push(block(most)));
            recent.pop_oldest(class, usize::MAX, |_| {});
            assert_eq!(recent.len(class), 0);
        }
        let held = sizes.map(|(_, size, _, most)| size * most).iter().sum::<usize>();
        assert_eq!(recent.capacity_bytes.get(), held);
        let size_of = |class| sizes.iter().find(|&&(it, ..)| it == class).map_or(8, |&(_, size, ..)| size);
        recent.note_miss(5);
        recent.reset_capacities(size_of);
        assert!(!recent.grow(5, 4096), "it was short of what it had before");
        assert_eq!(sizes.map(|(class, ..)| recent.capacity(class)), sizes.map(|(_, _, first, _)| first));
        // what other classes have is not there
        recent.capacity_bytes.set(MAX_CACHED_BYTES - 3 * (64 << 10));
        (0..2).for_each(|_| recent.note_miss(SIZE_CLASS_COUNT - 1));
        assert!(recent.grow(SIZE_CLASS_COUNT - 1, 64 << 10) && recent.capacity(SIZE_CLASS_COUNT - 1) == 7);
        recent.note_miss(SIZE_CLASS_COUNT - 1);
        assert!(!recent.grow(SIZE_CLASS_COUNT - 1, 64 << 10));
    }
}
