//! A slab: equal blocks in one run of units, and which of them are free.
//!
//! Rests on nothing but the memory it is told of. What its owner changes stands in `Slab`, one cache line; what other threads
//! change stands apart from it (the arena's `remote`), so that a free from another thread does not take the owner's line away.
//! The list of free blocks is threaded through the blocks themselves where they are small. Wide slabs, whose blocks have 1 KiB or more,
//! have 64 of them at most: one word tells which are free, and a free block is not touched, which would fetch a cache line for nothing.
//! Blocks are carved as they are needed, so a fresh slab's later OS pages are not touched before they are lent.
#![expect(unsafe_code, reason = "threads a list through free blocks")]

use crate::sync::plain::{AtomicU32, Ordering::Relaxed};
use core::cell::Cell;
use core::ptr::{NonNull, null, null_mut};

/// The unit of a heap's arena: slabs and spans are whole units.
pub(crate) const UNIT: usize = 64 << 10;
/// The most units of a slab.
const UNITS_MOST: usize = 8;
/// How many bytes of blocks are carved at once where they are touched then, and where they are not.
const CARVE: usize = 4096;
const CARVE_WIDE: usize = UNIT;
/// How many blocks ahead of the one that is lent a line is asked for.
const AHEAD: usize = 4;
/// Up to which size of blocks: larger ones are taken one here and one there.
const AHEAD_SIZE: usize = 2048;

/// How many units a slab of blocks of this size has: as few as have room for four, with a sixteenth left over at most. Small slabs are
/// empty sooner, and then of use for other sizes.
pub(crate) fn units_for(block: usize) -> usize {
    let fits = |&units: &usize| {
        let bytes = units * UNIT;
        bytes / block >= 4 && bytes % block * 16 <= bytes
    };
    (1..UNITS_MOST).find(fits).unwrap_or(UNITS_MOST)
}

/// The blocks of a slab for everybody but its owner: their size, and what an offset is multiplied by to find which one it is in. Zero:
/// no slab.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Shape {
    size: u32,
    inverse: u32,
    blocks: u16,
    class: u8,
}

impl Shape {
    /// `size` is a multiple of 8, at most 64 KiB.
    fn of(size: u32, blocks: u16, class: u8) -> Self {
        // Rounded up, by less than `size`: the start of a block is found right as long as it is one of the first 2^32 / size. What is
        // found for another offset may be one too many, and is not that block's start.
        let inverse = if size == 0 { 0 } else { (1_u64 << 32).div_ceil(u64::from(size)) };
        Self { size, inverse: u32::try_from(inverse).unwrap_or(0), blocks, class }
    }

    /// The size of a block.
    #[inline]
    pub(crate) fn size(self) -> usize {
        self.size as usize
    }

    /// How many blocks are so many bytes, less than 64 KiB: no division, as every free of another thread's block asks.
    #[inline]
    pub(crate) fn blocks_in(self, bytes: u16) -> usize {
        ((u64::from(bytes) * u64::from(self.inverse)) >> 32) as usize
    }

    /// Its size class.
    #[inline]
    pub(crate) fn class(self) -> usize {
        usize::from(self.class)
    }

    /// Which block begins at this offset from the slab's start, in bytes; `None`: none does.
    #[inline]
    pub(crate) fn block_at(self, offset: usize) -> Option<usize> {
        // an offset far outside, for which the product wraps, is no multiple of the size below that is found
        let block = (offset as u64).wrapping_mul(u64::from(self.inverse)) >> 32;
        (block * u64::from(self.size) == offset as u64 && block < u64::from(self.blocks))
            .then_some(block as usize)
    }
}

/// A free block: it holds the next one.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Node {
    pub(crate) next: Cell<*mut Node>,
}

/// Which list of its owner a slab is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Place {
    /// In none: free units, or the slab that its owner allocates from.
    None = 0,
    /// Among those with free blocks.
    Partial = 1,
    /// Among those without.
    Full = u8::MAX,
}

impl Place {
    /// Whether a slab that has so many blocks in use, now that one was given back, belongs elsewhere: each that was without free blocks
    /// does, and one that is empty. One comparison: no slab has as many blocks as the square of the largest number.
    #[inline(always)]
    pub(crate) fn is_left_at(self, used: u32) -> bool {
        used < u32::from(self as u8) * u32::from(self as u8)
    }
}

