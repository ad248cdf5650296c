//! A slab: equal blocks in one run of units, and which of them are free.
//!
//! Rests on nothing but the memory it is told of. What its owner changes stands in `Slab`, one cache line; what other threads
//! change stands apart from it (the arena's `remote`), so that a free from another thread does not take the owner's line away.
//! The list of free blocks is threaded through the blocks themselves where they are small. Wide slabs, whose blocks have 1 KiB or more,
//! have 64 of them at most: one word tells which are free, and a free block is not touched, which would fetch a cache line for nothing.
//! Blocks are carved as they are needed, so a fresh slab's later OS pages are not touched before they are lent.
#![expect(unsafe_code, reason = "threads a list through free blocks")]

use crate::heap::geometry::UNIT;
use crate::heap::slab::block_geometry::BlockGeometry;
use crate::sync::plain::{AtomicU32, Ordering::Relaxed};
use core::cell::Cell;
use core::ptr::{NonNull, null, null_mut};

/// The most units of a slab.
const MAX_SLAB_UNITS: usize = 8;
/// How many bytes of blocks are carved at once where they are touched then, and where they are not.
const CARVE_STEP_BYTES: usize = 4096;
const CARVE_STEP_BITMAP_BYTES: usize = UNIT;
/// How many blocks ahead of the one that is lent a line is asked for.
const PREFETCH_DISTANCE: usize = 4;
/// Up to which size of blocks: larger ones are taken one here and one there.
const PREFETCH_MAX_BLOCK_BYTES: usize = 2048;

