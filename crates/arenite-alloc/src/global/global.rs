//! The program's global allocator as a resource.
//!
//! Rests on `std::alloc`, so on whatever `#[global_allocator]` the program chose. It is a zero-sized handle whose counts
//! stand in statics, so that it costs a container nothing to carry and so that "everything taken this way" is one number.
#![expect(unsafe_code, reason = "calls the global allocator")]

use arenite_core::{AllocCause, AllocError, Label, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

use crate::util::usage_counter::Tally;

static TALLY: Tally = Tally::new();

/// Blocks from the program's global allocator (`malloc`, unless the program chose another). Shared between threads.
///
/// `state()` counts what was taken through this handle, in the whole process. Each call costs the global allocator's time
/// and three relaxed atomic additions.
///
/// ```
/// use arenite_alloc::Global;
/// use arenite_core::{AllocError, Block};
/// let block = Block::zeroed_in(AllocError::layout(4096, 64)?, Global)?;
/// assert_eq!(block.as_ptr().as_ptr() as usize % 64, 0);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Global;

/// The label that errors of [`Global`] carry.
const LABEL: Label = Label::new("global");

impl Global {
    /// Allocates through `call` and counts it.
    #[inline]
    fn take(
        layout: Layout,
        call: unsafe fn(Layout) -> *mut u8,
        tally: &Tally,
        label: Label,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let start = if layout.size() == 0 {
            Some(dangling(layout))
        } else {
            // SAFETY: the size is not zero.
            NonNull::new(unsafe { call(layout) })
        };
        match start {
            Some(start) => {
                tally.add(layout.size());
                Ok(NonNull::slice_from_raw_parts(start, layout.size()))
            }
            None => Err(AllocError::new(AllocCause::Exhausted { errno: 0 }, layout, tally.state(), label)),
        }
    }
}

/// A non-null pointer aligned to `layout`, for blocks of no bytes.
pub(crate) fn dangling(layout: Layout) -> NonNull<u8> {
    NonNull::new(core::ptr::without_provenance_mut(layout.align())).unwrap_or(NonNull::dangling())
}

/// The three calls of `std::alloc`, counted in `tally`.
pub(crate) mod counted {
    use super::{AllocCause, AllocError, Global, Label, Layout, NonNull, Tally};

    pub(crate) fn allocate(tally: &Tally, label: Label, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Global::take(layout, std::alloc::alloc, tally, label)
    }

    pub(crate) fn allocate_zeroed(
        tally: &Tally,
        label: Label,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        Global::take(layout, std::alloc::alloc_zeroed, tally, label)
    }

    /// # Safety
    /// As `Resource::deallocate`, for a block counted in `tally`.
    pub(crate) unsafe fn deallocate(tally: &Tally, block: NonNull<u8>, layout: Layout) {
        tally.remove(layout.size());
        if layout.size() != 0 {
            // SAFETY: the block came from the global allocator with this layout (size not zero) and is live.
            unsafe { std::alloc::dealloc(block.as_ptr(), layout) }
        }
    }

    /// # Safety
    /// As `Resource::grow` and `Resource::shrink`, for a block counted in `tally`.
    pub(crate) unsafe fn resize(
        tally: &Tally,
        label: Label,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if old.align() == new.align() && old.size() != 0 && new.size() != 0 {
            // SAFETY: the block is live and of this layout; the new size is not zero and fits `isize` as `new` exists.
            let moved = unsafe { std::alloc::realloc(block.as_ptr(), old, new.size()) };
            let Some(moved) = NonNull::new(moved) else {
                return Err(AllocError::new(AllocCause::Exhausted { errno: 0 }, new, tally.state(), label));
            };
            tally.resize(old.size(), new.size());
            return Ok(NonNull::slice_from_raw_parts(moved, new.size()));
        }
        let moved = allocate(tally, label, new)?;
        let kept = old.size().min(new.size());
        // SAFETY: both blocks are live and at least `kept` bytes long; live blocks do not overlap.
        unsafe { moved.cast::<u8>().copy_from_nonoverlapping(block, kept) };
        // SAFETY: the caller promised that the block is live and fits `old`.
        unsafe { deallocate(tally, block, old) };
        Ok(moved)
    }
}

// SAFETY: laws 1 to 4, 6 and 7 are those of `GlobalAlloc`, whose blocks do not move with this handle; blocks of no bytes
// are dangling and aligned.
unsafe impl Resource for Global {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        counted::allocate(&TALLY, LABEL, layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        counted::allocate_zeroed(&TALLY, LABEL, layout)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { counted::deallocate(&TALLY, block, layout) }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        unsafe { counted::resize(&TALLY, LABEL, block, old, new) }
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        unsafe { counted::resize(&TALLY, LABEL, block, old, new) }
    }

    fn state(&self) -> ResourceState {
        TALLY.state()
    }
}

impl Trim for Global {
    /// The global allocator has no call to give memory back: 0.
    fn trim(&self, _target_held: usize) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_no_bytes_are_dangling_and_aligned() {
        assert_eq!(dangling(Layout::from_size_align(0, 4096).unwrap()).addr().get(), 4096);
    }
}
