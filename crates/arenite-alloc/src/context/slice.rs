//! A buffer of a context: values of one type that live as long as the context.
#![expect(unsafe_code, reason = "borrows the values of a block")]

use super::AnalyticsContext;
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

impl<'c, T> ContextSlice<'c, T> {
    /// Wraps a buffer of a context.
    ///
    /// # Safety
    /// `start` is the block `id` of the context, of `count` initialized values, and has no other
    /// user.
    #[inline]
    pub(super) const unsafe fn new(
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
        for (index, room) in self.iter_mut().enumerate() {
            room.write(value(index));
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
