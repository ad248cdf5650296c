//! The thread cache: blocks that this thread freed most recently, by size class (jemalloc:
//! tcache).
//!
//! A recently freed block is probably in the processor's caches, and its address in the TLB. So
//! the block serves the next request of its class wherever its slab lies. Neither the block nor
//! its slab is touched. (Bonwick and Adams, "Magazines and Vmem", 2001.)
//!
//! Each class has a bin of slots. A bin begins with an empty slot and ends with a sentinel. So one
//! load of a slot shows whether there is a block, or space for one.
#![expect(unsafe_code, reason = "follows a pointer into its own slots")]

use crate::heap::classes::SIZE_CLASS_COUNT;
use crate::util::sync::plain::{AtomicPtr, Ordering::Relaxed};
use core::cell::Cell;
use core::ptr::{NonNull, null_mut, without_provenance_mut};

/// Slots of a bin.
const SLOTS_PER_BIN: usize = 64;
/// Maximum number of cached blocks of a class.
const MAX_CACHED: usize = SLOTS_PER_BIN - 2;
/// Initial capacity of a bin: bytes, but at least so many blocks.
const INITIAL_CAPACITY: (usize, usize) = (64 << 10, 4);
/// Maximum capacity of a bin. With sizes in random order, the number of free blocks of a class
/// varies by about two dozen.
const MAX_BIN_CAPACITY: (usize, usize) = (512 << 10, 24);
/// Maximum capacity of all bins, in bytes.
const MAX_CACHED_BYTES: usize = 24 << 20;
/// Number of bins: a power of two above the number of classes, so that masking replaces a bounds
/// check.
pub(crate) const BIN_COUNT: usize = 128;
/// Marks the slot behind the last one of a bin.
const SENTINEL: *mut u8 = without_provenance_mut(1);

#[derive(Debug)]
#[repr(transparent)]
struct Slot(Cell<*mut u8>);

/// A bin without capacity, which each class has until its first slab.
struct EmptyBin([Slot; 2]);

// SAFETY: never written: the empty slot has no block to pop, and the sentinel refuses a push.
unsafe impl Sync for EmptyBin {}

static EMPTY_BIN: EmptyBin = EmptyBin([Slot(Cell::new(null_mut())), Slot(Cell::new(SENTINEL))]);

/// Returns a pointer to its second slot, with provenance over both: `pop` reads the slot before.
fn empty_bin() -> *mut Slot {
    EMPTY_BIN.0.as_ptr().wrapping_add(1).cast_mut()
}

/// The position of the next block in a class's bin: a slot of the bin but the first, or the second
/// one of `EMPTY_BIN`. Changed by its thread alone.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct CacheBin(AtomicPtr<Slot>);

impl CacheBin {
    /// Pops the most recently freed block.
    #[inline(always)]
    pub(crate) fn pop(&self) -> Option<NonNull<u8>> {
        let newest = self.0.load(Relaxed).wrapping_sub(1);
        // SAFETY: the position points into all slots of its bin, and is not the first, so the one
        // before is a slot. That slot belongs to this thread's cache, which is borrowed with the
        // bin, or to the static, which is never written. No other thread reads slots.
        let block = NonNull::new(unsafe { &*newest }.0.get())?;
        self.0.store(newest, Relaxed);
        Some(block)
    }

    /// Pushes a block. Returns whether there was space.
    #[inline(always)]
    pub(crate) fn push(&self, block: NonNull<u8>) -> bool {
        let bin = self.0.load(Relaxed);
        // SAFETY: the position is a slot, of this thread's cache or of the static.
        let slot = &unsafe { &*bin }.0;
        if slot.get() == SENTINEL {
            return false;
        }
        slot.set(block.as_ptr());
        self.0.store(bin.wrapping_add(1), Relaxed);
        true
    }
}

/// The cache of one thread. Zeroed memory, but for the bins.
///
/// It lies at a multiple of 4096, at the start of a thread heap. Blocks of 1 KiB and more start at
/// multiples of 1 KiB. So the fields used most lie in other cache sets than the starts of blocks.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct ThreadCache {
    bins: [CacheBin; BIN_COUNT],
    /// Capacity of all bins, in bytes.
    capacity_bytes: Cell<usize>,
    capacities: Capacities,
    slots: [Slot; SIZE_CLASS_COUNT * SLOTS_PER_BIN],
}