/// What a slab's owner knows of it. All zero is a unit that is no slab.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Slab {
    /// The list of free blocks; none in a wide slab.
    pub(crate) free: Cell<*mut Node>,
    /// In a wide slab a bit for each free block.
    free_bits: Cell<u64>,
    /// Blocks lent and not known to be back: those that other threads gave back count until they are collected.
    used: AtomicU32,
    carved: Cell<u16>,
    capacity: Cell<u16>,
    pub(crate) block: Cell<u32>,
    /// See [`Shape`].
    inverse: Cell<u32>,
    pub(crate) class: Cell<u8>,
    pub(crate) place: Cell<Place>,
    wide: Cell<bool>,
    pub(crate) units: Cell<u16>,
    /// How many of its slots are dry: free, on no list, with their memory given back.
    pub(crate) dry: Cell<u16>,
    start: Cell<*mut u8>,
    pub(crate) next: Cell<*const Slab>,
    pub(crate) previous: Cell<*const Slab>,
}

const _: () = assert!(size_of::<Slab>() == 64, "one cache line");

impl Slab {
    /// A slab of no blocks, which stands for "none".
    pub(crate) const fn none() -> Self {
        Self {
            free: Cell::new(null_mut()),
            free_bits: Cell::new(0),
            used: AtomicU32::new(0),
            carved: Cell::new(0),
            capacity: Cell::new(0),
            block: Cell::new(0),
            inverse: Cell::new(0),
            class: Cell::new(0),
            place: Cell::new(Place::None),
            wide: Cell::new(false),
            units: Cell::new(0),
            dry: Cell::new(0),
            start: Cell::new(null_mut()),
            next: Cell::new(null()),
            previous: Cell::new(null()),
        }
    }

    /// Makes it a slab of `units` units at `start` with blocks of `block` bytes: of 1 KiB or more where it shall be wide.
    /// Its shape.
    pub(crate) fn begin(
        &self,
        start: NonNull<u8>,
        units: usize,
        class: usize,
        block: usize,
        wide: bool,
    ) -> Shape {
        self.start.set(start.as_ptr());
        self.units.set(u16::try_from(units).unwrap_or(0));
        self.class.set(u8::try_from(class).unwrap_or(0));
        self.block.set(u32::try_from(block).unwrap_or(0));
        self.capacity.set(u16::try_from(units * UNIT / block).unwrap_or(0));
        self.place.set(Place::None);
        debug_assert!(!wide || units * UNIT / block <= 64, "one word");
        self.wide.set(wide);
        self.next.set(null());
        self.previous.set(null());
        self.begin_again();
        let shape = Shape::of(self.block.get(), self.capacity.get(), self.class.get());
        self.inverse.set(shape.inverse);
        shape
    }

    /// Whether it was a slab of such blocks before it was given back; whether it is wide follows from the class. A span is not told from
    /// one that grew, and begins anew, as does a slab of such large blocks.
    pub(crate) fn was(&self, units: usize, class: usize, block: usize) -> bool {
        usize::from(self.class.get()) == class
            && self.block.get() as usize == block
            && usize::from(self.units.get()) == units
            && block != UNIT
    }

    /// Forgets the list: every block is free and none carved. No slot is dry.
    pub(crate) fn begin_again(&self) {
        debug_assert_eq!(self.dry.get(), 0, "what is dry is known to the arena");
        self.forget_free();
        self.used.store(0, Relaxed);
        self.carved.set(0);
    }

    /// Takes every block off the list.
    pub(crate) fn forget_free(&self) {
        self.free.set(null_mut());
        self.free_bits.set(0);
    }

    /// Whether a block is on the list.
    #[inline(always)]
    pub(crate) fn has_free(&self) -> bool {
        self.free_bits.get() != 0 || !self.free.get().is_null()
    }

    /// Whether one word tells which blocks are free.
    #[inline(always)]
    pub(crate) fn is_wide(&self) -> bool {
        self.wide.get()
    }

    /// Which blocks of a wide slab are free.
    pub(crate) fn free_bits(&self) -> u64 {
        self.free_bits.get()
    }

