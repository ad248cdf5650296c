//! A resource that overwrites fresh and freed bytes.
//!
//! A program that takes fresh bytes for zero, or reads a freed block, sees these patterns instead
//! of plausible old bytes.
#![expect(unsafe_code, reason = "writes over blocks and forwards an unsafe trait")]

use arenite_core::{AllocError, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

/// The value of fresh bytes.
pub const FRESH: u8 = 0xA5;
/// The value of freed bytes.
pub const FREED: u8 = 0x5A;

/// A wrapper that fills fresh blocks with [`FRESH`] and freed blocks with [`FREED`].
///
/// ```
/// use arenite_alloc::CountedGlobal;
/// use arenite_core::{AllocError, Block};
/// use testkit::doubles::Scribbling;
/// let scribbling = Scribbling::new(CountedGlobal::new());
/// let mut block = Block::new_in(arenite_core::layout(8, 8)?, &scribbling)?;
/// // SAFETY: the double wrote every byte.
/// assert_eq!(unsafe { block.bytes()[7].assume_init() }, 0xA5);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Scribbling<R> {
    upstream: R,
}

impl<R: Resource> Scribbling<R> {
    /// Wraps `upstream`.
    pub const fn new(upstream: R) -> Self {
        Self { upstream }
    }

    /// Returns the wrapped resource.
    pub const fn upstream(&self) -> &R {
        &self.upstream
    }
}

// SAFETY: every call goes to the upstream, which obeys the laws. The writes go only to bytes that
// no user may read: those of a fresh block and those of a block being freed. `grow` and `shrink`
// are the provided ones.
unsafe impl<R: Resource> Resource for Scribbling<R> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.upstream.allocate(layout)?;
        // SAFETY: a fresh block of `block.len()` bytes, which has no other user.
        unsafe { block.cast::<u8>().write_bytes(FRESH, block.len()) };
        Ok(block)
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.upstream.allocate_zeroed(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller frees a live block of at least this size and does not use it
        // afterwards.
        unsafe { block.write_bytes(FREED, layout.size()) };
        // SAFETY: the caller's promise: a live block of this layout, not used afterwards.
        unsafe { self.upstream.deallocate(block, layout) }
    }

    fn state(&self) -> ResourceState {
        self.upstream.state()
    }
}

impl<R: Trim> Trim for Scribbling<R> {
    fn trim(&self, target_held: usize) -> usize {
        self.upstream.trim(target_held)
    }
}
