//! A slab: blocks of one size in a run of units, and which of them are free (mimalloc: page).
//!
//! The owner's fields fill one cache line, [`Slab`]. The bits that other threads set lie elsewhere
//! (the segment's `remote`), so a remote free does not evict the owner's line. Small blocks form a
//! free list through the blocks. A slab of blocks of 1 KiB and more has at most 64 of them. A
//! bitmap of one word tracks them, and a free does not touch the block. Blocks are carved on
//! demand, so later OS pages of a fresh slab stay untouched.
#![expect(unsafe_code, reason = "threads a list through free blocks")]

use crate::heap::geometry::UNIT;
use crate::heap::slab::block_geometry::BlockGeometry;
use crate::util::sync::plain::{AtomicU32, Ordering::Relaxed};
use core::cell::Cell;
use core::ptr::{NonNull, null, null_mut};

/// Maximum number of units of a slab.
const MAX_SLAB_UNITS: usize = 8;
/// Bytes of blocks carved at once: small where carving touches the blocks.
const CARVE_STEP_BYTES: usize = 4096;
const CARVE_STEP_BITMAP_BYTES: usize = UNIT;
/// Distance between an allocated block and the block whose first line is prefetched, in blocks.
const PREFETCH_DISTANCE: usize = 4;
/// Largest block that is prefetched. Larger ones are allocated too rarely in a row.
const PREFETCH_MAX_BLOCK_BYTES: usize = 2048;

/// Returns the number of units of a slab for blocks of this size: the fewest that hold four blocks
/// and waste at most a sixteenth. Small slabs become empty sooner and then serve other sizes.
pub(crate) fn units_for(block: usize) -> usize {
    let fits = |&units: &usize| {
        let bytes = units * UNIT;
        bytes / block >= 4 && bytes % block * 16 <= bytes
    };
    (1..MAX_SLAB_UNITS).find(fits).unwrap_or(MAX_SLAB_UNITS)
}

/// A free block, which holds the link to the next one.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Node {
    pub(crate) next: Cell<*mut Node>,
}

/// The list of its owner that a slab is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ListKind {
    /// No list: free units, or the slab that its owner allocates from.
    None = 0,
    /// The slabs with free blocks.
    Partial = 1,
    /// The slabs without free blocks.
    Full = u8::MAX,
}

impl ListKind {
    /// Returns whether the slab must move to another list after a free left `used` blocks in use:
    /// it was full, or it is now empty. One comparison: no slab has as many blocks as 255².
    #[inline(always)]
    pub(crate) fn must_relink(self, used: u32) -> bool {
        used < u32::from(self as u8) * u32::from(self as u8)
    }
}

/// The owner's metadata of a slab. All zeroes: a unit without a slab.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Slab {
    /// Free list; empty in a bitmap slab.
    pub(crate) free: Cell<*mut Node>,
    /// Bitmap of free blocks; zero in a slab with a free list.
    free_bits: Cell<u64>,
    /// Blocks allocated. Remote frees count as allocated until they are collected.
    used: AtomicU32,
    carved: Cell<u16>,
    capacity: Cell<u16>,
    pub(crate) block: Cell<u32>,
    /// Multiplier of [`BlockGeometry`].
    reciprocal: Cell<u32>,
    pub(crate) class: Cell<u8>,
    pub(crate) list: Cell<ListKind>,
    bitmap: Cell<bool>,
    pub(crate) units: Cell<u16>,
    /// Slots whose memory was purged; their free blocks are not on the free list.
    pub(crate) purged_slots: Cell<u16>,
    start: Cell<*mut u8>,
    pub(crate) next: Cell<*const Slab>,
    pub(crate) previous: Cell<*const Slab>,
}

const _: () = assert!(size_of::<Slab>() == 64, "one cache line");

impl Slab {
    /// Returns a slab without blocks.
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

