//! The arena as a resource: one block at a time, counted.
//!
//! Deallocating the last block frees its bytes at once; any other block only decrements the count.
#![expect(unsafe_code, reason = "implements an unsafe trait over raw blocks")]

use super::{Arena, rounded};
use crate::arena::chunk_source::{BumpRange, ChunkSource};
use crate::arena::marks::MarkFrame;
use arenite_core::{AllocResult, Owns, Resource, ResourceState, Trim, realloc_by_copy};
use core::alloc::Layout;
use core::ptr::NonNull;

// SAFETY: 1. `fit` aligns the start and keeps `rounded(size)` bytes below the limit of the
// source's memory. 2. The cursor only moves up while blocks above it are live. The cursor moves
// down in `deallocate` and `shrink` over the last block, and in `restore` when no block above is
// live. It also moves down through `&mut self`, which no container that holds a reference or
// counted pointer to this arena permits. 3. The source's memory does not move with the arena. 4.
// `rounded` returns at least a granule. 6 and 7 are the provided methods, or in place.
unsafe impl<S: ChunkSource> Resource for Arena<S> {
    #[inline]
    fn allocate(&self, layout: Layout) -> AllocResult {
        let start = match self.bump(layout) {
            Some(start) => start,
            None => self.grow_and_bump(layout)?,
        };
        Ok(NonNull::slice_from_raw_parts(start, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let in_top =
            self.offset_in_chunk(block).is_some_and(|offset| self.before.get() + offset >= self.top.get());
        if !in_top {
            return self.deallocate_below(block);
        }
        debug_assert!(self.live.get() > 0, "more blocks freed than allocated");
        self.live.set(self.live.get() - 1);
        if block.addr().get() + rounded(layout.size()) == self.cursor.get().addr() {
            self.record_high();
            self.cursor.set(self.ptr_in_chunk(block.addr().get()));
        }
    }

    #[inline]
    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        let start = block.addr().get();
        let fits = rounded(new.size()) <= self.limit.get().addr().wrapping_sub(start);
        if fits && start.is_multiple_of(new.align()) && self.is_last(block, old.size()) {
            self.cursor.set(self.ptr_in_chunk(start + rounded(new.size())));
            return Ok(NonNull::slice_from_raw_parts(self.with_own_provenance(block), new.size()));
        }
        // SAFETY: the caller's promises, with `old.size()` the smaller size.
        unsafe { realloc_by_copy(self, block, old, new, old.size()) }
    }

    #[inline]
    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        let start = block.addr().get();
        if !start.is_multiple_of(new.align()) {
            // SAFETY: the caller's promises, with `new.size()` the smaller size.
            return unsafe { realloc_by_copy(self, block, old, new, new.size()) };
        }
        if self.is_last(block, old.size()) {
            self.record_high();
            self.cursor.set(self.ptr_in_chunk(start + rounded(new.size())));
        }
        Ok(NonNull::slice_from_raw_parts(block, new.size()))
    }

    fn state(&self) -> ResourceState {
        let in_use = self.in_use();
        ResourceState {
            in_use,
            held: self.source.held(),
            peak: self.peak(),
            live_blocks: self.live_blocks(),
            largest_free: Some(self.limit.get().addr() - self.cursor.get().addr()),
            limit: self.source.capacity(),
        }
    }
}

// SAFETY: every block lies below the cursor in the current chunk or in an earlier one, and no
// other resource's block does. This holds also while the source calls its upstream.
unsafe impl<S: ChunkSource> Owns for Arena<S> {
    fn owns(&self, block: NonNull<u8>) -> bool {
        self.position_of(block).is_some()
    }
}

impl<S: ChunkSource> Trim for Arena<S> {
    /// Releases the memory above the position.
    fn trim(&self, target_held: usize) -> usize {
        if self.source.is_busy() {
            return 0;
        }
        let empty = self.in_use() == 0 && self.depth.get() == 0;
        if empty {
            self.update_peak();
            self.chunk.set(0);
            self.before.set(0);
            self.cursor.set(BumpRange::EMPTY.floor);
            self.limit.set(BumpRange::EMPTY.limit);
            self.floor.set(BumpRange::EMPTY.floor);
            // The first chunk may be released: a return to the start asks the source where that is.
            self.frame.set(MarkFrame { chunk: 0, cursor: core::ptr::null_mut(), ..self.frame.get() });
        }
        let (released, range) = self.source.trim(&self.cursor, target_held);
        // If the arena is still empty, it starts anew in what remains.
        if self.cursor.get().is_null() {
            self.cursor.set(range.floor);
            self.floor.set(range.floor);
        }
        self.limit.set(range.limit);
        released
    }
}
