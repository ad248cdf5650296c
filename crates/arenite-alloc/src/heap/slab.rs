//! A slab: equal blocks in one run of units, and a list of those that are free.
//!
//! Rests on nothing but the memory it is told of. What its owner changes stands in `Slab`, one cache line; what other threads
//! change stands apart from it (the arena's `remote`), so that a free from another thread does not take the owner's line away.
//! The list of free blocks is threaded through the blocks themselves, and blocks are carved as they are needed, so a fresh
//! slab's later OS pages are not touched before they are lent.
#![expect(unsafe_code, reason = "threads a list through free blocks")]

use crate::sync::plain::{AtomicU32, Ordering::Relaxed};
use core::cell::Cell;
use core::ptr::{NonNull, null, null_mut};

/// The unit of a heap's arena: slabs and spans are whole units.
pub(super) const UNIT: usize = 64 << 10;
/// How many bytes of blocks are carved at once.
const CARVE: usize = 4096;

/// The blocks of a slab for everybody but its owner: their size, and what an offset is multiplied by to find which one it is in. Zero:
/// no slab.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Shape {
    size: u32,
    inverse: u32,
    blocks: u16,
    class: u8,
}

impl Shape {
    /// `size` is a multiple of 8, at most 64 KiB.
    fn of(size: u32, blocks: u32, class: u8) -> Self {
        // Rounded up, by less than `size`: the start of a block is found right as long as it is one of the first 2^32 / size. What is
        // found for another offset may be one too many, and is not that block's start.
        let inverse = if size == 0 { 0 } else { (1_u64 << 32).div_ceil(u64::from(size)) };
        Self {
            size,
            inverse: u32::try_from(inverse).unwrap_or(0),
            blocks: u16::try_from(blocks).unwrap_or(0),
            class,
        }
    }

    /// The size of a block.
    #[inline]
    pub(super) fn size(self) -> usize {
        self.size as usize
    }

    /// Its size class.
    #[inline]
    pub(super) fn class(self) -> usize {
        usize::from(self.class)
    }

    /// Which block begins at this offset from the slab's start, in bytes; `None`: none does.
    #[inline]
    pub(super) fn block_at(self, offset: usize) -> Option<usize> {
        let block = (offset as u64 * u64::from(self.inverse)) >> 32;
        (block * u64::from(self.size) == offset as u64 && block < u64::from(self.blocks))
            .then_some(block as usize)
    }
}

/// A free block: it holds the next one.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Node {
    pub(super) next: Cell<*mut Node>,
}

/// Which list of its owner a slab is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Place {
    /// In none: free units, or the slab that its owner allocates from.
    None,
    /// Among those with free blocks.
    Partial,
    /// Among those without.
    Full,
}

/// What a slab's owner knows of it. All zero is a unit that is no slab.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Slab {
    pub(super) free: Cell<*mut Node>,
    /// Blocks lent and not known to be back: those that other threads gave back count until they are collected.
    used: AtomicU32,
    carved: Cell<u32>,
    capacity: Cell<u32>,
    pub(super) block: Cell<u32>,
    pub(super) class: Cell<u8>,
    pub(super) place: Cell<Place>,
    pub(super) units: Cell<u16>,
    /// How many of its slots are dry: free, on no list, with their memory given back.
    pub(super) dry: Cell<u16>,
    start: Cell<*mut u8>,
    pub(super) next: Cell<*const Slab>,
    pub(super) previous: Cell<*const Slab>,
}

impl Slab {
    /// A slab of no blocks, which stands for "none".
    pub(super) const fn none() -> Self {
        Self {
            free: Cell::new(null_mut()),
            used: AtomicU32::new(0),
            carved: Cell::new(0),
            capacity: Cell::new(0),
            block: Cell::new(0),
            class: Cell::new(0),
            place: Cell::new(Place::None),
            units: Cell::new(0),
            dry: Cell::new(0),
            start: Cell::new(null_mut()),
            next: Cell::new(null()),
            previous: Cell::new(null()),
        }
    }

