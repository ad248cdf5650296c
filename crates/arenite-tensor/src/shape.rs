//! The shape of an array: up to eight dimensions, stored in place.
//!
//! Rests on nothing. Fixed room rather than a `Vec`, because making an array must touch no allocator but the one it was
//! given, and because errors carry shapes without allocating.

use crate::{ArrayError, Element};
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
    /// The most dimensions that a shape has room for.
    pub const MAX_RANK: usize = 8;

    /// The sizes, outermost first.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        self.dims.get(..self.rank()).unwrap_or(&[])
    }

    /// The number of dimensions.
    #[must_use]
    pub const fn rank(&self) -> usize {
        self.rank as usize
    }

    /// The number of elements, or `None` where the product of the non-zero dimensions overflows.
    #[must_use]
    pub fn checked_len(&self) -> Option<usize> {
        let spread =
            self.dims().iter().filter(|&&dim| dim != 0).try_fold(1_usize, |n, &dim| n.checked_mul(dim))?;
        Some(if self.dims().contains(&0) { 0 } else { spread })
    }

    /// The number of elements of `T` and of their bytes.
    ///
    /// # Errors
    /// [`ArrayError::Overflow`] where the product of the non-zero dimensions and the element's size is above `isize::MAX`.
    pub fn checked_bytes<T: Element>(&self) -> Result<(usize, usize), ArrayError> {
        let overflow = ArrayError::Overflow { shape: *self, element_size: size_of::<T>() };
        let spread = self
            .dims()
            .iter()
            .filter(|&&dim| dim != 0)
            .try_fold(size_of::<T>(), |n, &dim| n.checked_mul(dim));
        match (spread, self.checked_len()) {
            (Some(spread), Some(len)) if isize::try_from(spread).is_ok() => Ok((len, len * size_of::<T>())),
            _ => Err(overflow),
        }
    }

    /// How many elements lie between neighbours along each dimension, row-major.
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

    /// The position of `index` in row-major order, or `None` outside the shape or of another rank.
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

    /// The shape without its first dimension, which is returned beside it; `None` for a shape without dimensions.
    #[must_use]
    pub fn split_first(&self) -> Option<(usize, Self)> {
        let (&first, rest) = self.dims().split_first()?;
        Some((first, Self::copied(rest)))
    }

    /// The same shape with `first` as its first dimension.
    #[must_use]
    pub(crate) fn with_first(mut self, first: usize) -> Self {
        self.dims[0] = first;
        self
    }

    /// A shape of at most [`Shape::MAX_RANK`] dimensions; more are cut, so the caller has counted.
    fn copied(dims: &[usize]) -> Self {
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
    /// Refused at compile time for more than [`Shape::MAX_RANK`] dimensions.
    fn from(dims: [usize; N]) -> Self {
        const { assert!(N <= Shape::MAX_RANK, "an array has at most eight dimensions") };
        Self::copied(&dims)
    }
}

impl TryFrom<&[usize]> for Shape {
    type Error = ArrayError;

    /// # Errors
    /// [`ArrayError::Rank`] for more than [`Shape::MAX_RANK`] dimensions.
    fn try_from(dims: &[usize]) -> Result<Self, ArrayError> {
        if dims.len() > Self::MAX_RANK {
            Err(ArrayError::Rank { found: dims.len() })
        } else {
            Ok(Self::copied(dims))
        }
    }
}

/// What can say a shape: an array or slice of `usize`, a number (one dimension), or a shape.
///
/// ```
/// use arenite_tensor::Array;
/// let dims: &[usize] = &[2, 3];
/// assert_eq!(Array::<f32>::zeros(dims)?.shape(), Array::<f32>::zeros([2, 3])?.shape());
/// # Ok::<(), arenite_tensor::ArrayError>(())
/// ```
pub trait IntoShape {
    /// The shape.
    ///
    /// # Errors
    /// [`ArrayError::Rank`] for more than [`Shape::MAX_RANK`] dimensions.
    fn into_shape(self) -> Result<Shape, ArrayError>;
}

impl<const N: usize> IntoShape for [usize; N] {
    fn into_shape(self) -> Result<Shape, ArrayError> {
        Ok(Shape::from(self))
    }
}

impl<const N: usize> IntoShape for &[usize; N] {
    fn into_shape(self) -> Result<Shape, ArrayError> {
        Ok(Shape::from(*self))
    }
}

impl IntoShape for &[usize] {
    fn into_shape(self) -> Result<Shape, ArrayError> {
        Shape::try_from(self)
    }
}

impl IntoShape for usize {
    fn into_shape(self) -> Result<Shape, ArrayError> {
        Ok(Shape::from([self]))
    }
}

impl IntoShape for Shape {
    fn into_shape(self) -> Result<Shape, ArrayError> {
        Ok(self)
    }
}

impl IntoShape for &Shape {
    fn into_shape(self) -> Result<Shape, ArrayError> {
        Ok(*self)
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
    fn u06_a_shape_that_overflows_is_a_typed_error() {
        for dims in [[usize::MAX, 2, 1], [1 << 32, 1 << 31, 1], [usize::MAX, usize::MAX, 0]] {
            let shape = Shape::from(dims);
            assert_eq!(
                shape.checked_bytes::<f64>(),
                Err(ArrayError::Overflow { shape, element_size: 8 }),
                "{shape}"
            );
        }
        assert_eq!(Shape::from([0, 5]).checked_bytes::<f64>(), Ok((0, 0)));
        assert_eq!(Shape::from([]).checked_bytes::<f64>(), Ok((1, 8)));
    }

    #[test]
    fn u06_more_than_eight_dimensions_are_refused() {
        let dims: &[usize] = &[1; 9];
        assert_eq!(dims.into_shape(), Err(ArrayError::Rank { found: 9 }));
        assert_eq!(Shape::try_from(&dims[..8]).unwrap().rank(), 8);
    }

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