    /// Makes blocks of a wide slab free.
    #[inline(always)]
    pub(crate) fn add_free_bits(&self, bits: u64) {
        self.free_bits.set(self.free_bits.get() | bits);
    }

    /// The address of one of these blocks of a wide slab that is free already, or was never lent; `None`: all of them can be given back.
    #[inline(always)]
    pub(crate) fn given_twice(&self, bits: u64) -> Option<usize> {
        let never = u64::MAX.checked_shl(u32::from(self.carved.get())).unwrap_or(0);
        let twice = bits & (self.free_bits.get() | never);
        (twice != 0).then(|| self.address_of(twice.trailing_zeros() as usize))
    }

    /// What the blocks are.
    #[inline(always)]
    pub(crate) fn shape(&self) -> Shape {
        Shape {
            size: self.block.get(),
            inverse: self.inverse.get(),
            blocks: self.capacity.get(),
            class: self.class.get(),
        }
    }

    /// The address of the block of this number.
    #[cold]
    pub(crate) fn address_of(&self, block: usize) -> usize {
        self.start.get().addr() + block * self.block.get() as usize
    }

    /// Lends the first free block of a wide slab.
    #[inline(always)]
    pub(crate) fn lend_bit(&self) -> Option<NonNull<u8>> {
        let bits = self.free_bits.get();
        if bits == 0 {
            return None;
        }
        self.free_bits.set(bits & (bits - 1));
        self.set_used(self.used() + 1);
        let (block, size) = (bits.trailing_zeros(), self.block.get() as usize);
        let at = self.start.get().wrapping_add(block as usize * size);
        // where blocks are lent in a row, the first line of the one that is lent soon is on its way
        if size <= AHEAD_SIZE && bits >> block >> AHEAD & 1 == 1 {
            arenite_pages::fetch_line(at.wrapping_add(AHEAD * size));
        }
        NonNull::new(at)
    }

    /// Blocks lent and not known to be back. Its owner alone changes it; anybody may ask.
    #[inline(always)]
    pub(crate) fn used(&self) -> u32 {
        self.used.load(Relaxed)
    }

    /// Changes what [`Slab::used`] says; for the owner alone, so that it takes no locked operation.
    #[inline(always)]
    pub(crate) fn set_used(&self, used: u32) {
        self.used.store(used, Relaxed);
    }

    /// Makes every block one that is found by its address, and none on the list.
    pub(crate) fn all_carved(&self) {
        self.carved.set(self.capacity.get());
    }

    /// Blocks that it has room for.
    pub(crate) fn capacity(&self) -> u32 {
        u32::from(self.capacity.get())
    }

    /// Blocks that were lent at least once, or are on the list or dry.
    pub(crate) fn carved(&self) -> u32 {
        u32::from(self.carved.get())
    }

    /// The first byte.
    pub(crate) fn start(&self) -> *mut u8 {
        self.start.get()
    }

    /// Hands out blocks that were never lent, without touching one; how many.
    pub(crate) fn lend_fresh(&self, out: &mut [NonNull<u8>]) -> usize {
        let Some(start) = NonNull::new(self.start.get()) else { return 0 };
        let (block, carved) = (self.block.get() as usize, self.carved.get());
        let count = usize::from(self.capacity.get() - carved).min(out.len());
        for (index, slot) in out[..count].iter_mut().enumerate() {
            *slot = start.map_addr(|start| start.saturating_add((usize::from(carved) + index) * block));
        }
        let count = u16::try_from(count).unwrap_or(0);
        self.carved.set(carved + count);
        self.set_used(self.used() + u32::from(count));
        usize::from(count)
    }

