//! Constructors of arrays, with a builder for arrays in a resource.
//!
//! `Array::with_allocator` names the resource once and first; the element type is inferred from
//! the use of the array.

use crate::gemm::product_shape;
use crate::storage::Storage;
use crate::{Array, ArrayError, Element, IntoShape, Matrix, Random, Real, Shape};
use arenite_alloc::Global;
use arenite_core::Resource;
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A builder of one array of `T` in `R`; see [`Array::with_allocator`].
///
/// Every method consumes the handle: clone it (or pass a reference) to build several arrays.
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

    /// Builds an array of zeros. O(n).
    ///
    /// # Errors
    /// [`ArrayError::Alloc`] if the allocation fails, [`ArrayError::Overflow`] and
    /// [`ArrayError::Rank`] if the shape is too large. The resource is then unchanged.
    pub fn zeros(self, shape: impl IntoShape) -> Result<Array<T, R>, ArrayError> {
        let shape = shape.into_shape()?;
        Ok(Array::from_storage(Storage::zeroed(&shape, self.resource)?, shape))
    }

    /// Builds an array of ones. O(n).
    ///
    /// # Errors
    /// As [`ArrayBuilder::zeros`].
    pub fn ones(self, shape: impl IntoShape) -> Result<Array<T, R>, ArrayError> {
        self.full(shape, T::ONE)
    }

    /// Builds an array with every element equal to `value`. O(n).
    ///
    /// # Errors
    /// As [`ArrayBuilder::zeros`].
    pub fn full(self, shape: impl IntoShape, value: T) -> Result<Array<T, R>, ArrayError> {
        self.collect(shape.into_shape()?, core::iter::repeat(value))
    }

    /// Copies the elements of a slice. O(n).
    ///
    /// # Errors
    /// As [`ArrayBuilder::zeros`]; [`ArrayError::Length`] if the shape has another number of
    /// elements.
    pub fn from_slice(self, shape: impl IntoShape, elements: &[T]) -> Result<Array<T, R>, ArrayError> {
        let shape = shape.into_shape()?;
        let (len, _) = shape.checked_bytes::<T>()?;
        if len != elements.len() {
            return Err(ArrayError::Length { shape, found: elements.len() });
        }
        self.collect(shape, elements.iter().copied())
    }

    /// Calls `element` for each position in row-major order; the memory is not written before.
    /// O(n).
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

    /// Collects an iterator in row-major order; elements beyond the shape are not requested. O(n).
    ///
    /// # Errors
    /// As [`ArrayBuilder::zeros`]; [`ArrayError::Length`] if the iterator ends early.
    pub fn from_elements(
        self,
        shape: impl IntoShape,
        elements: impl IntoIterator<Item = T>,
    ) -> Result<Array<T, R>, ArrayError> {
        self.collect(shape.into_shape()?, elements.into_iter())
    }

    /// Multiplies two matrices, which may be transposed or strided views; the memory is not written
    /// before.
    ///
    /// # Errors
    /// As [`ArrayBuilder::zeros`]; [`ArrayError::Shape`] if the columns of `left` differ from the
    /// rows of `right`.
    pub fn matmul(self, left: Matrix<'_, T>, right: Matrix<'_, T>) -> Result<Array<T, R>, ArrayError>
    where
        T: Real,
    {
        let shape = product_shape(&left, &right)?;
        Ok(Array::from_storage(Storage::product(&shape, self.resource, left, right)?, shape))
    }

    /// Draws numbers evenly from `[0, 1)` with [`Random`]; a seed gives equal numbers on every
    /// machine.
    ///
    /// # Errors
    /// As [`ArrayBuilder::zeros`].
    pub fn random(self, shape: impl IntoShape, seed: u64) -> Result<Array<T, R>, ArrayError>
    where
        T: Real,
    {
        let mut random = Random::new(seed);
        self.from_fn(shape, |_| T::from_f64(random.next_f64()))
    }

    /// Copies an `ndarray` of any order into row-major order.
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

impl<T: Element> Array<T, Global> {
    /// Starts an array in `resource`: `Array::with_allocator(&arena).zeros([2, 3])?`.
    ///
    /// The element type is inferred from the use of the array, or named:
    /// `Array::<f32>::with_allocator(&arena)`.
    pub const fn with_allocator<R: Resource>(resource: R) -> ArrayBuilder<T, R> {
        ArrayBuilder::new(resource)
    }

    /// Creates an array of zeros. O(n).
    ///
    /// # Errors
    /// [`ArrayError::Alloc`] if the allocation fails, [`ArrayError::Overflow`] and
    /// [`ArrayError::Rank`] if the shape is too large.
    pub fn zeros(shape: impl IntoShape) -> Result<Self, ArrayError> {
        ArrayBuilder::new(Global).zeros(shape)
    }

    /// Creates an array of ones. O(n).
    ///
    /// # Errors
    /// As [`Array::zeros`].
    pub fn ones(shape: impl IntoShape) -> Result<Self, ArrayError> {
        ArrayBuilder::new(Global).ones(shape)
    }

    /// Creates an array with every element equal to `value`. O(n).
    ///
    /// # Errors
    /// As [`Array::zeros`].
    pub fn full(shape: impl IntoShape, value: T) -> Result<Self, ArrayError> {
        ArrayBuilder::new(Global).full(shape, value)
    }

    /// Copies the elements of a vector under a shape. O(n).
    ///
    /// # Errors
    /// As [`Array::zeros`]; [`ArrayError::Length`] if the shape has another number of elements.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the vector's memory is not aligned to 64 bytes and is freed here"
    )]
    pub fn from_vec(shape: impl IntoShape, elements: Vec<T>) -> Result<Self, ArrayError> {
        ArrayBuilder::new(Global).from_slice(shape, &elements)
    }

    /// Copies the elements of a slice under a shape. O(n).
    ///
    /// # Errors
    /// As [`Array::from_vec`].
    pub fn from_slice(shape: impl IntoShape, elements: &[T]) -> Result<Self, ArrayError> {
        ArrayBuilder::new(Global).from_slice(shape, elements)
    }
}

impl<T: Real> Array<T, Global> {
    /// Draws numbers evenly from `[0, 1)`. The n-th call in a process uses the seed n, so a program
    /// with one thread repeats; [`ArrayBuilder::random`] accepts a seed.
    ///
    /// # Errors
    /// As [`Array::zeros`].
    pub fn random(shape: impl IntoShape) -> Result<Self, ArrayError> {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        ArrayBuilder::new(Global).random(shape, CALLS.fetch_add(1, Relaxed))
    }
}
