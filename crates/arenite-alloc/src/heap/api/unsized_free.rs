//! Deallocation without a layout, as C programs do it: the heap finds the size by the address.
#![expect(unsafe_code, reason = "reads metadata by address and frees blocks")]

use crate::heap::Heap;
use crate::heap::central::central::Central;
use crate::heap::central::large_block::{DATA_OFFSET, LargeHeader};
use crate::heap::geometry::{SEGMENT_BYTES, UNIT};
use crate::heap::hardened::misuse::{Misuse, MisuseReport, abort_with_report};
use crate::heap::hardened::options::Hardening;
use crate::heap::owner::{HARDENED, OwnerWord, SPAN};
use crate::heap::segment::segment::{WindowKind, owner_of, segment_of, unit_of, window_kind};
use crate::heap::segment::segment_map;
use arenite_core::{AllocResult, Resource};
use core::alloc::Layout;
use core::ptr::NonNull;

/// The layout that a free without one passes on; it is never read.
const NO_LAYOUT: Layout = Layout::new::<u8>();

impl Heap {
    /// Returns the block that begins at `address`, in its usable length, whichever heap it belongs
    /// to. Returns `None` for any other address: null, inside a block, of another allocator. Does
    /// not check whether the block is allocated. O(1), reads no byte of the block.
    ///
    /// ```
    /// use arenite_alloc::Heap;
    /// use arenite_core::{AllocError, Block};
    /// let heap = Heap::new();
    /// let block = Block::new_in(arenite_core::layout(1000, 8)?, &heap)?;
    /// let start = block.as_ptr().as_ptr();
    /// // SAFETY: no other thread uses the heap.
    /// let at = |address| unsafe { Heap::block_at(address) };
    /// assert_eq!(at(start).unwrap().len(), 1024);
    /// assert!(at(start.wrapping_add(8)).is_none());
    /// assert!(at([0_u8; 8].as_ptr()).is_none());
    /// # Ok::<(), AllocError>(())
    /// ```
    ///
    /// # Safety
    /// No other thread meanwhile frees or grows a block at the address or within 256 MiB of it. No
    /// other thread trims the heap that owns it, or drops that heap: the metadata could be
    /// released.
    #[must_use]
    pub unsafe fn block_at(address: *const u8) -> Option<NonNull<[u8]>> {
        let block = NonNull::new(address.cast_mut())?;
        if !segment_map::contains(block.addr().get()) {
            return None;
        }
        // SAFETY: the window begins with a segment or with the header of a large block.
        let len = match unsafe { window_kind(block) } {
            WindowKind::LargeBlock => large_size_at(block)?,
            WindowKind::Segment => slot_size_at(block)?,
            WindowKind::Empty => return None,
        };
        Some(NonNull::slice_from_raw_parts(block, len))
    }

    /// Returns whether an address lies in a window of some heap. `false` is certain; `true` may be
    /// no block. One load. [`Heap::block_at`] is exact.
    #[must_use]
    #[inline(always)]
    pub fn maybe_contains(address: *const u8) -> bool {
        segment_map::contains(address.addr())
    }

