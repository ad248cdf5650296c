//! An adaptor that raises the alignment of every block.
//!
//! Containers request their element's alignment; this adaptor raises it to that of cache lines or
//! vector registers.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use crate::util::with_layout;
use arenite_core::{Alignment, AllocError, AllocResult, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

/// Blocks of an upstream with a minimum alignment.
///
/// ```
/// use arenite_alloc::{Aligned, Global};
/// use arenite_core::{Alignment, AllocError, Block};
/// let aligned = Aligned::new(Global, Alignment::DEFAULT);
/// let block = Block::new_in(arenite_core::layout(100, 1)?, &aligned)?;
/// assert_eq!(block.as_ptr().as_ptr() as usize % 64, 0);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Aligned<R> {
    upstream: R,
    min_alignment: Alignment,
}

impl<R: Resource> Aligned<R> {
    /// Aligns blocks of `upstream` to at least `min_alignment`.
    pub const fn new(upstream: R, min_alignment: Alignment) -> Self {
        Self { upstream, min_alignment }
    }

    fn raise_layout(&self, layout: Layout) -> Result<Layout, AllocError> {
        layout.align_to(self.min_alignment.get()).map_err(|_| {
            AllocError::bad_layout(
                layout.size(),
                layout.align(),
                self.upstream.state(),
                arenite_core::Label::new("aligned"),
            )
        })
    }

    /// Returns the raised layout of a live block, which was raised when it was allocated.
    fn raised(&self, layout: Layout) -> Layout {
        layout.align_to(self.min_alignment.get()).unwrap_or(layout)
    }
}

// SAFETY: forwards every call with the same raised layout, for which the upstream keeps the laws.
unsafe impl<R: Resource> Resource for Aligned<R> {
    #[inline]
    fn allocate(&self, layout: Layout) -> AllocResult {
        self.upstream.allocate(self.raise_layout(layout)?).map_err(|error| with_layout(error, layout))
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> AllocResult {
        self.upstream.allocate_zeroed(self.raise_layout(layout)?).map_err(|error| with_layout(error, layout))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise, and the block was allocated with the raised layout.
        unsafe { self.upstream.deallocate(block, self.raised(layout)) }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        let raised = self.raise_layout(new)?;
        // SAFETY: the caller's promise, and the block was allocated with the raised layout.
        unsafe { self.upstream.grow(block, self.raised(old), raised) }
            .map_err(|error| with_layout(error, new))
    }

    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        let raised = self.raise_layout(new)?;
        // SAFETY: the caller's promise, and the block was allocated with the raised layout.
        unsafe { self.upstream.shrink(block, self.raised(old), raised) }
            .map_err(|error| with_layout(error, new))
    }

    fn state(&self) -> ResourceState {
        self.upstream.state()
    }
}

impl<R: Trim> Trim for Aligned<R> {
    fn trim(&self, target_held: usize) -> usize {
        self.upstream.trim(target_held)
    }
}
