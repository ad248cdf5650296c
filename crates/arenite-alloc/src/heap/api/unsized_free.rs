//! Blocks whose size nobody kept, as C programs give them back: the heap finds it by the address.
//!
//! Rests on the arena's tables and, for addresses that come from anywhere, on `windows`.
#![expect(unsafe_code, reason = "reads the tables before a block, and gives blocks back")]

use crate::heap::Heap;
use crate::heap::central::central::Central;
use crate::heap::central::large_block::{DATA_OFFSET, LargeHeader};
use crate::heap::geometry::{SEGMENT_BYTES, UNIT};
use crate::heap::hardened::misuse::{Misuse, MisuseReport, abort_with_report};
use crate::heap::hardened::options::Hardening;
use crate::heap::owner::{HARDENED, OwnerWord, SPAN};
use crate::heap::segment::segment::{WindowKind, owner_of, segment_of, unit_of, window_kind};
use crate::heap::segment::segment_map;
use arenite_core::{AllocError, Resource};
use core::alloc::Layout;
use core::ptr::NonNull;

/// The layout that a free without one passes on, which nobody looks at.
const NO_LAYOUT: Layout = Layout::new::<u8>();

impl Heap {
    /// The block of whichever heap that begins at `address`, in all its usable length; `None` for every other address: null, one
    /// inside of a block, one of another allocator. O(1), reads no byte of the block. Whether it is lent at this moment is
    /// not looked at.
    ///
    /// ```
    /// use arenite_alloc::Heap;
    /// use arenite_core::{AllocError, Block};
    /// let heap = Heap::new();
    /// let block = Block::new_in(AllocError::layout(1000, 8)?, &heap)?;
    /// let start = block.as_ptr().as_ptr();
    /// // SAFETY: nobody else uses the heap.
    /// let at = |address| unsafe { Heap::block_at(address) };
    /// assert_eq!(at(start).unwrap().len(), 1024);
    /// assert!(at(start.wrapping_add(8)).is_none());
    /// assert!(at([0_u8; 8].as_ptr()).is_none());
    /// # Ok::<(), AllocError>(())
    /// ```
    ///
    /// # Safety
    /// No other thread meanwhile gives back or grows a block at the address or within 256 MiB of it, trims the heap that has one
    /// there, or drops that heap: what would be looked at may go.
    #[must_use]
    pub unsafe fn block_at(address: *const u8) -> Option<NonNull<[u8]>> {
        let block = NonNull::new(address.cast_mut())?;
        if !segment_map::contains(block.addr().get()) {
            return None;
        }
        // SAFETY: tables or a head begin that window.
        let len = match unsafe { window_kind(block) } {
            WindowKind::LargeBlock => large_size_at(block)?,
            WindowKind::Segment => slot_size_at(block)?,
            WindowKind::Empty => return None,
        };
        Some(NonNull::slice_from_raw_parts(block, len))
    }

    /// Whether an address lies where some heap has its blocks, for callers that may be given anything: `false` is certain, `true` is
    /// not yet a block. One load; [`Heap::block_at`] says more.
    #[must_use]
    #[inline(always)]
    pub fn maybe_contains(address: *const u8) -> bool {
        segment_map::contains(address.addr())
    }

