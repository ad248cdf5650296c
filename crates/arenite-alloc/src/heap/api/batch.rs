//! Allocation and deallocation of many equal blocks, a slab at a time.
//!
//! Blocks that were never allocated are returned by address arithmetic, untouched. Freed blocks of
//! the calling thread's slabs are linked first, so each slab's free list changes once.
#![expect(unsafe_code, reason = "passes blocks of one slab on together")]

use crate::heap::Heap;
use crate::heap::geometry::UNIT;
use crate::heap::hardened::misuse::abort_with_report;
use crate::heap::owner::{HARDENED, NO_HOLDER, SPAN};
use crate::heap::segment::segment::{owner_of, segment_of, unit_of};
use crate::heap::thread::thread_heap::ThreadHeap;
use arenite_core::{AllocError, Resource};
use core::alloc::Layout;
use core::ptr::NonNull;

impl Heap {
    /// Allocates `count` blocks of one layout, or none. O(count), about a nanosecond each.
    ///
    /// ```
    /// use arenite_alloc::Heap;
    /// use arenite_core::{AllocError, Resource};
    /// let heap = Heap::new();
    /// let layout = arenite_core::layout(256, 16)?;
    /// let blocks = heap.alloc_batch(layout, 10_000)?;
    /// assert_eq!((blocks.len(), heap.state().live_blocks), (10_000, 10_000));
    /// // SAFETY: the blocks are live, of this layout, and not used again.
    /// unsafe { heap.free_batch(&blocks, layout) };
    /// assert_eq!(heap.state().live_blocks, 0);
    /// # Ok::<(), AllocError>(())
    /// ```
    ///
    /// # Errors
    /// [`AllocError`] without memory for all of them; none stays allocated.
    pub fn alloc_batch(&self, layout: Layout, count: usize) -> Result<Vec<NonNull<u8>>, AllocError> {
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(count).map_err(|_| self.alloc_error(layout))?;
        blocks.resize(count, NonNull::dangling());
        self.alloc_batch_into(layout, &mut blocks)?;
        Ok(blocks)
    }

    /// Fills `blocks` with blocks of one layout, or allocates none.
    ///
    /// # Errors
    /// As [`Heap::alloc_batch`]; the contents of `blocks` are meaningless then.
    pub fn alloc_batch_into(&self, layout: Layout, blocks: &mut [NonNull<u8>]) -> Result<(), AllocError> {
        let mut done = 0;
        if let Some(size) = Self::class_size(layout)
            && self.hardening().is_none()
        {
            let thread = self.thread_heap().ok_or_else(|| self.alloc_error(layout))?;
            done = thread.allocate_batch(self.classes().class_of(size), blocks);
        } else {
            while done < blocks.len() {
                match self.allocate(layout) {
                    Ok(block) => blocks[done] = block.cast(),
                    Err(_) => break,
                }
                done += 1;
            }
        }
        if done == blocks.len() {
            return Ok(());
        }
        let error = self.alloc_error(layout);
        // SAFETY: the blocks just allocated, which this call alone has.
        unsafe { self.free_batch(&blocks[..done], layout) };
        Err(error)
    }

    /// Frees many blocks. Fastest if those of a slab are adjacent in `blocks`, as
    /// [`Heap::alloc_batch`] returns them.
    ///
    /// # Safety
    /// As [`Resource::deallocate`], for each of `blocks`; each block occurs once.
    pub unsafe fn free_batch(&self, blocks: &[NonNull<u8>], layout: Layout) {
        let Some(central) = self.central() else { return };
        let mut at = 0;
        while at < blocks.len() {
            // SAFETY: a live block of this heap.
            let owner = unsafe { owner_of(blocks[at]) };
            if matches!(owner.holder(), NO_HOLDER | SPAN | HARDENED) {
                // SAFETY: the caller guarantees live blocks of this layout.
                unsafe { self.deallocate(blocks[at], layout) };
                at += 1;
                continue;
            }
            let slab = (segment_of(blocks[at]), unit_of(blocks[at]) - owner.tag().slab_offset());
            // SAFETY: a block with an owner lies in a segment whose metadata is committed.
            let segment = unsafe { slab.0.as_ref() };
            let start = slab.0.addr().get() + slab.1 * UNIT;
            let bytes = usize::from(segment.slabs[slab.1].units.get()) * UNIT;
            // every block in the slab's units belongs to it: no owner word to read for each
            let same = |&&block: &&NonNull<u8>| block.addr().get().wrapping_sub(start) < bytes;
            let run = &blocks[at..at + blocks[at..].iter().take_while(same).count().max(1)];
            let current_thread_heap = self.current_thread_heap();
            if let Some(thread) = current_thread_heap
                && thread.is_holder(owner.holder())
            {
                // SAFETY: live blocks of one slab of this thread, which the caller gives up.
                unsafe { thread.free_run(&segment.slabs[slab.1], run) };
            } else {
                let thread = current_thread_heap.or_else(|| self.thread_heap_for_free());
                for &block in run {
                    if let Err(report) = ThreadHeap::dealloc_remote(thread, central, segment, slab.1, block) {
                        abort_with_report(&report);
                    }
                }
            }
            at += run.len();
        }
    }
}
