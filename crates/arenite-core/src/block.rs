//! A block that frees itself on drop.
//!
//! Tensors, buffers and tests use this type instead of destructors of their own. With an `Rc` or
//! `Arc` of a resource as the handle, the block holds no borrow.
#![expect(unsafe_code, reason = "deallocates its block on drop and returns its bytes as slices")]

use crate::{AllocError, Resource};
use core::alloc::Layout;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// One block of `R`, deallocated on drop.
///
/// `R` is any handle that is a resource: `&Arena`, `Rc<Arena>`, `Arc<SharedPool>`, or a resource
/// itself.
///
/// ```
/// # use arenite_core::*;
/// # fn demo<R: Resource>(resource: R) -> Result<(), AllocError> {
/// let mut block = Block::zeroed_in(layout(1024, 64)?, resource)?;
/// assert_eq!(block.len(), 1024);
/// block.bytes_mut()[0].write(7);
/// # Ok(()) }
/// ```
pub struct Block<R: Resource> {
    start: NonNull<u8>,
    layout: Layout,
    resource: R,
}

impl<R: Resource> Block<R> {
    /// Allocates a block of `layout` from `resource`; its bytes are uninitialised.
    ///
    /// # Errors
    /// As [`Resource::allocate`].
    pub fn new_in(layout: Layout, resource: R) -> Result<Self, AllocError> {
        let start = resource.allocate(layout)?.cast();
        Ok(Self { start, layout, resource })
    }

    /// Allocates a block of `layout` from `resource`; every byte is zero.
    ///
    /// # Errors
    /// As [`Resource::allocate_zeroed`].
    pub fn zeroed_in(layout: Layout, resource: R) -> Result<Self, AllocError> {
        let start = resource.allocate_zeroed(layout)?.cast();
        Ok(Self { start, layout, resource })
    }

    /// Returns the start of the block, aligned to the alignment of [`Block::layout`].
    pub const fn as_ptr(&self) -> NonNull<u8> {
        self.start
    }

    /// Returns the requested layout.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Returns the requested size in bytes.
    pub const fn len(&self) -> usize {
        self.layout.size()
    }

    /// Returns whether the size is zero.
    pub const fn is_empty(&self) -> bool {
        self.layout.size() == 0
    }

    /// Returns the handle of the resource.
    pub const fn resource(&self) -> &R {
        &self.resource
    }

    /// Returns the bytes, which may be uninitialised.
    pub fn bytes(&self) -> &[MaybeUninit<u8>] {
        // SAFETY: 1. valid for `len` bytes: law 1, and the block is live until drop. 2. not written
        // while borrowed: writes need `&mut self`. 3. `MaybeUninit` allows uninitialised bytes.
        unsafe { core::slice::from_raw_parts(self.start.cast().as_ptr(), self.len()) }
    }

    /// Returns the bytes for writing; they may be uninitialised.
    pub fn bytes_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: 1. valid for `len` bytes: law 1, and the block is live until drop. 2. the only
        // borrow: `&mut self`. 3. `MaybeUninit` allows uninitialised bytes.
        unsafe { core::slice::from_raw_parts_mut(self.start.cast().as_ptr(), self.len()) }
    }

    /// Changes the size of the block; the block may move. The alignment and the first
    /// `min(old, new)` bytes are preserved.
    ///
    /// # Errors
    /// As [`Resource::grow`] and [`Resource::shrink`]; the block is then unchanged.
    pub fn resize(&mut self, size: usize) -> Result<(), AllocError> {
        let new = crate::layout(size, self.layout.align())?;
        let moved = if size >= self.layout.size() {
            // SAFETY: the block is live, belongs to this resource, fits `self.layout`, and is
            // replaced on success.
            unsafe { self.resource.grow(self.start, self.layout, new) }?
        } else {
            // SAFETY: as above.
            unsafe { self.resource.shrink(self.start, self.layout, new) }?
        };
        self.start = moved.cast();
        self.layout = new;
        Ok(())
    }
}

impl<R: Resource> Drop for Block<R> {
    fn drop(&mut self) {
        // SAFETY: the block is live and was allocated from this resource with this layout; its only
        // owner is being dropped.
        unsafe { self.resource.deallocate(self.start, self.layout) }
    }
}

impl<R: Resource> fmt::Debug for Block<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Block")
            .field("start", &self.start)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

// SAFETY: a block is plain bytes owned by this value; sending it sends the handle, which is
// `Send`.
unsafe impl<R: Resource + Send> Send for Block<R> {}
// SAFETY: `&Block` only reads the bytes and the handle, which is `Sync`.
unsafe impl<R: Resource + Sync> Sync for Block<R> {}