    /// Initializes a slab of `units` units at `start` with blocks of `block` bytes; with a bitmap
    /// if `bitmap`. Returns its geometry.
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
        self.reciprocal.set(geometry.reciprocal);
        geometry
    }

    /// Returns whether the unit last held a slab of this class and size, whose metadata can be
    /// reused. Spans never match, because a span may have grown.
    pub(crate) fn matches(&self, units: usize, class: usize, block: usize) -> bool {
        usize::from(self.class.get()) == class
            && self.block.get() as usize == block
            && usize::from(self.units.get()) == units
            && block != UNIT
    }

    /// Resets the slab: no block is allocated or carved. No slot may be purged.
    pub(crate) fn reset(&self) {
        debug_assert_eq!(self.purged_slots.get(), 0, "purged slots must be cleared first");
        self.clear_free_list();
        self.used.store(0, Relaxed);
        self.carved.set(0);
    }

    /// Clears the free list and the bitmap.
    pub(crate) fn clear_free_list(&self) {
        self.free.set(null_mut());
        self.free_bits.set(0);
    }

    /// Returns whether a free block is on the list or in the bitmap.
    #[inline(always)]
    pub(crate) fn has_free(&self) -> bool {
        self.free_bits.get() != 0 || !self.free.get().is_null()
    }

    /// Returns whether a bitmap tracks the free blocks.
    #[inline(always)]
    pub(crate) fn uses_bitmap(&self) -> bool {
        self.bitmap.get()
    }

    /// Returns the bitmap of free blocks.
    pub(crate) fn free_bits(&self) -> u64 {
        self.free_bits.get()
    }

    /// Adds blocks to the bitmap of free blocks.
    #[inline(always)]
    pub(crate) fn add_free_bits(&self, bits: u64) {
        self.free_bits.set(self.free_bits.get() | bits);
    }

    /// Returns the address of one of these blocks that is free already or was never allocated, or
    /// `None` if all of them can be freed.
    #[inline(always)]
    pub(crate) fn find_double_free(&self, bits: u64) -> Option<usize> {
        let never = u64::MAX.checked_shl(u32::from(self.carved.get())).unwrap_or(0);
        let twice = bits & (self.free_bits.get() | never);
        (twice != 0).then(|| self.address_of(twice.trailing_zeros() as usize))
    }

    /// Returns the geometry of the blocks.
    #[inline(always)]
    pub(crate) fn geometry(&self) -> BlockGeometry {
        BlockGeometry {
            size: self.block.get(),
            reciprocal: self.reciprocal.get(),
            blocks: self.capacity.get(),
            class: self.class.get(),
        }
    }

    /// Returns the address of a block.
    #[cold]
    pub(crate) fn address_of(&self, block: usize) -> usize {
        self.start.get().addr() + block * self.block.get() as usize
    }

    /// Allocates the first free block of the bitmap.
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
        // blocks allocated in a row: prefetch the first line of the one that comes soon
        if size <= PREFETCH_MAX_BLOCK_BYTES && bits >> block >> PREFETCH_DISTANCE & 1 == 1 {
            arenite_pages::prefetch_read_line(at.wrapping_add(PREFETCH_DISTANCE * size));
        }
        NonNull::new(at)
    }

    /// Returns the number of allocated blocks. The owner alone changes it; any thread may read it.
    #[inline(always)]
    pub(crate) fn used(&self) -> u32 {
        self.used.load(Relaxed)
    }

    /// Sets the number of allocated blocks; for the owner alone, so no atomic read-modify-write is
    /// needed.
    #[inline(always)]
    pub(crate) fn set_used(&self, used: u32) {
        self.used.store(used, Relaxed);
    }

    /// Marks every block as carved, and none as free.
    pub(crate) fn set_fully_carved(&self) {
        self.carved.set(self.capacity.get());
    }

    /// Returns the number of blocks that fit.
    pub(crate) fn capacity(&self) -> u32 {
        u32::from(self.capacity.get())
    }

    /// Returns the number of carved blocks: allocated, free, or purged.
    pub(crate) fn carved(&self) -> u32 {
        u32::from(self.carved.get())
    }

    /// Returns the first byte.
    pub(crate) fn start(&self) -> *mut u8 {
        self.start.get()
    }

    /// Allocates blocks that were never carved, without touching them. Returns how many.
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

    /// Carves more blocks and adds them to the free list in address order. Returns whether there
    /// were any.
    ///
    /// # Safety
    /// The slab's units are committed, the calling thread owns the slab, and its free list is
    /// empty.
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
            // SAFETY: a block behind the carved ones: neither live nor on the free list; blocks lie
            // at multiples of 8 from a unit's start.
            unsafe { at.write(Node { next: Cell::new(next.as_ptr()) }) };
            at = next;
        }
        // SAFETY: as above; the last of these blocks.
        unsafe { at.write(Node { next: Cell::new(null_mut()) }) };
        self.free.set(first.as_ptr());
        self.carved.set(carved + count);
        true
    }
}

/// Pops the first block of a slab's free list.
///
/// # Safety
/// The calling thread owns the slab.
#[inline(always)]
pub(crate) unsafe fn pop(slab: *const Slab) -> Option<NonNull<u8>> {
    // SAFETY: the caller guarantees a slab of the calling thread.
    let slab = unsafe { &*slab };
    let block = NonNull::new(slab.free.get())?;
    // SAFETY: a block on the list is free and holds a node.
    slab.free.set(unsafe { block.as_ref() }.next.get());
    slab.set_used(slab.used() + 1);
    Some(block.cast())
}

/// Pops a free block of a slab with a bitmap or a free list.
///
/// # Safety
/// The calling thread owns the slab.
pub(crate) unsafe fn pop_block(slab: *const Slab) -> Option<NonNull<u8>> {
    // SAFETY: the caller guarantees a slab of the calling thread.
    unsafe { &*slab }.pop_bit().or_else(|| {
        // SAFETY: as above.
        unsafe { pop(slab) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_slab_relinks_on_every_free_and_partial_slab_when_empty() {
        let max = u32::try_from(UNIT / 8).unwrap();
        for used in [0, 1, 2, 63, max] {
            let left = [ListKind::None, ListKind::Partial, ListKind::Full].map(|list| list.must_relink(used));
            assert_eq!(left, [false, used == 0, true], "{used}");
        }
    }

    #[test]
    fn slab_matches_its_former_self_and_span_never_does() {
        let (slab, start) = (Slab::empty(), NonNull::<u8>::dangling());
        assert!(!slab.matches(1, 0, 8), "not a slab yet");
        slab.init(start, 1, 39, 1024, true);
        assert!(slab.matches(1, 39, 1024) && !slab.matches(1, 40, 1152) && !slab.matches(2, 39, 1024));
        slab.init(start, 2, 0, UNIT, false);
        slab.units.set(4);
        assert!(!slab.matches(4, 0, UNIT), "a span may have grown");
    }
}
