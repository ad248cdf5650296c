//! The shape of an array: up to eight dimensions, stored inline.
//!
//! A shape never allocates: arrays use only the given allocator, and errors carry shapes.

use core::fmt;
use core::ops::Deref;

/// The sizes of the dimensions of an array, outermost first.
///
/// ```
/// use arenite_tensor::Shape;
/// let shape = Shape::from([2, 3, 4]);
/// assert_eq!((shape.rank(), shape.checked_len()), (3, Some(24)));
/// assert_eq!(&*shape.strides(), &[12, 4, 1]);
/// assert_eq!(shape.to_string(), "[2, 3, 4]");
/// ```
#[derive(Clone, Copy, Default)]
pub struct Shape {
    dims: [usize; Self::MAX_RANK],
    rank: u8,
}

impl Shape {
    /// Maximum number of dimensions.
    pub const MAX_RANK: usize = 8;

    /// Returns the sizes, outermost first.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        self.dims.get(..self.rank()).unwrap_or(&[])
    }

    /// Returns the number of dimensions.
    #[must_use]
    pub const fn rank(&self) -> usize {
        self.rank as usize
    }

    /// Returns the number of elements, or `None` if the product of the non-zero dimensions
    /// overflows.
    #[must_use]
    pub fn checked_len(&self) -> Option<usize> {
        let product =
            self.dims().iter().filter(|&&dim| dim != 0).try_fold(1_usize, |n, &dim| n.checked_mul(dim))?;
        Some(if self.dims().contains(&0) { 0 } else { product })
    }

    /// Returns the distance in elements between neighbours along each dimension, row-major.
    #[must_use]
    pub fn strides(&self) -> Strides {
        let mut strides = Strides(*self);
        let mut step = 1_usize;
        for (stride, &dim) in strides.0.dims.iter_mut().take(self.rank()).zip(self.dims()).rev() {
            *stride = step;
            step = step.saturating_mul(dim.max(1));
        }
        strides
    }

    /// Returns the position of `index` in row-major order, or `None` outside the shape or of
    /// another rank.
    #[must_use]
    #[inline]
    pub fn offset(&self, index: &[usize]) -> Option<usize> {
        if index.len() != self.rank() {
            return None;
        }
        index.iter().zip(self.dims()).try_fold(0_usize, |offset, (&at, &dim)| {
            if at < dim { offset.checked_mul(dim)?.checked_add(at) } else { None }
        })
    }

    /// Returns the first dimension and the shape of the others, or `None` without dimensions.
    #[must_use]
    pub fn split_first(&self) -> Option<(usize, Self)> {
        let (&first, rest) = self.dims().split_first()?;
        Some((first, Self::copied(rest)))
    }

    /// Replaces the first dimension.
    #[must_use]
    pub(crate) fn with_first(mut self, first: usize) -> Self {
        self.dims[0] = first;
        self
    }

    /// Copies at most [`Shape::MAX_RANK`] dimensions; the caller has checked the rank.
    pub(crate) fn copied(dims: &[usize]) -> Self {
        let mut shape = Self::default();
        for (slot, &dim) in shape.dims.iter_mut().zip(dims) {
            *slot = dim;
            shape.rank += 1;
        }
        shape
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.dims() == other.dims()
    }
}

impl Eq for Shape {}

impl fmt::Display for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[")?;
        for (at, dim) in self.dims().iter().enumerate() {
            write!(out, "{}{dim}", if at == 0 { "" } else { ", " })?;
        }
        out.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    /// Converts the sizes of the dimensions; fails at compile time above [`Shape::MAX_RANK`].
    fn from(dims: [usize; N]) -> Self {
        const { assert!(N <= Shape::MAX_RANK, "an array has at most eight dimensions") };
        Self::copied(&dims)
    }
}

/// The distance in elements between neighbours along each dimension; a slice of `usize`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strides(Shape);

impl Deref for Strides {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        self.0.dims()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_row_major_and_checked() {
        let shape = Shape::from([2, 3]);
        assert_eq!(shape.offset(&[1, 2]), Some(5));
        assert_eq!(shape.offset(&[2, 0]), None);
        assert_eq!(shape.offset(&[0, 3]), None);
        assert_eq!(shape.offset(&[0]), None);
        assert_eq!(Shape::from([]).offset(&[]), Some(0));
        assert_eq!(Shape::from([usize::MAX, usize::MAX]).offset(&[5, 5]), None);
        assert_eq!(&*Shape::from([2, 0, 3]).strides(), &[3, 3, 1]);
    }
}
