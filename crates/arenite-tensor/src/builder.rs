//! A builder of arrays in one resource.
//!
//! Rests on `raw`. It is what `Array::with_allocator` returns, so that the resource is named once and first, and the
//! element type is inferred from what becomes of the array.

use crate::storage::Storage;
use crate::{Array, ArrayError, Element, IntoShape, Matrix, Random, Real, Shape};
use arenite_core::Resource;
use core::fmt;
use core::marker::PhantomData;

/// Makes one array of `T` in `R`; see [`Array::with_allocator`].
///
/// Every method takes the handle with it; clone the handle (or pass a reference) to make several.
///
/// ```
/// use arenite_tensor::{Array, Global};
/// let squares = Array::with_allocator(&Global).from_fn([5], |i| (i * i) as u64)?;
/// assert_eq!(squares.as_slice(), [0, 1, 4, 9, 16]);
/// # Ok::<(), arenite_tensor::ArrayError>(())
/// ```
pub struct ArrayBuilder<T, R> {
    resource: R,
    element: PhantomData<T>,
}

impl<T, R> fmt::Debug for ArrayBuilder<T, R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ArrayBuilder").finish_non_exhaustive()
    }
}

impl<T: Element, R: Resource> ArrayBuilder<T, R> {
    pub(crate) const fn new(resource: R) -> Self {
        Self { resource, element: PhantomData }
    }

    /// Every element zero. O(n).
    ///
    /// # Errors
    /// [`ArrayError::Alloc`] where the memory is refused, [`ArrayError::Overflow`] and [`ArrayError::Rank`] where no memory
    /// could be of that shape. The resource is then as it was.
    pub fn zeros(self, shape: impl IntoShape) -> Result<Array<T, R>, ArrayError> {
        let shape = shape.into_shape()?;
        Ok(Array::from_storage(Storage::zeroed(&shape, self.resource)?, shape))
    }

    /// Every element one. O(n).
    ///
    /// # Errors
    /// As [`ArrayBuilder::zeros`].
    pub fn ones(self, shape: impl IntoShape) -> Result<Array<T, R>, ArrayError> {
        self.full(shape, T::ONE)
    }

    /// Every element `value`. O(n).
    ///
    /// # Errors
    /// As [`ArrayBuilder::zeros`].
    pub fn full(self, shape: impl IntoShape, value: T) -> Result<Array<T, R>, ArrayError> {
        self.collect(shape.into_shape()?, core::iter::repeat(value))
    }

    /// A copy of the elements of a slice. O(n).
    ///
    /// # Errors
    /// As [`ArrayBuilder::zeros`]; [`ArrayError::Length`] where the shape has another number of elements.
    pub fn from_slice(self, shape: impl IntoShape, elements: &[T]) -> Result<Array<T, R>, ArrayError> {
        let shape = shape.into_shape()?;
        let (len, _) = shape.checked_bytes::<T>()?;
        if len != elements.len() {
            return Err(ArrayError::Length { shape, found: elements.len() });
        }
        self.collect(shape, elements.iter().copied())
    }

    /// What `element` returns for each position in row-major order; the memory is not written before. O(n).
    ///
    /// # Errors
    /// As [`ArrayBuilder::zeros`].
    pub fn from_fn(
        self,
        shape: impl IntoShape,
        element: impl FnMut(usize) -> T,
    ) -> Result<Array<T, R>, ArrayError> {
        self.collect(shape.into_shape()?, (0..).map(element))
    }

    /// The elements of an iterator in row-major order; more than the shape has are not asked for. O(n).
    ///
    /// # Errors
    /// As [`ArrayBuilder::zeros`]; [`ArrayError::Length`] where the iterator ends early.
    pub fn from_elements(
        self,
        shape: impl IntoShape,
        elements: impl IntoIterator<Item = T>,
    ) -> Result<Array<T, R>, ArrayError> {
        self.collect(shape.into_shape()?, elements.into_iter())
    }

    /// The product of two matrices, which may be transposed or strided views; the memory is not written before.
    ///
    /// # Errors
    /// As [`ArrayBuilder::zeros`]; [`ArrayError::Shape`] where the columns of `left` are not the rows of `right`.
    pub fn matmul(self, left: Matrix<'_, T>, right: Matrix<'_, T>) -> Result<Array<T, R>, ArrayError>
    where
        T: Real,
    {
        let shape = crate::matrix::product_shape(&left, &right)?;
        Ok(Array::from_storage(Storage::product(&shape, self.resource, left, right)?, shape))
    }

    /// Numbers drawn evenly from `[0, 1)` with [`Random`]; the same for the same seed everywhere.
    ///
    /// # Errors
    /// As [`ArrayBuilder::zeros`].
    pub fn random(self, shape: impl IntoShape, seed: u64) -> Result<Array<T, R>, ArrayError>
    where
        T: Real,
    {
        let mut random = Random::new(seed);
        self.from_fn(shape, |_| T::from_f64(random.unit()))
    }

    /// A copy of an `ndarray` in row-major order, whatever its own order is.
    ///
    /// # Errors
    /// As [`ArrayBuilder::zeros`].
    pub fn from_ndarray<D: ndarray::Dimension>(
        self,
        source: &ndarray::ArrayView<'_, T, D>,
    ) -> Result<Array<T, R>, ArrayError> {
        self.collect(Shape::try_from(source.shape())?, source.iter().copied())
    }

    pub(crate) fn collect(
        self,
        shape: Shape,
        elements: impl Iterator<Item = T>,
    ) -> Result<Array<T, R>, ArrayError> {
        Ok(Array::from_storage(Storage::collect(&shape, self.resource, elements)?, shape))
    }
}
