//! Resource implementations for references, boxes and counted pointers.
//!
//! A container chooses the handle that fits its lifetime. `&R` borrows, `Rc<R>` and `Arc<R>` share
//! ownership, `Box<dyn Resource>` hides the type.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use crate::{AllocResult, Owns, Resource, ResourceState, Trim};
use alloc::{boxed::Box, rc::Rc, sync::Arc};
use core::alloc::Layout;
use core::ptr::NonNull;

macro_rules! forward {
    ($($handle:ty),*) => {$(
        // SAFETY: every call is forwarded to the one resource behind the handle, which follows the
        // laws. Moving or cloning a handle does not move the blocks of that resource.
        unsafe impl<R: Resource + ?Sized> Resource for $handle {
            #[inline]
            fn allocate(&self, layout: Layout) -> AllocResult {
                (**self).allocate(layout)
            }
            #[inline]
            fn allocate_zeroed(&self, layout: Layout) -> AllocResult {
                (**self).allocate_zeroed(layout)
            }
            #[inline]
            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller's promise about the handle holds for the resource behind it.
                unsafe { (**self).deallocate(block, layout) }
            }
            #[inline]
            unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
                // SAFETY: the caller's promise about the handle holds for the resource behind it.
                unsafe { (**self).grow(block, old, new) }
            }
            #[inline]
            unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
                // SAFETY: the caller's promise about the handle holds for the resource behind it.
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

// Not implemented for `&R`, `Rc` and `Arc`: another handle may use the same resource, so "false"
// would be wrong for its blocks.
// SAFETY: the box owns the resource that the blocks belong to.
unsafe impl<R: Owns + ?Sized> Owns for Box<R> {
    fn owns(&self, block: NonNull<u8>) -> bool {
        (**self).owns(block)
    }
}