/// How many units a slab of blocks of this size has: as few as have room for four, with a sixteenth left over at most. Small slabs are
/// empty sooner, and then of use for other sizes.
pub(crate) fn units_for(block: usize) -> usize {
    let fits = |&units: &usize| {
        let bytes = units * UNIT;
        bytes / block >= 4 && bytes % block * 16 <= bytes
    };
    (1..MAX_SLAB_UNITS).find(fits).unwrap_or(MAX_SLAB_UNITS)
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
pub(crate) enum ListKind {
    /// In none: free units, or the slab that its owner allocates from.
    None = 0,
    /// Among those with free blocks.
    Partial = 1,
    /// Among those without.
    Full = u8::MAX,
}

impl ListKind {
    /// Whether a slab that has so many blocks in use, now that one was given back, belongs elsewhere: each that was without free blocks
    /// does, and one that is empty. One comparison: no slab has as many blocks as the square of the largest number.
    #[inline(always)]
    pub(crate) fn must_relink(self, used: u32) -> bool {
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
    reciprocal: Cell<u32>,
    pub(crate) class: Cell<u8>,
    pub(crate) list: Cell<ListKind>,
    bitmap: Cell<bool>,
    pub(crate) units: Cell<u16>,
    /// How many of its slots are dry: free, on no list, with their memory given back.
    pub(crate) purged_slots: Cell<u16>,
    start: Cell<*mut u8>,
    pub(crate) next: Cell<*const Slab>,
    pub(crate) previous: Cell<*const Slab>,
}

const _: () = assert!(size_of::<Slab>() == 64, "one cache line");

impl Slab {
    /// A slab of no blocks, which stands for "none".
    pub(crate) const fn empty() -> Self {
        Self {
            free: Cell::new(null_mut()),
            free_bits: Cell::new(0),
            used: AtomicU32::new(0),
            carved: Cell::new(0),
            capacity: Cell::new(0),
            block: Cell::new(0),
            reciprocal: Cell::new(0),
            class: Cell::new(0),
            list: Cell::new(ListKind::None),
            bitmap: Cell::new(false),
            units: Cell::new(0),
            purged_slots: Cell::new(0),
            start: Cell::new(null_mut()),
            next: Cell::new(null()),
            previous: Cell::new(null()),
        }
    }

    /// Makes it a slab of `units` units at `start` with blocks of `block` bytes: of 1 KiB or more where it shall be wide.
    /// Its shape.
    pub(crate) fn init(
        &self,
        start: NonNull<u8>,
        units: usize,
        class: usize,
        block: usize,
        bitmap: bool,
    ) -> BlockGeometry {
        self.start.set(start.as_ptr());
        self.units.set(u16::try_from(units).unwrap_or(0));
        self.class.set(u8::try_from(class).unwrap_or(0));
        self.block.set(u32::try_from(block).unwrap_or(0));
        self.capacity.set(u16::try_from(units * UNIT / block).unwrap_or(0));
        self.list.set(ListKind::None);
        debug_assert!(!bitmap || units * UNIT / block <= 64, "one word");
        self.bitmap.set(bitmap);
        self.next.set(null());
        self.previous.set(null());
        self.reset();
        let geometry = BlockGeometry::new(self.block.get(), self.capacity.get(), self.class.get());
        self.reciprocal.set(geometry.reciprocal());
        geometry
    }

    /// Whether it was a slab of such blocks before it was given back; whether it is wide follows from the class. A span is not told from
    /// one that grew, and begins anew, as does a slab of such large blocks.
    pub(crate) fn matches(&self, units: usize, class: usize, block: usize) -> bool {
        usize::from(self.class.get()) == class
            && self.block.get() as usize == block
            && usize::from(self.units.get()) == units
            && block != UNIT
    }

    /// Forgets the list: every block is free and none carved. No slot is dry.
    pub(crate) fn reset(&self) {
        debug_assert_eq!(self.purged_slots.get(), 0, "what is dry is known to the arena");
        self.clear_free_list();
        self.used.store(0, Relaxed);
        self.carved.set(0);
    }

    /// Takes every block off the list.
    pub(crate) fn clear_free_list(&self) {
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
    pub(crate) fn uses_bitmap(&self) -> bool {
        self.bitmap.get()
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
    pub(crate) fn find_double_free(&self, bits: u64) -> Option<usize> {
        let never = u64::MAX.checked_shl(u32::from(self.carved.get())).unwrap_or(0);
        let twice = bits & (self.free_bits.get() | never);
        (twice != 0).then(|| self.address_of(twice.trailing_zeros() as usize))
    }

    /// What the blocks are.
    #[inline(always)]
    pub(crate) fn geometry(&self) -> BlockGeometry {
        BlockGeometry::from_parts(
            self.block.get(),
            self.reciprocal.get(),
            self.capacity.get(),
            self.class.get(),
        )
    }

    /// The address of the block of this number.
    #[cold]
    pub(crate) fn address_of(&self, block: usize) -> usize {
        self.start.get().addr() + block * self.block.get() as usize
    }

    /// Lends the first free block of a wide slab.
    #[inline(always)]
    pub(crate) fn pop_bit(&self) -> Option<NonNull<u8>> {
        let bits = self.free_bits.get();
        if bits == 0 {
            return None;
        }
        self.free_bits.set(bits & (bits - 1));
        self.set_used(self.used() + 1);
        let (block, size) = (bits.trailing_zeros(), self.block.get() as usize);
        let at = self.start.get().wrapping_add(block as usize * size);
        // where blocks are lent in a row, the first line of the one that is lent soon is on its way
        if size <= PREFETCH_MAX_BLOCK_BYTES && bits >> block >> PREFETCH_DISTANCE & 1 == 1 {
            arenite_pages::fetch_line(at.wrapping_add(PREFETCH_DISTANCE * size));
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
    pub(crate) fn set_fully_carved(&self) {
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
    pub(crate) fn bump_fresh(&self, out: &mut [NonNull<u8>]) -> usize {
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
        let bytes = if self.bitmap.get() { CARVE_STEP_BITMAP_BYTES } else { CARVE_STEP_BYTES };
        let count = u16::try_from((bytes / block).max(1)).unwrap_or(1).min(left);
        if self.bitmap.get() {
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
pub(crate) unsafe fn pop_block(slab: *const Slab) -> Option<NonNull<u8>> {
    // SAFETY: the caller's promise.
    unsafe { &*slab }.pop_bit().or_else(|| {
        // SAFETY: the caller's promise.
        unsafe { pop(slab) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_slab_leaves_its_place_always_and_a_partial_one_when_it_is_empty() {
        let most = u32::try_from(UNIT / 8).unwrap();
        for used in [0, 1, 2, 63, most] {
            let left = [ListKind::None, ListKind::Partial, ListKind::Full].map(|list| list.must_relink(used));
            assert_eq!(left, [false, used == 0, true], "{used}");
        }
    }

    #[test]
    fn a_slab_is_told_from_others_that_its_unit_was_and_a_span_from_none() {
        let (slab, start) = (Slab::empty(), NonNull::<u8>::dangling());
        assert!(!slab.matches(1, 0, 8), "it was none yet");
        slab.init(start, 1, 39, 1024, true);
        assert!(slab.matches(1, 39, 1024) && !slab.matches(1, 40, 1152) && !slab.matches(2, 39, 1024));
        slab.init(start, 2, 0, UNIT, false);
        slab.units.set(4);
        assert!(!slab.matches(4, 0, UNIT), "what is told of it is of two units");
    }
}
