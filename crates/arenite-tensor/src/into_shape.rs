//! Conversions into a shape, and the checked size of a shape in bytes.

use crate::{ArrayError, Element, Shape};

impl Shape {
    /// Returns the number of elements of `T` and the number of their bytes.
    ///
    /// # Errors
    /// [`ArrayError::Overflow`] if the product of the non-zero dimensions and the element's size is
    /// above `isize::MAX`.
    pub fn checked_bytes<T: Element>(&self) -> Result<(usize, usize), ArrayError> {
        let overflow = ArrayError::Overflow { shape: *self, element_size: size_of::<T>() };
        let bytes = self
            .dims()
            .iter()
            .filter(|&&dim| dim != 0)
            .try_fold(size_of::<T>(), |n, &dim| n.checked_mul(dim));
        match (bytes, self.checked_len()) {
            (Some(bytes), Some(len)) if isize::try_from(bytes).is_ok() => Ok((len, len * size_of::<T>())),
            _ => Err(overflow),
        }
    }
}

impl TryFrom<&[usize]> for Shape {
    type Error = ArrayError;

    /// Converts the sizes of the dimensions, outermost first.
    ///
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

/// A value that converts into a shape: an array or slice of `usize`, a number (one dimension), or
/// a shape.
///
/// ```
/// use arenite_tensor::Array;
/// let dims: &[usize] = &[2, 3];
/// assert_eq!(Array::<f32>::zeros(dims)?.shape(), Array::<f32>::zeros([2, 3])?.shape());
/// # Ok::<(), arenite_tensor::ArrayError>(())
/// ```
pub trait IntoShape {
    /// Converts the value into a shape.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u06_checked_bytes_fails_on_overflow() {
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
    fn u06_into_shape_fails_above_eight_dimensions() {
        let dims: &[usize] = &[1; 9];
        assert_eq!(dims.into_shape(), Err(ArrayError::Rank { found: 9 }));
        assert_eq!(Shape::try_from(&dims[..8]).unwrap().rank(), 8);
    }
}
