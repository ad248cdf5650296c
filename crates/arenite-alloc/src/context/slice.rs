//! A buffer of a context: values of one type that live as long as the context.
#![expect(unsafe_code, reason = "borrows the values of a block")]

use super::AnalyticsContext;
use super::entries::Kind;
use crate::util::alternating_fill;
use arenite_core::AllocError;
use arenite_pages::Scalar;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// Values in a context, aligned to 64 bytes. Dropping the slice frees nothing, because the context
/// frees all buffers; [`ContextSlice::release`] frees it earlier.
///
/// ```
/// use arenite_alloc::AnalyticsContext;
/// let context = AnalyticsContext::new("matrix_ops");
/// let mut indices = context.allocate_typed::<u64>(65_536)?;
/// indices[7] = 49;
/// assert_eq!(context.stats().current_bytes, 512 << 10);
/// indices.release();
/// assert_eq!((context.stats().current_bytes, context.stats().peak_bytes), (0, 512 << 10));
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
pub struct ContextSlice<'c, T> {
    start: NonNull<T>,
    count: usize,
    id: usize,
    context: &'c AnalyticsContext<'c>,
    owns: PhantomData<T>,
}

impl AnalyticsContext<'_> {
    /// Allocates `size` zeroes.
    ///
    /// # Errors
    /// The pool's error.
    pub fn allocate(&self, size: usize) -> Result<ContextSlice<'_, u8>, AllocError> {
        self.allocate_zeroed(size, None)
    }

    /// Allocates `count` zeroes of a type.
    ///
    /// # Errors
    /// The pool's error.
    pub fn allocate_typed<T: Scalar>(&self, count: usize) -> Result<ContextSlice<'_, T>, AllocError> {
        self.allocate_zeroed(count, Some(core::any::type_name::<T>))
    }

    /// Allocates `count` uninitialized values of a type.
    ///
    /// # Errors
    /// The pool's error.
    #[inline]
    pub fn allocate_uninit<T: Copy>(
        &self,
        count: usize,
    ) -> Result<ContextSlice<'_, MaybeUninit<T>>, AllocError> {
        let (start, id) = self.allocate_block(self.layout::<T>(count)?, Some(core::any::type_name::<T>))?;
        // SAFETY: a fresh block for them; `MaybeUninit` values need no initialization.
        Ok(unsafe { ContextSlice::new(start.cast(), count, id, self) })
    }

    #[inline]
    fn allocate_zeroed<T: Scalar>(
        &self,
        count: usize,
        kind: Option<Kind>,
    ) -> Result<ContextSlice<'_, T>, AllocError> {
        let layout = self.layout::<T>(count)?;
        let (start, id) = self.allocate_block(layout, kind)?;
        // SAFETY: a fresh block of that size.
        unsafe { alternating_fill::fill(start, layout.size(), 0) };
        // SAFETY: a fresh block of that size, zeroed; zeroes are valid scalars.
        Ok(unsafe { ContextSlice::new(start.cast(), count, id, self) })
    }
}

impl<'c, T> ContextSlice<'c, T> {
    /// Wraps a buffer of a context.
    ///
    /// # Safety
    /// `start` is the block `id` of the context, of `count` initialized values, and has no other
    /// user.
    #[inline]
    const unsafe fn new(
        start: NonNull<T>,
        count: usize,
        id: usize,
        context: &'c AnalyticsContext<'c>,
    ) -> Self {
        Self { start, count, id, context, owns: PhantomData }
    }

    /// Frees the values to the pool now.
    pub fn release(self) {
        self.context.release(self.id);
    }
}

impl<'c, T> ContextSlice<'c, MaybeUninit<T>> {
    /// Initializes every value from its index.
    #[must_use]
    pub fn fill_with(mut self, mut value: impl FnMut(usize) -> T) -> ContextSlice<'c, T>
    where
        T: Copy,
    {
        for (index, slot) in self.iter_mut().enumerate() {
            slot.write(value(index));
        }
        // SAFETY: all values are initialized, and the block is the same, which this slice gives up.
        unsafe { ContextSlice::new(self.start.cast(), self.count, self.id, self.context) }
    }
}

impl<T> Deref for ContextSlice<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the values of this slice alone, in a block that lives as long as the context is
        // borrowed.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl<T> DerefMut for ContextSlice<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the values of this slice alone, in a block that lives as long as the context is
        // borrowed; borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.count) }
    }
}

impl<T: fmt::Debug> fmt::Debug for ContextSlice<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(out)
    }
}
