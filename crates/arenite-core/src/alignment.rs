//! A power-of-two alignment, checked once.
//!
//! The check "is it a power of two" and the default of 64 bytes are defined here only.

use core::alloc::Layout;
use core::fmt;

/// A power-of-two alignment in bytes, from 1 to 2⁶².
///
/// ```
/// use arenite_core::Alignment;
/// assert_eq!(Alignment::DEFAULT.get(), 64);
/// assert!(Alignment::new(48).is_err());
/// assert_eq!(Alignment::new(32)?.layout(100).map(|layout| layout.align()), Some(32));
/// # Ok::<(), arenite_core::AlignmentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alignment(usize);

/// A requested alignment that is zero, not a power of two, or larger than 2⁶².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlignmentError {
    /// The requested alignment in bytes.
    pub requested: usize,
}

impl Alignment {
    /// The default of raw and tensor blocks: 64 bytes, one cache line or AVX-512 register.
    pub const DEFAULT: Self = Self(64);
    /// The largest alignment: 2⁶² bytes.
    pub const MAX: Self = Self(1 << (usize::BITS - 2));

    /// Checks an alignment in bytes.
    ///
    /// # Errors
    /// [`AlignmentError`] if `bytes` is zero, not a power of two, or above [`Alignment::MAX`].
    pub const fn new(bytes: usize) -> Result<Self, AlignmentError> {
        if bytes.is_power_of_two() && bytes <= Self::MAX.0 {
            Ok(Self(bytes))
        } else {
            Err(AlignmentError { requested: bytes })
        }
    }

    /// Returns the alignment in bytes.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }

    /// Returns the layout of `size` bytes at this alignment, or `None` if the rounded size is
    /// above `isize::MAX`.
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
        write!(out, "alignment {} is not a power of two from 1 to 2^62", self.requested)
    }
}

impl core::error::Error for AlignmentError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alignment_new_fails_for_zero_odd_and_huge_values() {
        for requested in [0, 3, 48, usize::MAX, 1 << (usize::BITS - 1)] {
            assert_eq!(Alignment::new(requested), Err(AlignmentError { requested }));
        }
    }

    #[test]
    fn a03_the_default_alignment_is_64() {
        assert_eq!(Alignment::default().get(), 64);
    }
}
