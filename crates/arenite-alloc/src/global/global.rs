//! The program's global allocator as a resource.
//!
//! [`Global`] is a zero-sized handle, so it costs a container nothing. Its counters are one static,
//! so they cover every block that the process allocated through a handle.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use super::CountedGlobal;
use arenite_core::{AllocError, Label, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

static COUNTED: CountedGlobal = CountedGlobal::with_const_label(Label::new("global"));

/// Blocks of the program's global allocator (`malloc`, unless the program chose another). Shared
/// between threads.
///
/// `state()` counts what the whole process allocated through this handle. Each call costs the
/// global allocator's time and three relaxed atomic additions.
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

// SAFETY: forwards every call to one static resource, which keeps the laws.
unsafe impl Resource for Global {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        COUNTED.allocate(layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        COUNTED.allocate_zeroed(layout)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { COUNTED.deallocate(block, layout) }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        unsafe { COUNTED.grow(block, old, new) }
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        unsafe { COUNTED.shrink(block, old, new) }
    }

    fn state(&self) -> ResourceState {
        COUNTED.state()
    }
}

impl Trim for Global {
    /// Returns 0: the global allocator has no call to release memory.
    fn trim(&self, _target_held: usize) -> usize {
        0
    }
}