    /// Puts more blocks on the list, in the order of their addresses. False: all of them were carved.
    ///
    /// # Safety
    /// The slab's units are committed and its owner's, and nothing is on the list.
    pub(crate) unsafe fn carve(&self) -> bool {
        let (block, carved) = (self.block.get() as usize, self.carved.get());
        let left = self.capacity.get() - carved;
        if left == 0 {
            return false;
        }
        let bytes = if self.wide.get() { CARVE_WIDE } else { CARVE };
        let count = u16::try_from((bytes / block).max(1)).unwrap_or(1).min(left);
        if self.wide.get() {
            let fresh = u64::MAX >> (64 - count) << carved;
            self.add_free_bits(fresh);
            self.carved.set(carved + count);
            return true;
        }
        let Some(start) = NonNull::new(self.start.get()) else { return false };
        let first = start.map_addr(|start| start.saturating_add(usize::from(carved) * block)).cast::<Node>();
        let mut at = first;
        for _ in 1..count {
            let next = at.map_addr(|at| at.saturating_add(block));
            // SAFETY: a block inside the slab, which nobody has; blocks are multiples of 8 from a unit's start.
            unsafe { at.write(Node { next: Cell::new(next.as_ptr()) }) };
            at = next;
        }
        // SAFETY: as above, the last of them.
        unsafe { at.write(Node { next: Cell::new(null_mut()) }) };
        self.free.set(first.as_ptr());
        self.carved.set(carved + count);
        true
    }
}

/// The first block on a slab's list.
///
/// # Safety
/// The slab is the calling thread's.
#[inline(always)]
pub(crate) unsafe fn pop(slab: *const Slab) -> Option<NonNull<u8>> {
    // SAFETY: the caller's promise.
    let slab = unsafe { &*slab };
    let block = NonNull::new(slab.free.get())?;
    // SAFETY: a block on the list is free and holds a node.
    slab.free.set(unsafe { block.as_ref() }.next.get());
    slab.set_used(slab.used() + 1);
    Some(block.cast())
}

/// The first free block of a slab of either kind.
///
/// # Safety
/// The slab is the calling thread's.
pub(crate) unsafe fn pop_any(slab: *const Slab) -> Option<NonNull<u8>> {
    // SAFETY: the caller's promise.
    unsafe { &*slab }.lend_bit().or_else(|| {
        // SAFETY: the caller's promise.
        unsafe { pop(slab) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::classes::SizeClasses;

    #[test]
    fn a_full_slab_leaves_its_place_always_and_a_partial_one_when_it_is_empty() {
        let most = u32::try_from(UNIT / 8).unwrap();
        for used in [0, 1, 2, 63, most] {
            let left = [Place::None, Place::Partial, Place::Full].map(|place| place.is_left_at(used));
            assert_eq!(left, [false, used == 0, true], "{used}");
        }
    }

    #[test]
    fn a_slab_is_told_from_others_that_its_unit_was_and_a_span_from_none() {
        let (slab, start) = (Slab::none(), NonNull::<u8>::dangling());
        assert!(!slab.was(1, 0, 8), "it was none yet");
        slab.begin(start, 1, 39, 1024, true);
        assert!(slab.was(1, 39, 1024) && !slab.was(1, 40, 1152) && !slab.was(2, 39, 1024));
        slab.begin(start, 2, 0, UNIT, false);
        slab.units.set(4);
        assert!(!slab.was(4, 0, UNIT), "what is told of it is of two units");
    }

    #[test]
    fn a_block_is_found_by_its_offset_and_nothing_between_two_is_one() {
        for table in [SizeClasses::Fine, SizeClasses::Binary] {
            for size in (0..table.count()).map(|class| table.size_of(class)) {
                let units = units_for(size);
                let blocks = units * UNIT / size;
                assert!(blocks >= 4 && units * UNIT % size * 16 <= units * UNIT, "{size}");
                let shape = Shape::of(u32::try_from(size).unwrap(), u16::try_from(blocks).unwrap(), 7);
                assert_eq!(shape.block_at(blocks * size), None, "behind the last");
                for bytes in [0, 7, 8, 1023, 1024, 10_000, 16 << 10, u16::MAX - 1, u16::MAX] {
                    assert_eq!(shape.blocks_in(bytes), usize::from(bytes) / size, "{size}");
                }
                for block in 0..blocks {
                    assert_eq!(shape.block_at(block * size), Some(block), "{size}");
                    for outside in [
                        usize::MAX,
                        usize::MAX - size + 1,
                        1 << 40,
                        0_usize.wrapping_sub(block * size + size),
                    ] {
                        assert_eq!(shape.block_at(outside), None, "{size}");
                    }
                    for between in [1, size / 2, size - 1].into_iter().filter(|&between| between > 0) {
                        assert_eq!(shape.block_at(block * size + between), None, "{size}");
                    }
                }
            }
        }
        assert_eq!(Shape::of(0, 0, 0).block_at(0), None);
    }
}
