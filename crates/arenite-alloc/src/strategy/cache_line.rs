//! A value on cache lines of its own.
//!
//! 128 bytes and not 64, because processors fetch lines in pairs.

use core::ops::{Deref, DerefMut};

/// A value that shares its pair of cache lines with no other, so that threads which write to neighbours do not wait for each other.
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
    /// The value.
    pub const fn new(value: T) -> Self {
        Self { value }
    }

    /// The value, out of its lines.
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
