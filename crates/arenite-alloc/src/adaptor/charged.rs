//! The blocks of adaptors that charge bytes before they call their upstream.
//!
//! [`Limit`](super::Limit) and [`Budgeted`](crate::Budgeted) differ only in the account that they
//! charge. The charge comes first, so a limit is never exceeded, not by one byte and not by two
//! threads at once.

use core::alloc::Layout;
use core::ptr::NonNull;

/// Returns the block with the requested length.
///
/// The caller may free a block with any size up to the returned length. An adaptor that counts by
/// size must see the requested size.
pub(crate) fn with_requested_size(block: NonNull<[u8]>, layout: Layout) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(block.cast(), layout.size())
}

/// Implements `Resource` and `Trim` for an adaptor.
///
/// The adaptor has the fields `upstream` and `usage`, and the methods `charge(bytes, layout)`,
/// `uncharge(bytes)` and `charged_state()`. After a charge, `confirm(bytes, blocks)` or
/// `cancel(bytes)` is called.
macro_rules! impl_charged_resource {
    ($type:ident) => {
        impl<R: Resource> $type<R> {
            /// Charges `bytes`, calls the upstream, and counts `blocks` more blocks.
            #[inline(always)]
            fn charged(
                &self,
                bytes: usize,
                blocks: usize,
                layout: Layout,
                call: impl FnOnce() -> AllocResult,
            ) -> AllocResult {
                self.charge(bytes, layout)?;
                let block = call().inspect_err(|_| self.cancel(bytes))?;
                self.confirm(bytes, blocks);
                Ok($crate::adaptor::with_requested_size(block, layout))
            }
        }

        // SAFETY: forwards every call to the upstream, which keeps the laws.
        unsafe impl<R: Resource> Resource for $type<R> {
            #[inline]
            fn allocate(&self, layout: Layout) -> AllocResult {
                self.charged(layout.size(), 1, layout, || self.upstream.allocate(layout))
            }

            #[inline]
            fn allocate_zeroed(&self, layout: Layout) -> AllocResult {
                self.charged(layout.size(), 1, layout, || self.upstream.allocate_zeroed(layout))
            }

            #[inline]
            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller's guarantees hold for the forwarded call.
                unsafe { self.upstream.deallocate(block, layout) };
                self.uncharge(layout.size());
                self.usage.record_freed_block();
            }

            /// Charges the difference only.
            unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
                // SAFETY: the caller's guarantees hold for the forwarded call.
                let grow = || unsafe { self.upstream.grow(block, old, new) };
                self.charged(new.size() - old.size(), 0, new, grow)
            }

            /// Reverts the charge of the difference.
            unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
                // SAFETY: the caller's guarantees hold for the forwarded call.
                let shrunk = unsafe { self.upstream.shrink(block, old, new) }?;
                self.uncharge(old.size() - new.size());
                Ok($crate::adaptor::with_requested_size(shrunk, new))
            }

            fn state(&self) -> ResourceState {
                self.charged_state()
            }
        }

        impl<R: Trim> Trim for $type<R> {
            fn trim(&self, target_held: usize) -> usize {
                self.upstream.trim(target_held)
            }
        }
    };
}
pub(crate) use impl_charged_resource;
