//! The resource: gives blocks and takes them back.
//!
//! Rests on [`AllocError`] and [`ResourceState`]. One small trait, because everything composes by wrapping an upstream
//! and a large base is what others had to replace; its laws are numbered, and a test suite runs them over every
//! implementation there is.
#![expect(unsafe_code, reason = "declares the unsafe contract of a resource and its provided methods")]

use crate::{AllocError, ResourceState};
use core::alloc::Layout;
use core::ptr::NonNull;

/// Gives and takes back blocks: the fast door (unsafe to give back, nothing checked in release builds).
///
/// # Laws
/// 1. **Fit.** `allocate(layout)` returns a block of at least `layout.size()` bytes, aligned to `layout.align()`.
/// 2. **Disjoint.** Blocks that are live at one time do not overlap.
/// 3. **Stay.** A live block keeps its address and its bytes until it is deallocated, or until the resource is dropped,
///    reset or restored through a method that proves (by exclusive access or by count) that nobody holds it. Moving the
///    resource moves no block, and a clone of it, where it can be cloned, is a handle of the same resource: it takes
///    back what the other lent.
/// 4. **Zero size.** A request of zero bytes follows laws 1 to 3 like any other: it returns a non-null aligned pointer
///    that may be deallocated once.
/// 5. **Refusal.** A refused request changes nothing but what the resource counts of failures: `state()` is as it was. What a
///    resource needs for its own lists it asks for and does not insist on: where there is no memory it refuses, and takes
///    back what it lent.
/// 6. **Zeroed.** `allocate_zeroed` returns bytes that are all zero.
/// 7. **Prefix.** `grow` and `shrink` keep the first `min(old, new)` bytes; when they fail the old block is unchanged.
/// 8. **Account.** `held >= in_use`, `peak >= in_use`, `in_use` is at least the sum of the sizes of the live blocks,
///    `live_blocks` rises by one a block and falls by one a deallocation, and `in_use <= limit`.
/// 9. **Errors.** An error carries the size and alignment asked, the state and the label of who refused, and is made
///    without allocating.
///
/// # Safety
/// An implementation must keep laws 1 to 4, 6 and 7: safe containers rest on them.
///
/// ```
/// use arenite_core::{AllocError, Resource, ResourceState};
/// # use core::{alloc::Layout, ptr::NonNull};
/// fn twice(resource: &dyn Resource) -> Result<(), AllocError> {
///     let layout = Layout::new::<[f64; 8]>();
///     let block = resource.allocate(layout)?;
///     // SAFETY: the block is live, was allocated from `resource` with this layout, and is not used again.
///     unsafe { resource.deallocate(block.cast(), layout) };
///     Ok(())
/// }
/// ```
pub unsafe trait Resource {
    /// A block of at least `layout.size()` bytes at `layout.align()`, its bytes undefined.
    ///
    /// # Errors
    /// [`AllocError`] with the numbers of who refused; the resource is as it was (law 5).
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError>;

    /// Takes a block back.
    ///
    /// # Safety
    /// 1. `block` was allocated (or grown, or shrunk) from this resource and is live.
    /// 2. `layout` fits it: the alignment is the one it was asked with, the size lies between the size asked and the
    ///    length returned.
    /// 3. The block is not used afterwards.
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout);

    /// What is lent, held and left. Cheap: no call to the operating system.
    fn state(&self) -> ResourceState;

    /// Like [`Resource::allocate`], every byte zero.
    ///
    /// # Errors
    /// As [`Resource::allocate`].
    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate(layout)?;
        // SAFETY: the block is live and ours alone, valid for writes of its whole length (laws 1 and 2).
        unsafe { block.cast::<u8>().write_bytes(0, block.len()) };
        Ok(block)
    }

    /// Makes a block larger; it may move.
    ///
    /// # Errors
    /// As [`Resource::allocate`]; the old block is then live and unchanged.
    ///
    /// # Safety
    /// 1. As [`Resource::deallocate`] for `block` and `old`.
    /// 2. `new.size() >= old.size()`.
    /// 3. After success the old block is not used.
    #[inline]
    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() >= old.size(), "grow to a smaller size");
        // SAFETY: the caller's promises are those of `relocate`, with `old.size()` the smaller size.
        unsafe { relocate(self, block, old, new, old.size()) }
    }

    /// Makes a block smaller; it may move.
    ///
    /// # Errors
    /// As [`Resource::allocate`]; the old block is then live and unchanged.
    ///
    /// # Safety
    /// 1. As [`Resource::deallocate`] for `block` and `old`.
    /// 2. `new.size() <= old.size()`.
    /// 3. After success the old block is not used.
    #[inline]
    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() <= old.size(), "shrink to a larger size");
        // SAFETY: the caller's promises are those of `relocate`, with `new.size()` the smaller size.
        unsafe { relocate(self, block, old, new, new.size()) }
    }
}

/// Allocates `new`, copies `kept` bytes, gives `old` back: what `grow` and `shrink` do where nothing better is known.
///
/// # Errors
/// As [`Resource::allocate`]; the old block is then live and unchanged.
///
/// # Safety
/// 1. As [`Resource::deallocate`] for `block` and `old`.
/// 2. `kept` is at most either size.
pub unsafe fn relocate<R: Resource + ?Sized>(
    resource: &R,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
    kept: usize,
) -> Result<NonNull<[u8]>, AllocError> {
    let moved = resource.allocate(new)?;
    // SAFETY: 1. both blocks are live and at least `kept` bytes long. 2. law 2: live blocks do not overlap.
    unsafe { moved.cast::<u8>().copy_from_nonoverlapping(block, kept) };
    // SAFETY: the caller promised that `block` is live, fits `old`, and is not used after success.
    unsafe { resource.deallocate(block, old) };
    Ok(moved)
}
