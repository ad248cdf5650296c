//! The checked API: blocks as plain pointers that are safe to deallocate.
//!
//! The checks cost time and the callers hold pointers and sizes, so this is a second trait beside
//! [`Resource`](crate::Resource). The error is an associated type, so
//! `Box<dyn MemoryAllocator<Error = AllocError>>` can be chosen at run time.

use alloc::{boxed::Box, sync::Arc};

/// An allocator of plain pointers that checks every pointer it receives.
///
/// Threads share it. All sizes and alignments are in bytes. `deallocate` and `reallocate` are safe
/// to call with any pointer. A pointer that is invalid, inside a block, already free, or passed
/// with another size fails with an error and changes nothing. The error names the reason where the
/// allocator can find it. Access through the pointers is the caller's own `unsafe`.
///
/// ```
/// use arenite_core::MemoryAllocator;
/// fn scratch<A: MemoryAllocator + ?Sized>(allocator: &A) -> Result<(), A::Error> {
///     let block = allocator.allocate(4096, 64)?;
///     let block = allocator.reallocate(block, 4096, 8192, 64)?;
///     allocator.deallocate(block, 8192, 64)
/// }
/// ```
pub trait MemoryAllocator: Send + Sync {
    /// The error of a failed request.
    type Error: core::error::Error + Send + Sync + 'static;

    /// Allocates `size` bytes at `alignment`; the bytes are uninitialised and the pointer is never
    /// null.
    ///
    /// # Errors
    /// If no such layout exists, or if there is not enough memory.
    fn allocate(&self, size: usize, alignment: usize) -> Result<*mut u8, Self::Error>;

    /// Deallocates a block. O(1).
    ///
    /// # Errors
    /// If the pointer is not a live block of this allocator, or was allocated with another size or
    /// alignment.
    fn deallocate(&self, ptr: *mut u8, size: usize, alignment: usize) -> Result<(), Self::Error>;

    /// Changes the size of a block; the block may move. The alignment and the first `min(old, new)`
    /// bytes are preserved.
    ///
    /// # Errors
    /// As [`MemoryAllocator::allocate`] and [`MemoryAllocator::deallocate`]; the old block is then
    /// live and unchanged.
    fn reallocate(
        &self,
        ptr: *mut u8,
        old_size: usize,
        new_size: usize,
        alignment: usize,
    ) -> Result<*mut u8, Self::Error>;

    /// Returns the bytes in live blocks.
    fn allocated_size(&self) -> usize;

    /// Returns the largest [`MemoryAllocator::allocated_size`] since the start or the last
    /// [`MemoryAllocator::reset_peak`].
    fn peak_allocated(&self) -> usize;

    /// Sets the peak to the bytes that are allocated now.
    fn reset_peak(&self);
}

macro_rules! forward {
    ($($handle:ty $(: $bound:ident)*),*) => {$(
        impl<A: MemoryAllocator + ?Sized> MemoryAllocator for $handle {
            type Error = A::Error;

            fn allocate(&self, size: usize, alignment: usize) -> Result<*mut u8, Self::Error> {
                (**self).allocate(size, alignment)
            }
            fn deallocate(&self, ptr: *mut u8, size: usize, alignment: usize) -> Result<(), Self::Error> {
                (**self).deallocate(ptr, size, alignment)
            }
            fn reallocate(
                &self,
                ptr: *mut u8,
                old_size: usize,
                new_size: usize,
                alignment: usize,
            ) -> Result<*mut u8, Self::Error> {
                (**self).reallocate(ptr, old_size, new_size, alignment)
            }
            fn allocated_size(&self) -> usize {
                (**self).allocated_size()
            }
            fn peak_allocated(&self) -> usize {
                (**self).peak_allocated()
            }
            fn reset_peak(&self) {
                (**self).reset_peak();
            }
        }
    )*};
}

forward!(&A, Box<A>, Arc<A>);