    /// How many bytes a block has, which is what was asked for or a little more; all may be used. O(1).
    ///
    /// # Safety
    /// A live block of some heap.
    #[must_use]
    #[inline]
    pub unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
        // SAFETY: the caller's promise.
        let owner = unsafe { owner_of(block) };
        if owner == OwnerWord::NONE {
            return large_size_at(block).unwrap_or(0);
        }
        // SAFETY: a block with an owner lies in an arena whose tables are whole.
        let segment = unsafe { segment_of(block).as_ref() };
        let slab = &segment.slabs[unit_of(block) - (owner.tag().slab_offset())];
        if owner.holder() == HARDENED {
            // SAFETY: the caller's promise; the table says whose it is. What lies beyond is looked at when it is freed.
            return self
                .hardening()
                .map_or(0, |hardening| unsafe { Central::hardened_size(hardening, block, owner) });
        }
        if owner.holder() == SPAN { usize::from(slab.units.get()) * UNIT } else { slab.block.get() as usize }
    }

    /// Gives a block back whose layout nobody kept. Costs what [`Resource::deallocate`] costs.
    ///
    /// # Safety
    /// A live block of this heap, which nobody uses afterwards.
    #[inline]
    pub unsafe fn free(&self, block: NonNull<u8>) {
        // SAFETY: the caller's promise; a heap finds the size itself.
        unsafe { self.deallocate(block, NO_LAYOUT) };
    }

    /// Gives a block back if it is one: null is nothing, and every address that is not the start of a block of some heap is refused, as is
    /// a block with a region of its own that is already free. Of a [hardened](Heap::hardened) heap every block that is already
    /// free is refused, and one that was written to beyond its end; of another heap a smaller block must not be given back
    /// twice. O(1); a hardened heap also looks at the bytes that it filled.
    ///
    /// ```
    /// use arenite_alloc::{Hardening, Heap, Misuse};
    /// use arenite_core::{AllocError, Resource};
    /// let heap = Heap::new().hardened(Hardening::ALL);
    /// let block = heap.allocate(AllocError::layout(100, 8)?)?.cast::<u8>().as_ptr();
    /// // SAFETY: nobody uses the block afterwards.
    /// let free = |address| unsafe { heap.try_free(address) };
    /// assert_eq!(free(block.wrapping_add(8)).unwrap_err().misuse, Misuse::Interior);
    /// assert_eq!(free(block), Ok(()));
    /// let report = free(block).unwrap_err();
    /// assert_eq!((report.misuse, report.block.unwrap().1), (Misuse::DoubleFree, 100));
    /// assert_eq!(free([0_u8; 9].as_mut_ptr()).unwrap_err().misuse, Misuse::NotABlock);
    /// # Ok::<(), AllocError>(())
    /// ```
    ///
    /// # Errors
    /// [`MisuseReport`] with what is known of the block; nothing was freed.
    ///
    /// # Safety
    /// If the address is that of a live block, it is one of this heap, and nobody uses it afterwards; if the heap is not hardened, it is not
    /// that of a block of at most 16 MiB that was given back. No other thread meanwhile gives back, grows or trims what is there.
    pub unsafe fn checked_free(&self, address: *mut u8) -> Result<(), MisuseReport> {
        let Some(block) = NonNull::new(address) else { return Ok(()) };
        let wrong = |misuse| Err(MisuseReport::new(misuse, block.addr().get()));
        if !segment_map::contains(block.addr().get()) {
            return wrong(Misuse::InvalidPointer);
        }
        // SAFETY: tables or a head begin that window.
        if unsafe { window_kind(block) } == WindowKind::Segment {
            // SAFETY: as above.
            let owner = unsafe { owner_of(block) };
            if owner.holder() == HARDENED {
                // SAFETY: the table says whose it is; the caller's promise.
                return unsafe { self.free_hardened(block, owner) };
            }
            if owner == OwnerWord::NONE {
                return wrong(Misuse::InvalidPointer);
            }
        }
        // SAFETY: if it is a block it is the caller's, and stays until it is freed below; if it is none, the caller's promise.
        if unsafe { Self::block_at(address) }.is_none() {
            return wrong(Misuse::InteriorPointer);
        }
        // SAFETY: as above.
        if unsafe { window_kind(block) } == WindowKind::LargeBlock {
            let central =
                self.central().ok_or(MisuseReport::new(Misuse::InvalidPointer, block.addr().get()))?;
            return central.free_large(segment_of(block).cast());
        }
        // SAFETY: the start of a block; the caller's promise.
        unsafe { self.free(block) };
        Ok(())
    }

    /// Takes a block of a hardened heap back.
    ///
    /// # Safety
    /// The address lies in a unit that is marked as a hardened heap's, by `owner`. If it is a live block, it is one of this heap, and
    /// nobody uses it afterwards.
    pub(crate) unsafe fn free_hardened(
        &self,
        address: NonNull<u8>,
        owner: OwnerWord,
    ) -> Result<(), MisuseReport> {
        let empty_slab = MisuseReport::new(Misuse::InvalidPointer, address.addr().get());
        let central = self.central().ok_or(empty_slab)?;
        let hardening = central.hardening.get().ok_or(empty_slab)?;
        // SAFETY: the caller's promises.
        unsafe { central.free_hardened(*hardening, address, owner) }
    }

    /// Hardens a heap that is in use, for the blocks that it lends from now on; those lent before stay as they are. Only before other
    /// threads use it, and once: a second call changes nothing.
    pub fn enable_hardening(&self, hardening: Hardening) {
        let Some(central) = self.central_ptr() else { return };
        // SAFETY: made by `begin`, and the heap is borrowed.
        let _first: Result<(), Hardening> = unsafe { central.as_ref() }.hardening.set(hardening);
        if let Some(thread) = self.thread_heap() {
            thread.abandon_all();
        }
    }

    /// Makes a block whose layout nobody kept larger or smaller: where it is, by moving its OS pages, or by a copy.
    ///
    /// # Errors
    /// [`AllocError`] where there is no memory; the block stays as it was.
    ///
    /// # Safety
    /// A live block of this heap; nobody uses its old address after this returned `Ok`.
    pub unsafe fn reallocate(&self, block: NonNull<u8>, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        let owner = unsafe { owner_of(block) };
        if owner.holder() == HARDENED {
            // SAFETY: as above.
            return unsafe { self.reallocate_hardened(block, owner, new) };
        }
        // SAFETY: the caller's promise.
        let size = unsafe { self.usable_size(block) };
        // what it has room for, and does not waste half of, stays
        if new.size() <= size && new.size() >= size / 2 && block.addr().get().is_multiple_of(new.align()) {
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        if new.size() > size
            && block.addr().get().is_multiple_of(new.align())
            // SAFETY: a live block of this heap, the caller's alone.
            && let Some(block) = unsafe { self.grow_in_place(block, new.size()) }
        {
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        // SAFETY: the block is live and has `size` bytes; a heap finds the layout of what goes back itself.
        unsafe { arenite_core::relocate(self, block, NO_LAYOUT, new, size.min(new.size())) }
    }

    /// Of a hardened heap a block always moves, so that its bounds are looked at, and filled anew behind its new size.
    ///
    /// # Safety
    /// As [`Heap::reallocate`]; the block's unit is marked by `owner`.
    #[cold]
    unsafe fn reallocate_hardened(
        &self,
        block: NonNull<u8>,
        owner: OwnerWord,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if let (Some(central), Some(hardening)) = (self.central(), self.hardening()) {
            // SAFETY: the caller's promise.
            if let Err(report) = unsafe { central.check_hardened(hardening, block, owner) } {
                abort_with_report(&report);
            }
        }
        // SAFETY: the caller's promise.
        let size = unsafe { self.usable_size(block) };
        // SAFETY: a live block of that many bytes.
        unsafe { arenite_core::relocate(self, block, NO_LAYOUT, new, size.min(new.size())) }
    }
}

fn large_size_at(block: NonNull<u8>) -> Option<usize> {
    let head: NonNull<LargeHeader> = segment_of(block).cast();
    // SAFETY: the window begins with the head of a large block.
    let head = unsafe { head.as_ref() };
    (block.addr().get() & (SEGMENT_BYTES - 1) == DATA_OFFSET).then(|| head.committed())
}

/// The size of the slot or span that begins at an address in an arena.
fn slot_size_at(block: NonNull<u8>) -> Option<usize> {
    // SAFETY: the window begins with an arena's tables.
    let owner = unsafe { owner_of(block) };
    // SAFETY: as above.
    let segment = unsafe { segment_of(block).as_ref() };
    if owner == OwnerWord::NONE {
        return None;
    }
    let slab = segment.slabs.get(unit_of(block).checked_sub(owner.tag().slab_offset())?)?;
    let (at, size) = (block.addr().get() - slab.start().addr(), slab.block.get() as usize);
    if owner.holder() == SPAN {
        return (at == 0).then(|| usize::from(slab.units.get()) * UNIT);
    }
    (size > 0 && at.is_multiple_of(size) && at / size < slab.carved() as usize).then_some(size)
}
