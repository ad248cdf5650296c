//! References, boxes and counted pointers to a resource are resources.
//!
//! Rests on [`Resource`]. It lets a container hold a resource by whichever handle fits its life time: `&R` borrows,
//! `Rc<R>` and `Arc<R>` keep the resource alive without a borrow, `Box<dyn Resource>` hides its type.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use crate::{AllocError, Owns, Resource, ResourceState, Trim};
use alloc::{boxed::Box, rc::Rc, sync::Arc};
use core::alloc::Layout;
use core::ptr::NonNull;

macro_rules! forward {
    ($($handle:ty),*) => {$(
        // SAFETY: every call is forwarded to the one resource behind the handle, which keeps the laws; a handle's
        // move or clone does not move that resource's blocks.
        unsafe impl<R: Resource + ?Sized> Resource for $handle {
            #[inline]
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                (**self).allocate(layout)
            }
            #[inline]
            fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                (**self).allocate_zeroed(layout)
            }
            #[inline]
            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller's promise about this handle is one about the resource behind it.
                unsafe { (**self).deallocate(block, layout) }
            }
            #[inline]
            unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: as for `deallocate`.
                unsafe { (**self).grow(block, old, new) }
            }
            #[inline]
            unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: as for `deallocate`.
                unsafe { (**self).shrink(block, old, new) }
            }
            #[inline]
            fn state(&self) -> ResourceState {
                (**self).state()
            }
        }

        impl<R: Trim + ?Sized> Trim for $handle {
            fn trim(&self, target_held: usize) -> usize {
                (**self).trim(target_held)
            }
        }
    )*};
}

forward!(&R, Box<R>, Rc<R>, Arc<R>);

// Not for `&R`, `Rc` and `Arc`: a resource that others draw on, too, cannot say "false" of their blocks.
// SAFETY: the box owns the resource, whose blocks they are.
unsafe impl<R: Owns + ?Sized> Owns for Box<R> {
    fn owns(&self, block: NonNull<u8>) -> bool {
        (**self).owns(block)
    }
}