#[derive(Debug)]
#[repr(C, align(64))]
struct Capacities {
    /// Capacity of each bin, in blocks.
    capacity: [Cell<u8>; SIZE_CLASS_COUNT],
    /// Whether a bin was empty on an allocation since its capacity last changed.
    missed: [Cell<bool>; SIZE_CLASS_COUNT],
}

const _: () = assert!(
    core::mem::offset_of!(ThreadCache, capacities) % 1024 == 64
        && core::mem::offset_of!(ThreadCache, slots) % 1024 == 256,
    "off the lines that blocks begin in"
);

/// Returns how many blocks of `size` bytes fit in `bytes`, but at least `least`, and at most a
/// bin's slots.
fn blocks_within(size: usize, (bytes, least): (usize, usize)) -> usize {
    (bytes / size).max(least).min(MAX_CACHED)
}

impl ThreadCache {
    /// Initializes the cache without blocks, and without capacity until [`ThreadCache::init_bin`].
    pub(crate) fn init(&self) {
        self.bins.iter().for_each(|bin| bin.0.store(empty_bin(), Relaxed));
    }

    /// Sets the initial capacity of a bin whose blocks have `size` bytes, if it has none.
    pub(crate) fn init_bin(&self, class: usize, size: usize) {
        if self.bins[class].0.load(Relaxed) == empty_bin() {
            self.set_len(class, 0);
            self.set_capacity(class, size, blocks_within(size, INITIAL_CAPACITY));
        }
    }

    /// Returns the capacity of a bin, in blocks.
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

    /// Notes an allocation that neither the bin nor the current slab could serve.
    pub(crate) fn note_miss(&self, class: usize) {
        if self.capacity(class) > 0 && self.len(class) == 0 {
            self.capacities.missed[class].set(true);
        }
    }

    /// Doubles a bin's capacity if it missed since the last change: then as many blocks came and
    /// went as it holds. Returns whether it grew.
    pub(crate) fn grow(&self, class: usize, size: usize) -> bool {
        let capacity = self.capacity(class);
        let free = MAX_CACHED_BYTES.saturating_sub(self.capacity_bytes.get()) / size;
        let larger = (2 * capacity).min(capacity + free).min(blocks_within(size, MAX_BIN_CAPACITY));
        if larger <= capacity || !self.capacities.missed[class].replace(false) {
            return false;
        }
        self.set_capacity(class, size, larger);
        true
    }

    /// Resets every bin, all of which are empty, to its initial capacity.
    pub(crate) fn reset_capacities(&self, size_of: impl Fn(usize) -> usize) {
        for class in (0..SIZE_CLASS_COUNT).filter(|&class| self.capacity(class) > 0) {
            debug_assert_eq!(self.len(class), 0, "blocks would lie behind the sentinel");
            let size = size_of(class);
            self.set_capacity(class, size, blocks_within(size, INITIAL_CAPACITY));
            self.capacities.missed[class].set(false);
        }
    }

    fn bin_slots(&self, class: usize) -> &[Slot] {
        &self.slots[class * SLOTS_PER_BIN..][..SLOTS_PER_BIN]
    }

    fn set_len(&self, class: usize, count: usize) {
        // provenance over all slots: the position moves within the bin
        let bin = self.slots.as_ptr().wrapping_add(class * SLOTS_PER_BIN + 1 + count);
        self.bins[class].0.store(bin.cast_mut(), Relaxed);
    }

    /// Returns the bin of a size class.
    #[inline(always)]
    pub(crate) fn bin(&self, class: usize) -> &CacheBin {
        &self.bins[class % BIN_COUNT]
    }

    /// Returns the number of cached blocks of a class. Any thread may call this.
    pub(crate) fn len(&self, class: usize) -> usize {
        let bin = self.bins[class].0.load(Relaxed);
        if bin == empty_bin() {
            return 0;
        }
        (bin.addr() - self.bin_slots(class).as_ptr().addr()) / size_of::<Slot>() - 1
    }

