//! A block with an owner: given back when the owner goes.
//!
//! Rests on [`Resource`]. It is the one place where a raw block gets a destructor, so that tensors, buffers and tests
//! need none of their own. With an `Rc` or `Arc` of a resource as its handle it keeps no borrow.
#![expect(unsafe_code, reason = "gives its block back on drop and lends its bytes")]

use crate::{AllocError, Resource};
use core::alloc::Layout;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// Owns one block of `R` and gives it back on drop.
///
/// `R` is any handle that is a resource: `&Arena`, `Rc<Arena>`, `Arc<SharedPool>`, or a resource itself.
///
/// ```
/// # use arenite_core::*;
/// # fn demo<R: Resource>(resource: R) -> Result<(), AllocError> {
/// let mut block = Block::zeroed_in(AllocError::layout(1024, 64)?, resource)?;
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
    /// A block of `layout` from `resource`, its bytes undefined.
    ///
    /// # Errors
    /// As [`Resource::allocate`].
    pub fn new_in(layout: Layout, resource: R) -> Result<Self, AllocError> {
        let start = resource.allocate(layout)?.cast();
        Ok(Self { start, layout, resource })
    }

    /// A block of `layout` from `resource`, every byte zero.
    ///
    /// # Errors
    /// As [`Resource::allocate_zeroed`].
    pub fn zeroed_in(layout: Layout, resource: R) -> Result<Self, AllocError> {
        let start = resource.allocate_zeroed(layout)?.cast();
        Ok(Self { start, layout, resource })
    }

    /// Where the block starts, aligned to [`Block::layout`]'s alignment.
    pub const fn as_ptr(&self) -> NonNull<u8> {
        self.start
    }

    /// The layout that was asked.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The size that was asked, in bytes.
    pub const fn len(&self) -> usize {
        self.layout.size()
    }

    /// Whether the block has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.layout.size() == 0
    }

    /// The handle of the resource.
    pub const fn resource(&self) -> &R {
        &self.resource
    }

    /// The bytes, which may be undefined.
    pub fn bytes(&self) -> &[MaybeUninit<u8>] {
        // SAFETY: 1. valid for `len` bytes: law 1 and the block is live until drop. 2. not written while borrowed:
        // only `&mut self` writes. 3. `MaybeUninit` allows undefined bytes.
        unsafe { core::slice::from_raw_parts(self.start.cast().as_ptr(), self.len()) }
    }

    /// The bytes for writing, which may be undefined.
    pub fn bytes_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: as in `bytes`, and `&mut self` makes this the only borrow.
        unsafe { core::slice::from_raw_parts_mut(self.start.cast().as_ptr(), self.len()) }
    }

    /// Makes the block larger or smaller, keeping the first `min(old, new)` bytes and the alignment; it may move.
    ///
    /// # Errors
    /// As [`Resource::grow`] and [`Resource::shrink`]; the block is then as it was.
    pub fn resize(&mut self, size: usize) -> Result<(), AllocError> {
        let new = AllocError::layout(size, self.layout.align())?;
        let moved = if size >= self.layout.size() {
            // SAFETY: the block is live, of this resource, fits `self.layout`, and is replaced on success.
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
        // SAFETY: the block is live, was allocated from this resource with this layout, and its only owner goes.
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

// SAFETY: a block is plain bytes owned by this value; sending it sends the resource's handle, which is `Send`.
unsafe impl<R: Resource + Send> Send for Block<R> {}
// SAFETY: `&Block` only reads the bytes and the handle, which is `Sync`.
unsafe impl<R: Resource + Sync> Sync for Block<R> {}
