//! The checked door: the same blocks as [`Resource`](crate::Resource), safe to give back.
//!
//! Rests on nothing but the document its interface comes from. It is a second trait because checks cost and because its
//! users hold plain pointers and sizes; the error type is an associated type, so that one can write
//! `Box<dyn MemoryAllocator<Error = AllocError>>` and choose an allocator at run time.

use alloc::{boxed::Box, sync::Arc};

/// Allocates and takes back plain pointers, checking each one.
///
/// Shared between threads. All sizes and alignments in bytes. `deallocate` and `reallocate` are safe to call with any
/// pointer: one that is foreign, inside a block, already free, or given with another size is refused with an error and
/// nothing changes. Which of these it was is said where the allocator can know it. Reading or writing through the pointers is the caller's own `unsafe`.
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
    /// What a refusal says.
    type Error: core::error::Error + Send + Sync + 'static;

    /// A block of `size` bytes at `alignment`, its bytes undefined; never null.
    ///
    /// # Errors
    /// If no such layout exists, or the memory is not to be had.
    fn allocate(&self, size: usize, alignment: usize) -> Result<*mut u8, Self::Error>;

    /// Takes a block back. O(1).
    ///
    /// # Errors
    /// If the pointer is not one of this allocator's live blocks, or was asked with another size or alignment.
    fn deallocate(&self, ptr: *mut u8, size: usize, alignment: usize) -> Result<(), Self::Error>;

    /// Changes a block's size, keeping its alignment and the first `min(old, new)` bytes; it may move.
    ///
    /// # Errors
    /// As [`MemoryAllocator::allocate`] and [`MemoryAllocator::deallocate`]; the old block is then live and unchanged.
    fn reallocate(
        &self,
        ptr: *mut u8,
        old_size: usize,
        new_size: usize,
        alignment: usize,
    ) -> Result<*mut u8, Self::Error>;

    /// Bytes lent and not yet given back.
    fn allocated_size(&self) -> usize;

    /// The largest [`MemoryAllocator::allocated_size`] since the start or the last [`MemoryAllocator::reset_peak`].
    fn peak_allocated(&self) -> usize;

    /// Sets the peak to what is allocated now.
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
