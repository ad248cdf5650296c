//! The unchecked API: a resource that allocates and deallocates blocks.
//!
//! The trait is small because everything composes by wrapping an upstream. Its laws are numbered,
//! and one test suite runs them over every implementation.
#![expect(unsafe_code, reason = "declares the unsafe contract of a resource and its provided methods")]

use crate::{AllocError, ResourceState};
use core::alloc::Layout;
use core::ptr::NonNull;

/// The result of an allocation: the block with its length in bytes, or the error.
///
/// ```
/// use arenite_core::AllocResult;
/// fn block_len(result: &AllocResult) -> usize {
///     result.as_ref().map_or(0, |block| block.len())
/// }
/// # assert_eq!(block_len(&Ok(core::ptr::NonNull::from(&mut [0_u8; 4][..]))), 4);
/// ```
pub type AllocResult = Result<NonNull<[u8]>, AllocError>;

/// An allocator of blocks without checks: `deallocate` is `unsafe`, and release builds check
/// nothing.
///
/// # Laws
/// 1. **Fit.** `allocate(layout)` returns a block of at least `layout.size()` bytes, aligned to
///    `layout.align()`.
/// 2. **Disjoint.** Blocks that are live at the same time do not overlap.
/// 3. **Stay.** A live block keeps its address and its bytes until it is deallocated, or until the
///    resource is dropped, reset or restored. Each of these proves, by exclusive access or by
///    count, that the block has no user. Moving the resource moves no block. A clone, if the
///    resource can be cloned, is a handle of the same resource and deallocates the blocks of the
///    other handles.
/// 4. **Zero size.** A request of zero bytes follows laws 1 to 3: the pointer is non-null,
///    aligned, and may be deallocated once.
/// 5. **Failure.** A failed request changes only failure counters: `state()` is unchanged. A
///    resource without memory for its own lists fails the request and still accepts every
///    deallocation.
/// 6. **Zeroed.** `allocate_zeroed` returns bytes that are all zero.
/// 7. **Prefix.** `grow` and `shrink` preserve the first `min(old, new)` bytes; on failure the old
///    block is unchanged.
/// 8. **Accounting.** `held >= in_use`, `peak >= in_use`, and `in_use <= limit`. `in_use` is at
///    least the sum of the sizes of the live blocks. `live_blocks` rises by one per allocation and
///    falls by one per deallocation.
/// 9. **Errors.** An error carries the requested size and alignment, and the state and label of
///    the failing resource. Making it does not allocate.
///
/// # Safety
/// An implementation must follow laws 1 to 4, 6 and 7: safe containers depend on them.
///
/// ```
/// use arenite_core::{AllocError, Resource, ResourceState};
/// # use core::{alloc::Layout, ptr::NonNull};
/// fn round_trip(resource: &dyn Resource) -> Result<(), AllocError> {
///     let layout = Layout::new::<[f64; 8]>();
///     let block = resource.allocate(layout)?;
///     // SAFETY: the block is live, has this resource and this layout, and is not used again.
///     unsafe { resource.deallocate(block.cast(), layout) };
///     Ok(())
/// }
/// ```
pub unsafe trait Resource {
    /// Allocates a block of at least `layout.size()` bytes at `layout.align()`; the bytes are
    /// uninitialised.
    ///
    /// # Errors
    /// [`AllocError`] with the numbers of the failing resource; the resource is unchanged (law 5).
    fn allocate(&self, layout: Layout) -> AllocResult;

    /// Deallocates a block.
    ///
    /// # Safety
    /// 1. `block` was allocated (or grown, or shrunk) from this resource and is live.
    /// 2. `layout` fits it: the alignment is the requested one, and the size lies between the
    ///    requested size and the returned length.
    /// 3. The block is not used afterwards.
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout);

    /// Returns the bytes in use, held and left. No system call.
    fn state(&self) -> ResourceState;

    /// Allocates like [`Resource::allocate`], with every byte zero.
    ///
    /// # Errors
    /// As [`Resource::allocate`].
    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> AllocResult {
        let block = self.allocate(layout)?;
        // SAFETY: the block is live, has no other user yet, and is valid for writes of its full
        // length (laws 1 and 2).
        unsafe { block.cast::<u8>().write_bytes(0, block.len()) };
        Ok(block)
    }

    /// Enlarges a block; the block may move.
    ///
    /// # Errors
    /// As [`Resource::allocate`]; the old block is then live and unchanged.
    ///
    /// # Safety
    /// 1. As [`Resource::deallocate`] for `block` and `old`.
    /// 2. `new.size() >= old.size()`.
    /// 3. After success the old block is not used.
    #[inline]
    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        debug_assert!(new.size() >= old.size(), "grow to a smaller size");
        // SAFETY: the caller's promises are those of `realloc_by_copy`, and `old.size()` is the
        // smaller size.
        unsafe { realloc_by_copy(self, block, old, new, old.size()) }
    }

    /// Shrinks a block; the block may move.
    ///
    /// # Errors
    /// As [`Resource::allocate`]; the old block is then live and unchanged.
    ///
    /// # Safety
    /// 1. As [`Resource::deallocate`] for `block` and `old`.
    /// 2. `new.size() <= old.size()`.
    /// 3. After success the old block is not used.
    #[inline]
    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        debug_assert!(new.size() <= old.size(), "shrink to a larger size");
        // SAFETY: the caller's promises are those of `realloc_by_copy`, and `new.size()` is the
        // smaller size.
        unsafe { realloc_by_copy(self, block, old, new, new.size()) }
    }
}

/// Reallocates by copying: allocates `new`, copies `preserved` bytes, deallocates `old`. This is
/// the default of `grow` and `shrink`.
///
/// # Errors
/// As [`Resource::allocate`]; the old block is then live and unchanged.
///
/// # Safety
/// 1. As [`Resource::deallocate`] for `block` and `old`.
/// 2. `preserved` is at most either size.
pub unsafe fn realloc_by_copy<R: Resource + ?Sized>(
    resource: &R,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
    preserved: usize,
) -> AllocResult {
    let moved = resource.allocate(new)?;
    // SAFETY: 1. both blocks are live and at least `preserved` bytes long: the caller's promise 2
    // and law 1. 2. live blocks do not overlap: law 2.
    unsafe { moved.cast::<u8>().copy_from_nonoverlapping(block, preserved) };
    // SAFETY: the caller promised that `block` is live, fits `old`, and is not used after success.
    unsafe { resource.deallocate(block, old) };
    Ok(moved)
}