    /// Returns the usable size of a block: what was requested or a little more. O(1).
    ///
    /// # Safety
    /// A live block of some heap.
    #[must_use]
    #[inline]
    pub unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
        // SAFETY: the caller guarantees a live block.
        let owner = unsafe { owner_of(block) };
        if owner == OwnerWord::NONE {
            return large_size_at(block).unwrap_or(0);
        }
        // SAFETY: a block with an owner lies in a segment whose metadata is committed.
        let segment = unsafe { segment_of(block).as_ref() };
        let slab = &segment.slabs[unit_of(block) - owner.tag().slab_offset()];
        if owner.holder() == HARDENED {
            // SAFETY: the owner word says that a hardened heap has the live block. Bytes behind
            // this size are checked when it is freed.
            return self
                .hardening()
                .map_or(0, |hardening| unsafe { Central::hardened_size(hardening, block, owner) });
        }
        if owner.holder() == SPAN { usize::from(slab.units.get()) * UNIT } else { slab.block.get() as usize }
    }

    /// Frees a block without a layout. Costs what [`Resource::deallocate`] costs.
    ///
    /// # Safety
    /// A live block of this heap, which is not used afterwards.
    #[inline]
    pub unsafe fn free(&self, block: NonNull<u8>) {
        // SAFETY: the caller's guarantees; a heap finds the size itself.
        unsafe { self.deallocate(block, NO_LAYOUT) };
    }

    /// Frees a block if the address is one. Null is ignored. An address that is not the start of a
    /// block of some heap is refused. So is a block with a region of its own that is already free.
    /// A heap [with hardening](Heap::with_hardening) refuses every block that is already free, and
    /// one written beyond its end. With another heap, a smaller block must not be freed twice.
    /// O(1); a hardened heap also reads the bytes that it filled.
    ///
    /// ```
    /// use arenite_alloc::{Hardening, Heap, Misuse};
    /// use arenite_core::{AllocError, Resource};
    /// let heap = Heap::new().with_hardening(Hardening::ALL);
    /// let block = heap.allocate(arenite_core::layout(100, 8)?)?.cast::<u8>().as_ptr();
    /// // SAFETY: the block is not used afterwards.
    /// let free = |address| unsafe { heap.checked_free(address) };
    /// assert_eq!(free(block.wrapping_add(8)).unwrap_err().misuse, Misuse::InteriorPointer);
    /// assert_eq!(free(block), Ok(()));
    /// let report = free(block).unwrap_err();
    /// assert_eq!((report.misuse, report.block.unwrap().1), (Misuse::DoubleFree, 100));
    /// assert_eq!(free([0_u8; 9].as_mut_ptr()).unwrap_err().misuse, Misuse::InvalidPointer);
    /// # Ok::<(), AllocError>(())
    /// ```
    ///
    /// # Errors
    /// [`MisuseReport`] with what is known of the block; nothing was freed. With a quarantine, the
    /// report may concern an older block that leaves it. The block at the address is quarantined
    /// then.
    ///
    /// # Safety
    /// 1. A live block at the address is one of this heap, and it is not used afterwards.
    /// 2. In a heap without hardening, the address is not that of a freed block of at most 16 MiB.
    /// 3. No other thread meanwhile frees, grows or trims what is there.
    pub unsafe fn checked_free(&self, address: *mut u8) -> Result<(), MisuseReport> {
        let Some(block) = NonNull::new(address) else { return Ok(()) };
        let wrong = |misuse| Err(MisuseReport::new(misuse, block.addr().get()));
        if !segment_map::contains(block.addr().get()) {
            return wrong(Misuse::InvalidPointer);
        }
        // SAFETY: the window begins with a segment or with the header of a large block.
        if unsafe { window_kind(block) } == WindowKind::Segment {
            // SAFETY: as above.
            let owner = unsafe { owner_of(block) };
            if owner.holder() == HARDENED {
                // SAFETY: the owner word says that a hardened heap has it; clause 1 covers its use.
                return unsafe { self.free_hardened(block, owner) };
            }
            if owner == OwnerWord::NONE {
                return wrong(Misuse::InvalidPointer);
            }
        }
        // SAFETY: a live block is the caller's until it is freed below; for any other address,
        // clause 3 holds.
        if unsafe { Self::block_at(address) }.is_none() {
            return wrong(Misuse::InteriorPointer);
        }
        // SAFETY: as above.
        if unsafe { window_kind(block) } == WindowKind::LargeBlock {
            let central =
                self.central().ok_or(MisuseReport::new(Misuse::InvalidPointer, block.addr().get()))?;
            return central.free_large(segment_of(block).cast());
        }
        // SAFETY: the start of a block; clauses 1 and 2 make it live and unused.
        unsafe { self.free(block) };
        Ok(())
    }

    /// Frees a block of a hardened heap.
    ///
    /// # Safety
    /// The address lies in a unit whose owner word is `owner`, that of a hardened heap. If it is a
    /// live block, it is one of this heap, and it is not used afterwards.
    pub(crate) unsafe fn free_hardened(
        &self,
        address: NonNull<u8>,
        owner: OwnerWord,
    ) -> Result<(), MisuseReport> {
        let invalid = MisuseReport::new(Misuse::InvalidPointer, address.addr().get());
        let central = self.central().ok_or(invalid)?;
        let hardening = central.hardening.get().ok_or(invalid)?;
        // SAFETY: the caller's guarantees are the same.
        unsafe { central.free_hardened(*hardening, address, owner) }
    }

    /// Hardens a heap that is in use, for blocks allocated from now on. Only before other threads
    /// use it, and once: a second call changes nothing.
    pub fn enable_hardening(&self, hardening: Hardening) {
        let Some(central) = self.central_ptr() else { return };
        // SAFETY: made by `init`, and the heap is borrowed.
        let _first: Result<(), Hardening> = unsafe { central.as_ref() }.hardening.set(hardening);
        if let Some(thread) = self.thread_heap() {
            thread.abandon_all();
        }
    }

    /// Resizes a block without its old layout: in place, by moving its OS pages, or by a copy.
    ///
    /// # Errors
    /// [`AllocError`](arenite_core::AllocError) without memory; the block is unchanged.
    ///
    /// # Safety
    /// A live block of this heap, whose old address is not used after this returned `Ok`.
    pub unsafe fn reallocate(&self, block: NonNull<u8>, new: Layout) -> AllocResult {
        // SAFETY: the caller guarantees a live block.
        let owner = unsafe { owner_of(block) };
        if owner.holder() == HARDENED {
            // SAFETY: as above; its owner word is that of a hardened heap.
            return unsafe { self.reallocate_hardened(block, owner, new) };
        }
        // SAFETY: the caller guarantees a live block.
        let size = unsafe { self.usable_size(block) };
        // stays in place if it fits and wastes at most half of the block
        if new.size() <= size && new.size() >= size / 2 && block.addr().get().is_multiple_of(new.align()) {
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        if new.size() > size
            && block.addr().get().is_multiple_of(new.align())
            // SAFETY: a live block of this heap, which the caller alone uses.
            && let Some(block) = unsafe { self.grow_in_place(block, new.size()) }
        {
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        // SAFETY: 1. the block is live; a heap ignores the old layout. 2. the smaller of both
        // sizes.
        unsafe { arenite_core::realloc_by_copy(self, block, NO_LAYOUT, new, size.min(new.size())) }
    }

    /// Reallocates a block of a hardened heap, which always moves: its bounds are checked, and
    /// filled anew behind the new size.
    ///
    /// # Safety
    /// As [`Heap::reallocate`]; the block's unit has the owner word `owner`.
    #[cold]
    unsafe fn reallocate_hardened(&self, block: NonNull<u8>, owner: OwnerWord, new: Layout) -> AllocResult {
        if let (Some(central), Some(hardening)) = (self.central(), self.hardening()) {
            // SAFETY: the caller guarantees such a unit.
            if let Err(report) = unsafe { central.check_hardened(hardening, block, owner) } {
                abort_with_report(&report);
            }
        }
        // SAFETY: the caller guarantees a live block.
        let size = unsafe { self.usable_size(block) };
        // SAFETY: 1. the block is live; a heap ignores the old layout. 2. the smaller of both
        // sizes.
        unsafe { arenite_core::realloc_by_copy(self, block, NO_LAYOUT, new, size.min(new.size())) }
    }
}

fn large_size_at(block: NonNull<u8>) -> Option<usize> {
    let header: NonNull<LargeHeader> = segment_of(block).cast();
    // SAFETY: the window begins with the header of a large block.
    let header = unsafe { header.as_ref() };
    (block.addr().get() & (SEGMENT_BYTES - 1) == DATA_OFFSET).then(|| header.committed())
}

/// Returns the size of the slot or span that begins at an address in a segment.
fn slot_size_at(block: NonNull<u8>) -> Option<usize> {
    // SAFETY: the window begins with a segment.
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
