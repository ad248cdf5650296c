//! A buffer of a stratified pool, which is freed to its pool.
//!
//! The type shows whether the bytes are initialized. A request that needs no zeroes has no cost
//! for them, and no uninitialized byte can be read.
#![expect(unsafe_code, reason = "borrows and frees a raw block")]

use super::bucket::ALIGN;
use super::{LocalStratifiedPool, SizeBucket, StratifiedMemoryPool};
use crate::util::alternating_fill;
use arenite_core::{AllocError, Label, Resource};
use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// Returns the layout of a buffer of `size` bytes.
#[inline]
fn layout(
    size: usize,
    context: impl FnOnce() -> (arenite_core::ResourceState, Label),
) -> Result<Layout, AllocError> {
    Layout::from_size_align(size, ALIGN).map_err(|_| {
        let (state, label) = context();
        AllocError::bad_layout(size, ALIGN, state, label)
    })
}

/// A buffer of a pool, aligned to 64 bytes. Dropping it returns it to the pool.
///
/// `B` is its element: [`MaybeUninit<u8>`] as the pool allocates it, `u8` once it was zeroed or
/// filled.
///
/// ```
/// use arenite_alloc::{SizeBucket, StratifiedBuffer, StratifiedMemoryPool};
/// let pool = StratifiedMemoryPool::new("compute");
/// let buffer: StratifiedBuffer = pool.allocate(3000)?;
/// assert_eq!((buffer.size(), buffer.bucket()), (3000, Some(SizeBucket::Medium)));
/// let bytes = buffer.fill(7);
/// assert!(bytes.iter().all(|&byte| byte == 7));
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
pub struct StratifiedBuffer<'p, S: Resource = StratifiedMemoryPool, B = MaybeUninit<u8>> {
    start: NonNull<u8>,
    size: usize,
    pool: &'p S,
    bytes: PhantomData<B>,
}

// SAFETY: the buffer owns its bytes; a pool that is `Sync` lets any thread free them.
unsafe impl<S: Resource + Sync, B: Send> Send for StratifiedBuffer<'_, S, B> {}
// SAFETY: a shared buffer gives shared access to its bytes only.
unsafe impl<S: Resource + Sync, B: Sync> Sync for StratifiedBuffer<'_, S, B> {}

impl<R: Resource> LocalStratifiedPool<R> {
    /// Allocates a buffer of `size` undefined bytes, aligned to 64. O(1).
    ///
    /// # Errors
    /// The upstream's error, or [`AllocError`] for sizes above `isize::MAX`.
    #[inline]
    pub fn allocate(&self, size: usize) -> Result<StratifiedBuffer<'_, Self>, AllocError> {
        let layout = layout(size, || (self.state(), self.label))?;
        let start = Resource::allocate(self, layout)?.cast();
        // SAFETY: a fresh block of that layout.
        Ok(unsafe { StratifiedBuffer::own(start, size, self) })
    }

    /// Allocates a buffer of `size` zeroes.
    ///
    /// # Errors
    /// As [`LocalStratifiedPool::allocate`].
    #[inline]
    pub fn allocate_zeroed(&self, size: usize) -> Result<StratifiedBuffer<'_, Self, u8>, AllocError> {
        Ok(self.allocate(size)?.zeroed())
    }
}

impl<R: Resource + Sync> StratifiedMemoryPool<R> {
    /// Allocates a buffer of `size` undefined bytes, aligned to 64. O(1), without a lock if the
    /// calling thread has one cached.
    ///
    /// # Errors
    /// The upstream's error, or [`AllocError`] for sizes above `isize::MAX`.
    #[inline]
    pub fn allocate(&self, size: usize) -> Result<StratifiedBuffer<'_, Self>, AllocError> {
        let layout = layout(size, || (self.state(), self.label()))?;
        let start = Resource::allocate(self, layout)?.cast();
        // SAFETY: a fresh block of that layout.
        Ok(unsafe { StratifiedBuffer::own(start, size, self) })
    }

    /// Allocates a buffer of `size` zeroes.
    ///
    /// # Errors
    /// As [`StratifiedMemoryPool::allocate`].
    #[inline]
    pub fn allocate_zeroed(&self, size: usize) -> Result<StratifiedBuffer<'_, Self, u8>, AllocError> {
        Ok(self.allocate(size)?.zeroed())
    }
}

impl<'p, S: Resource> StratifiedBuffer<'p, S> {
    /// Wraps a block of a pool.
    ///
    /// # Safety
    /// `start` is a live block of `pool` of that size and [`ALIGN`], and the caller's alone.
    #[inline]
    const unsafe fn own(start: NonNull<u8>, size: usize, pool: &'p S) -> Self {
        Self { start, size, pool, bytes: PhantomData }
    }

    /// Sets every byte to `byte`.
    #[must_use]
    pub fn fill(self, byte: u8) -> StratifiedBuffer<'p, S, u8> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the buffer's own bytes.
        unsafe { alternating_fill::fill(this.start, this.size, byte) };
        StratifiedBuffer { start: this.start, size: this.size, pool: this.pool, bytes: PhantomData }
    }

    /// Sets every byte to zero.
    #[must_use]
    pub fn zeroed(self) -> StratifiedBuffer<'p, S, u8> {
        self.fill(0)
    }
}

impl<S: Resource, B> StratifiedBuffer<'_, S, B> {
    /// Returns the requested size in bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Returns the buffer's bucket, or `None` above the largest, where the block comes from the
    /// upstream in the requested size.
    #[must_use]
    pub const fn bucket(&self) -> Option<SizeBucket> {
        SizeBucket::fitting(self.size)
    }
}

impl<S: Resource, B> Deref for StratifiedBuffer<'_, S, B> {
    type Target = [B];

    #[inline]
    fn deref(&self) -> &[B] {
        // SAFETY: the buffer's own bytes: `B` is `MaybeUninit<u8>`, or `u8` with every byte
        // initialized.
        unsafe { core::slice::from_raw_parts(self.start.cast().as_ptr(), self.size) }
    }
}

impl<S: Resource, B> DerefMut for StratifiedBuffer<'_, S, B> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [B] {
        // SAFETY: the buffer's own bytes, initialized if `B` is `u8`, and borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.start.cast().as_ptr(), self.size) }
    }
}

impl<S: Resource, B> Drop for StratifiedBuffer<'_, S, B> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the layout was valid when the buffer was allocated.
        let layout = unsafe { Layout::from_size_align_unchecked(self.size, ALIGN) };
        // SAFETY: a live block of this pool, by the promise of `own`.
        unsafe { self.pool.deallocate(self.start, layout) };
    }
}

impl<S: Resource, B> fmt::Debug for StratifiedBuffer<'_, S, B> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("StratifiedBuffer")
            .field("size", &self.size)
            .field("bucket", &self.bucket())
            .finish_non_exhaustive()
    }
}
