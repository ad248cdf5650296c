//! An alignment: a power of two, checked once and then trusted.
//!
//! Rests on nothing. It exists so that the check "is it a power of two" stands in one place, and so that the default
//! for raw and tensor blocks (64 bytes: a cache line and an AVX-512 register) has one name.

use core::alloc::Layout;
use core::fmt;

/// A power-of-two alignment in bytes, from 1 to 2⁶².
///
/// ```
/// use arenite_core::Alignment;
/// assert_eq!(Alignment::DEFAULT.get(), 64);
/// assert!(Alignment::new(48).is_err());
/// assert_eq!(Alignment::new(32)?.align_up(33), Some(64));
/// # Ok::<(), arenite_core::AlignmentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alignment(usize);

/// The alignment asked for is zero, no power of two, or larger than 2⁶².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlignmentError {
    /// What was asked, in bytes.
    pub asked: usize,
}

impl Alignment {
    /// 64 bytes: one cache line, one AVX-512 register. What raw and tensor blocks get unless asked otherwise.
    pub const DEFAULT: Self = Self(64);
    /// One byte.
    pub const ONE: Self = Self(1);
    /// The largest alignment that arenite serves.
    pub const MAX: Self = Self(1 << (usize::BITS - 2));

    /// Checks `bytes`.
    ///
    /// # Errors
    /// [`AlignmentError`] if `bytes` is zero, no power of two, or above [`Alignment::MAX`].
    pub const fn new(bytes: usize) -> Result<Self, AlignmentError> {
        if bytes.is_power_of_two() && bytes <= Self::MAX.0 {
            Ok(Self(bytes))
        } else {
            Err(AlignmentError { asked: bytes })
        }
    }

    /// The natural alignment of `T`.
    #[must_use]
    pub const fn of<T>() -> Self {
        Self(align_of::<T>())
    }

    /// The alignment in bytes.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }

    /// `value` rounded up to a multiple of this alignment, or `None` on overflow.
    #[must_use]
    pub const fn align_up(self, value: usize) -> Option<usize> {
        match value.checked_add(self.0 - 1) {
            Some(sum) => Some(sum & !(self.0 - 1)),
            None => None,
        }
    }

    /// A layout of `size` bytes at this alignment, or `None` where `size` is above `isize::MAX` once rounded up.
    #[must_use]
    pub const fn layout(self, size: usize) -> Option<Layout> {
        match Layout::from_size_align(size, self.0) {
            Ok(layout) => Some(layout),
            Err(_) => None,
        }
    }
}

impl Default for Alignment {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Alignment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} B", self.0)
    }
}

impl fmt::Display for AlignmentError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "alignment {} is no power of two from 1 to 2^62", self.asked)
    }
}

impl core::error::Error for AlignmentError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_odd_and_huge_alignments_are_refused() {
        for asked in [0, 3, 48, usize::MAX, 1 << (usize::BITS - 1)] {
            assert_eq!(Alignment::new(asked), Err(AlignmentError { asked }));
        }
    }

    #[test]
    fn align_up_rounds_and_reports_overflow() {
        let eight = Alignment::new(8).unwrap();
        assert_eq!(eight.align_up(0), Some(0));
        assert_eq!(eight.align_up(1), Some(8));
        assert_eq!(eight.align_up(16), Some(16));
        assert_eq!(eight.align_up(usize::MAX), None);
    }

    #[test]
    fn a03_the_default_alignment_is_64() {
        assert_eq!(Alignment::default().get(), 64);
    }
}