    /// Removes the `number` oldest blocks of a class.
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

    const LAST: usize = SIZE_CLASS_COUNT - 1;
    /// Class, block size, initial and maximum capacity of a bin.
    const BINS: [(usize, usize, usize, usize); 4] =
        [(0, 8, 62, 62), (5, 4096, 16, 62), (40, 16 << 10, 4, 32), (LAST, 64 << 10, 4, 24)];

    fn block(number: usize) -> NonNull<u8> {
        NonNull::dangling().map_addr(|at| at.saturating_add(8 * (number + 1)))
    }

    fn fill(bin: &CacheBin) -> usize {
        (0..80).filter(|&number| bin.push(block(number))).count()
    }

    /// Returns a cache whose bins have grown to the maximum and are empty.
    fn grown() -> Box<ThreadCache> {
        // SAFETY: zeroes are null pointers, as in the memory of a new thread heap.
        let cache = unsafe { Box::<ThreadCache>::new_zeroed().assume_init() };
        cache.init();
        for (class, size, first, max) in BINS {
            let bin = cache.bin(class);
            assert!(!bin.push(block(0)) && bin.pop().is_none(), "no capacity at first");
            (0..2).for_each(|_| cache.init_bin(class, size));
            assert_eq!((fill(bin), cache.capacity(class)), (first, first));
            assert!(!cache.grow(class, size), "no miss yet");
            let mut capacity = first;
            while capacity < max {
                cache.note_miss(class);
                assert!(!cache.grow(class, size), "not empty at the miss");
                cache.pop_oldest(class, capacity, |_| {});
                cache.note_miss(class);
                assert_eq!(fill(bin), capacity);
                assert!(cache.grow(class, size) && !cache.grow(class, size));
                let larger = cache.capacity(class);
                assert_eq!((larger, fill(bin)), ((2 * capacity).min(max), larger - capacity));
                capacity = larger;
            }
            cache.pop_oldest(class, max, |_| {});
            cache.note_miss(class);
            assert_eq!(fill(bin), max);
            assert!(!cache.grow(class, size), "at the maximum");
            cache.pop_oldest(class, max, |_| {});
        }
        cache
    }

    #[test]
    fn bin_pops_newest_block_and_flushes_oldest() {
        let cache = grown();
        for (class, _, _, max) in BINS {
            let bin = cache.bin(class);
            assert_eq!((fill(bin), cache.len(class)), (max, max));
            let mut flushed = Vec::new();
            cache.pop_oldest(class, 1, |block| flushed.push(block));
            assert_eq!((flushed, cache.len(class)), (vec![block(0)], max - 1));
            let rest: Vec<_> = core::iter::from_fn(|| bin.pop()).collect();
            assert_eq!(rest, (1..max).rev().map(block).collect::<Vec<_>>());
            assert_eq!((cache.len(class), bin.pop()), (0, None));
            assert_eq!(fill(bin), max);
            cache.pop_oldest(class, usize::MAX, |_| {});
            assert_eq!(cache.len(class), 0);
        }
    }

    #[test]
    fn capacity_resets_and_is_bounded_over_all_bins() {
        let cache = grown();
        let held = BINS.map(|(_, size, _, max)| size * max).iter().sum::<usize>();
        assert_eq!(cache.capacity_bytes.get(), held);
        let size_of = |class| BINS.iter().find(|&&(it, ..)| it == class).map_or(8, |&(_, size, ..)| size);
        cache.note_miss(5);
        cache.reset_capacities(size_of);
        assert!(!cache.grow(5, 4096), "the miss was before the reset");
        assert_eq!(BINS.map(|(class, ..)| cache.capacity(class)), BINS.map(|(_, _, first, _)| first));
        // the capacity that other classes have is not available
        cache.capacity_bytes.set(MAX_CACHED_BYTES - 3 * (64 << 10));
        (0..2).for_each(|_| cache.note_miss(LAST));
        assert!(cache.grow(LAST, 64 << 10) && cache.capacity(LAST) == 7);
        cache.note_miss(LAST);
        assert!(!cache.grow(LAST, 64 << 10));
    }
}
