//! A buffer of numbers in memory or on disk.
#![expect(unsafe_code, reason = "borrows the numbers of a block")]

use super::{Spill, SpillError};
use crate::Heap;
use arenite_core::Resource;
use arenite_pages::Scalar;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// A buffer of `len` numbers, in memory or in the spill file.
pub struct SpillBuffer<'s, T: Scalar, R: Resource = Heap> {
    spill: &'s Spill<R>,
    number: usize,
    len: usize,
    numbers: PhantomData<T>,
}

impl<R: Resource> Spill<R> {
    /// Allocates a buffer of `count` zeroes.
    ///
    /// # Errors
    /// [`SpillError`].
    pub fn allocate_buffer<T: Scalar>(&self, count: usize) -> Result<SpillBuffer<'_, T, R>, SpillError> {
        let number = self.allocate_slot::<T>(count)?;
        Ok(SpillBuffer { spill: self, number, len: count, numbers: PhantomData })
    }
}

impl<T: Scalar, R: Resource> SpillBuffer<'_, T, R> {
    /// Returns the number of numbers.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the buffer is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Pins the buffer in memory for reading until the guard is dropped.
    ///
    /// # Errors
    /// [`SpillError`] if the numbers cannot be read back; they stay in the file.
    pub fn read(&self) -> Result<SpillRead<'_, T, R>, SpillError> {
        let start = self.spill.pin(self.number, false)?.cast();
        Ok(SpillRead { start, buffer: self })
    }

    /// Pins the buffer in memory for writing until the guard is dropped.
    ///
    /// # Errors
    /// As [`SpillBuffer::read`].
    pub fn write(&mut self) -> Result<SpillWrite<'_, T, R>, SpillError> {
        let start = self.spill.pin(self.number, true)?.cast();
        Ok(SpillWrite { start, buffer: self })
    }
}

impl<T: Scalar, R: Resource> Drop for SpillBuffer<'_, T, R> {
    fn drop(&mut self) {
        self.spill.free(self.number);
    }
}

impl<T: Scalar, R: Resource> fmt::Debug for SpillBuffer<'_, T, R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SpillBuffer").field("len", &self.len).finish_non_exhaustive()
    }
}

/// A guard with read access to a pinned buffer.
pub struct SpillRead<'b, T: Scalar, R: Resource = Heap> {
    start: NonNull<T>,
    buffer: &'b SpillBuffer<'b, T, R>,
}

/// A guard with write access to a pinned buffer.
pub struct SpillWrite<'b, T: Scalar, R: Resource = Heap> {
    start: NonNull<T>,
    buffer: &'b SpillBuffer<'b, T, R>,
}

macro_rules! guard {
    ($name:ident) => {
        // SAFETY: like a reference to its numbers; the spill behind it can be shared between
        // threads, because `R` is `Sync`.
        unsafe impl<T: Scalar, R: Resource + Sync> Sync for $name<'_, T, R> {}

        impl<T: Scalar, R: Resource> Deref for $name<'_, T, R> {
            type Target = [T];

            fn deref(&self) -> &[T] {
                // SAFETY: the buffer is pinned, so its block stays; only the holder of a
                // `SpillWrite` changes it.
                unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.buffer.len) }
            }
        }

        impl<T: Scalar, R: Resource> Drop for $name<'_, T, R> {
            fn drop(&mut self) {
                self.buffer.spill.unpin(self.buffer.number);
            }
        }

        impl<T: Scalar, R: Resource> fmt::Debug for $name<'_, T, R> {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&**self, out)
            }
        }
    };
}

guard!(SpillRead);
guard!(SpillWrite);

impl<T: Scalar, R: Resource> DerefMut for SpillWrite<'_, T, R> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the buffer is pinned, and borrowed exclusively as long as this guard lives.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.buffer.len) }
    }
}
