//! A value on its own cache lines.
//!
//! The alignment is 128 bytes and not 64, because processors fetch lines in pairs.

use core::ops::{Deref, DerefMut};

/// A value on its own pair of cache lines, so that threads which write to neighbours cause no
/// false sharing.
///
/// ```
/// use arenite_alloc::CacheLineAligned;
/// let counters = [const { CacheLineAligned::new(0_u64) }; 2];
/// assert_eq!((size_of_val(&counters), (&raw const counters[1]).addr() % 128), (256, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(128))]
pub struct CacheLineAligned<T> {
    value: T,
}

impl<T> CacheLineAligned<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self { value }
    }

    /// Unwraps the value.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for CacheLineAligned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for CacheLineAligned<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

const _: () = assert!(align_of::<CacheLineAligned<u8>>() == 128);