    /// Makes it a slab of `units` units at `start` with blocks of `block` bytes.
    /// Its shape.
    pub(super) fn begin(&self, start: NonNull<u8>, units: usize, class: usize, block: usize) -> Shape {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(0);
        self.start.set(start.as_ptr());
        self.units.set(u16::try_from(units).unwrap_or(0));
        self.class.set(u8::try_from(class).unwrap_or(0));
        self.block.set(narrow(block));
        self.capacity.set(narrow(units * UNIT / block));
        self.place.set(Place::None);
        self.next.set(null());
        self.previous.set(null());
        self.begin_again();
        Shape::of(self.block.get(), self.capacity.get(), self.class.get())
    }

    /// Forgets the list: every block is free and none carved. No slot is dry.
    pub(super) fn begin_again(&self) {
        debug_assert_eq!(self.dry.get(), 0, "what is dry is known to the arena");
        self.free.set(null_mut());
        self.used.store(0, Relaxed);
        self.carved.set(0);
    }

    /// Blocks lent and not known to be back. Its owner alone changes it; anybody may ask.
    #[inline(always)]
    pub(super) fn used(&self) -> u32 {
        self.used.load(Relaxed)
    }

    /// Changes what [`Slab::used`] says; for the owner alone, so that it takes no locked operation.
    #[inline(always)]
    pub(super) fn set_used(&self, used: u32) {
        self.used.store(used, Relaxed);
    }

    /// Makes every block one that is found by its address, and none on the list.
    pub(super) fn all_carved(&self) {
        self.carved.set(self.capacity.get());
    }

    /// Blocks that it has room for.
    pub(super) fn capacity(&self) -> u32 {
        self.capacity.get()
    }

    /// Blocks that were lent at least once, or are on the list or dry.
    pub(super) fn carved(&self) -> u32 {
        self.carved.get()
    }

    /// The first byte.
    pub(super) fn start(&self) -> *mut u8 {
        self.start.get()
    }

    /// Hands out blocks that were never lent, without touching one; how many.
    pub(super) fn lend_fresh(&self, out: &mut [NonNull<u8>]) -> usize {
        let Some(start) = NonNull::new(self.start.get()) else { return 0 };
        let (block, carved) = (self.block.get() as usize, self.carved.get());
        let count = ((self.capacity.get() - carved) as usize).min(out.len());
        for (index, slot) in out[..count].iter_mut().enumerate() {
            *slot = start.map_addr(|start| start.saturating_add((carved as usize + index) * block));
        }
        let count = u32::try_from(count).unwrap_or(0);
        self.carved.set(carved + count);
        self.set_used(self.used() + count);
        count as usize
    }

    /// Puts more blocks on the list, in the order of their addresses. False: all of them were carved.
    ///
    /// # Safety
    /// The slab's units are committed and its owner's, and nothing is on the list.
    pub(super) unsafe fn carve(&self) -> bool {
        let (block, carved) = (self.block.get() as usize, self.carved.get());
        let left = self.capacity.get() - carved;
        if left == 0 {
            return false;
        }
        let count = u32::try_from((CARVE / block).max(1)).unwrap_or(1).min(left);
        let Some(start) = NonNull::new(self.start.get()) else { return false };
        let first = start.map_addr(|start| start.saturating_add(carved as usize * block)).cast::<Node>();
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

#[cfg(test)]
mod tests {
    use super::super::classes::SizeClasses;
    use super::*;

    #[test]
    fn a_block_is_found_by_its_offset_and_nothing_between_two_is_one() {
        for table in [SizeClasses::Fine, SizeClasses::Binary] {
            for size in (0..table.count()).map(|class| table.size_of(class)) {
                let units = if size <= UNIT / 8 { 1 } else { 8 };
                let blocks = units * UNIT / size;
                let shape = Shape::of(u32::try_from(size).unwrap(), u32::try_from(blocks).unwrap(), 7);
                assert_eq!(shape.block_at(blocks * size), None, "behind the last");
                for block in 0..blocks {
                    assert_eq!(shape.block_at(block * size), Some(block), "{size}");
                    for between in [1, size / 2, size - 1].into_iter().filter(|&between| between > 0) {
                        assert_eq!(shape.block_at(block * size + between), None, "{size}");
                    }
                }
            }
        }
        assert_eq!(Shape::of(0, 0, 0).block_at(0), None);
    }
}
