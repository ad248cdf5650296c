//! Many equal blocks at once: a slab at a time and not a block at a time.
//!
//! Rests on `ThreadHeap`. Blocks that were never lent are handed out by arithmetic, without a look into them; what goes back
//! to slabs of the calling thread is chained, so that each slab's list is changed once.
#![expect(unsafe_code, reason = "chains blocks that go back")]

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
    /// `count` blocks of one layout, or none. O(count), about a nanosecond each.
    ///
    /// ```
    /// use arenite_alloc::Heap;
    /// use arenite_core::{AllocError, Resource};
    /// let heap = Heap::new();
    /// let layout = AllocError::layout(256, 16)?;
    /// let blocks = heap.alloc_batch(layout, 10_000)?;
    /// assert_eq!((blocks.len(), heap.state().live_blocks), (10_000, 10_000));
    /// // SAFETY: the blocks are live, of this layout, and not used again.
    /// unsafe { heap.free_batch(&blocks, layout) };
    /// assert_eq!(heap.state().live_blocks, 0);
    /// # Ok::<(), AllocError>(())
    /// ```
    ///
    /// # Errors
    /// [`AllocError`] where there is no memory for all of them; none is taken then.
    pub fn alloc_batch(&self, layout: Layout, count: usize) -> Result<Vec<NonNull<u8>>, AllocError> {
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(count).map_err(|_| self.alloc_error(layout))?;
        blocks.resize(count, NonNull::dangling());
        self.alloc_batch_into(layout, &mut blocks)?;
        Ok(blocks)
    }

    /// Fills `blocks` with blocks of one layout, or takes none.
    ///
    /// # Errors
    /// As [`Heap::alloc_batch`]; what is in `blocks` then is of no use.
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
        // SAFETY: the blocks just taken, which nobody has.
        unsafe { self.free_batch(&blocks[..done], layout) };
        Err(error)
    }

    /// Takes many blocks back. Fastest where those of a slab stand in a row, as [`Heap::alloc_batch`] gives them.
    ///
    /// # Safety
    /// As [`Resource::deallocate`], for each of `blocks`; no block stands there twice.
    pub unsafe fn free_batch(&self, blocks: &[NonNull<u8>], layout: Layout) {
        let Some(central) = self.central() else { return };
        let mut at = 0;
        while at < blocks.len() {
            // SAFETY: a live block of this heap.
            let owner = unsafe { owner_of(blocks[at]) };
            if matches!(owner.holder(), NO_HOLDER | SPAN | HARDENED) {
                // SAFETY: the caller's promise.
                unsafe { self.deallocate(blocks[at], layout) };
                at += 1;
                continue;
            }
            let slab = (segment_of(blocks[at]), unit_of(blocks[at]) - (owner.tag().slab_offset()));
            // SAFETY: a block with an owner lies in an arena whose tables are whole.
            let segment = unsafe { slab.0.as_ref() };
            let start = slab.0.addr().get() + slab.1 * UNIT;
            let bytes = usize::from(segment.slabs[slab.1].units.get()) * UNIT;
            // what lies in the slab's units is a block of it: no look at the table for each
            let same = |&&block: &&NonNull<u8>| block.addr().get().wrapping_sub(start) < bytes;
            let run = &blocks[at..at + blocks[at..].iter().take_while(same).count().max(1)];
            let current_thread_heap = self.current_thread_heap();
            if let Some(thread) = current_thread_heap
                && thread.is_owner(owner.holder())
            {
                // SAFETY: live blocks of one slab, which is this thread's, that the caller gives up.
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
