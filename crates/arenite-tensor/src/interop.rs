//! Conversions between arrays and `ndarray`.
//!
//! Views share the memory. A conversion from `ndarray` copies, because its memory belongs to
//! another allocator.

use crate::{Array, ArrayBuilder, ArrayError, Element};
use arenite_alloc::Global;
use arenite_core::Resource;
use ndarray::{ArrayViewD, ArrayViewMutD, IxDyn};

impl<T: Element, R: Resource> Array<T, R> {
    /// Returns an `ndarray` view of the array's memory. O(1).
    ///
    /// # Panics
    /// Never: `ndarray` accepts every shape that an array can have.
    ///
    /// ```
    /// use arenite_tensor::Array;
    /// let array = Array::from_slice([2, 2], &[1.0, 2.0, 3.0, 4.0])?;
    /// assert_eq!(array.as_ndarray().sum(), 10.0);
    /// # Ok::<(), arenite_tensor::ArrayError>(())
    /// ```
    #[must_use]
    pub fn as_ndarray(&self) -> ArrayViewD<'_, T> {
        ArrayViewD::from_shape(IxDyn(self.shape().dims()), self.as_slice())
            .expect("the shape matches the elements")
    }

    /// Returns a mutable `ndarray` view of the array's memory. O(1).
    ///
    /// # Panics
    /// Never: `ndarray` accepts every shape that an array can have.
    #[must_use]
    pub fn as_ndarray_mut(&mut self) -> ArrayViewMutD<'_, T> {
        let shape = *self.shape();
        ArrayViewMutD::from_shape(IxDyn(shape.dims()), self.as_mut_slice())
            .expect("the shape matches the elements")
    }
}

impl<T: Element> Array<T, Global> {
    /// Copies an `ndarray` of any order into row-major order.
    ///
    /// # Errors
    /// [`ArrayError::Alloc`] if the allocation fails, [`ArrayError::Rank`] for more than eight
    /// dimensions.
    pub fn from_ndarray<D: ndarray::Dimension>(
        source: &ndarray::ArrayView<'_, T, D>,
    ) -> Result<Self, ArrayError> {
        ArrayBuilder::new(Global).from_ndarray(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u07_ndarray_and_back() {
        let mut array = Array::from_slice([2, 3], &[1, 2, 3, 4, 5, 6]).unwrap();
        array.as_ndarray_mut()[[0, 1]] = 20;
        assert_eq!(array.as_ndarray().as_ptr(), array.as_ptr());
        let transposed = array.as_ndarray().reversed_axes();
        let back = Array::from_ndarray(&transposed.view()).unwrap();
        assert_eq!(back.as_slice(), [1, 4, 20, 5, 3, 6]);
        assert_eq!(back.shape().dims(), [3, 2]);
    }

    #[test]
    fn u07_an_array_without_elements_is_an_ndarray_without_elements() {
        for shape in [[0, 3], [3, 0], [usize::MAX / 16, 0]] {
            let array = Array::<f64>::zeros(shape).unwrap();
            assert_eq!(array.as_ndarray().shape(), shape);
        }
    }
}
