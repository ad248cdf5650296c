//! The program's global allocator with counters of its own.
//!
//! [`Global`](crate::Global) counts for the whole process; a [`CountedGlobal`] counts only the
//! blocks that were allocated through it.
#![expect(unsafe_code, reason = "calls the global allocator")]

use crate::util::resource_macros::grow_and_shrink_by;
use crate::util::usage_counter::UsageCounter;
use arenite_core::{
    AllocError, AllocErrorKind, AllocResult, Label, Resource, ResourceState, Trim, realloc_by_copy,
};
use core::alloc::Layout;
use core::ptr::NonNull;

/// Blocks of the program's global allocator, counted here. Shared between threads.
///
/// ```
/// use arenite_alloc::CountedGlobal;
/// use arenite_core::{AllocError, Block, Resource};
/// let system = CountedGlobal::new();
/// let block = Block::new_in(arenite_core::layout(100, 8)?, &system)?;
/// assert_eq!(system.state().in_use, 100);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct CountedGlobal {
    usage: UsageCounter,
    label: Label,
}

impl CountedGlobal {
    /// Returns an allocator whose counters are zero.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_const_label(Label::new("system"))
    }

    pub(super) const fn with_const_label(label: Label) -> Self {
        Self { usage: UsageCounter::new(), label }
    }

    /// Allocates through `call` and counts the block.
    #[inline]
    fn allocate_with(&self, layout: Layout, call: unsafe fn(Layout) -> *mut u8) -> AllocResult {
        let start = if layout.size() == 0 {
            Some(dangling(layout))
        } else {
            // SAFETY: the size is not zero.
            NonNull::new(unsafe { call(layout) })
        };
        let start = start.ok_or_else(|| self.alloc_error(layout))?;
        self.usage.record_alloc(layout.size());
        Ok(NonNull::slice_from_raw_parts(start, layout.size()))
    }

    fn alloc_error(&self, layout: Layout) -> AllocError {
        AllocError::new(AllocErrorKind::Exhausted { errno: 0 }, layout, self.usage.state(), self.label)
    }

    /// Changes the size of a block.
    ///
    /// # Safety
    /// As [`Resource::grow`] and [`Resource::shrink`].
    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        if old.align() == new.align() && old.size() != 0 && new.size() != 0 {
            // SAFETY: the block is live and of this layout; the new size is not zero and fits
            // `isize` because `new` exists.
            let moved = unsafe { std::alloc::realloc(block.as_ptr(), old, new.size()) };
            let moved = NonNull::new(moved).ok_or_else(|| self.alloc_error(new))?;
            self.usage.resize(old.size(), new.size());
            return Ok(NonNull::slice_from_raw_parts(moved, new.size()));
        }
        // SAFETY: the caller's promises, with the smaller of both sizes.
        unsafe { realloc_by_copy(self, block, old, new, old.size().min(new.size())) }
    }
}

/// Returns a non-null pointer aligned to `layout`, for blocks of zero bytes.
fn dangling(layout: Layout) -> NonNull<u8> {
    NonNull::new(core::ptr::without_provenance_mut(layout.align())).unwrap_or(NonNull::dangling())
}

impl Default for CountedGlobal {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: laws 1 to 4, 6 and 7 are those of `GlobalAlloc`. Its blocks do not move with this value.
// Blocks of zero bytes are dangling and aligned.
unsafe impl Resource for CountedGlobal {
    #[inline]
    fn allocate(&self, layout: Layout) -> AllocResult {
        self.allocate_with(layout, std::alloc::alloc)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> AllocResult {
        self.allocate_with(layout, std::alloc::alloc_zeroed)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        self.usage.record_free(layout.size());
        if layout.size() != 0 {
            // SAFETY: the block came from the global allocator with this layout (size not zero)
            // and is live.
            unsafe { std::alloc::dealloc(block.as_ptr(), layout) }
        }
    }

    grow_and_shrink_by!(Self::resize);

    fn state(&self) -> ResourceState {
        self.usage.state()
    }
}

impl Trim for CountedGlobal {
    /// Returns 0: the global allocator has no call to release memory.
    fn trim(&self, _target_held: usize) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_zero_bytes_are_dangling_and_aligned() {
        assert_eq!(dangling(Layout::from_size_align(0, 4096).unwrap()).addr().get(), 4096);
    }
}
