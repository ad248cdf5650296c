//! Writes over what nobody may read: fresh bytes and freed ones.
//!
//! Rests on any [`Resource`]. A program that takes fresh bytes for zero, or reads a block after it gave it back, sees these
//! patterns instead of what happened to be there.
#![expect(unsafe_code, reason = "writes over blocks and forwards an unsafe trait")]

use arenite_core::{AllocError, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

/// What fresh bytes are set to.
pub const FRESH: u8 = 0xA5;
/// What freed bytes are set to.
pub const FREED: u8 = 0x5A;

/// Fills fresh blocks with [`FRESH`] and freed ones with [`FREED`].
///
/// ```
/// use arenite_alloc::System;
/// use arenite_core::{AllocError, Block};
/// use testkit::doubles::Scribbling;
/// let scribbling = Scribbling::new(System::new());
/// let mut block = Block::new_in(AllocError::layout(8, 8)?, &scribbling)?;
/// // SAFETY: the double wrote every byte.
/// assert_eq!(unsafe { block.bytes()[7].assume_init() }, 0xA5);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Scribbling<R> {
    upstream: R,
}

impl<R: Resource> Scribbling<R> {
    /// Scribbles over blocks of `upstream`.
    pub const fn new(upstream: R) -> Self {
        Self { upstream }
    }

    /// The resource behind the double.
    pub const fn upstream(&self) -> &R {
        &self.upstream
    }
}

// SAFETY: forwards every call to the upstream, which keeps the laws, and writes only to bytes that nobody may read: those of
// a fresh block, and those of a block that is given back. Growing and shrinking are the provided ones.
unsafe impl<R: Resource> Resource for Scribbling<R> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.upstream.allocate(layout)?;
        // SAFETY: a fresh block, this long, nobody else's.
        unsafe { block.cast::<u8>().write_bytes(FRESH, block.len()) };
        Ok(block)
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.upstream.allocate_zeroed(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller gives the block back: it is live, at least this long, and not used afterwards.
        unsafe { block.write_bytes(FREED, layout.size()) };
        // SAFETY: the caller's promise.
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
