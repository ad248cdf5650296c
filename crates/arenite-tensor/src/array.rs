//! An array: elements of one type under a shape, row-major, in one block of a resource.
//!
//! Rests on `raw` for its storage. It owns its block, so it can be moved, returned and kept wherever the handle of its
//! resource may go; with the default handle it lives in the global allocator.

use crate::storage::Storage;
use crate::{
    ArrayBuilder, ArrayError, ArrayView, ArrayViewMut, Element, IntoShape, Matrix, MatrixMut, MemoryLayout,
    Operation, Real, Shape, Strides,
};
use arenite_alloc::Global;
use arenite_core::Resource;
use arenite_pages::{NumaDistribution, NumaError, numa_distribution, numa_node};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Owns elements of `T` in one 64-byte aligned block of `R`.
///
/// `R` is any handle that is a resource: `&Arena`, `Rc<Arena>`, [`Global`]. The array is `Send` and `Sync` where `R` is.
///
/// ```
/// use arenite_tensor::Array;
/// let mut table = Array::<f32>::zeros([2, 2])?;
/// table[[0, 1]] = 5.0;
/// assert_eq!(table.get([0, 1]), Some(&5.0));
/// assert_eq!(table.get([2, 0]), None);
/// # Ok::<(), arenite_tensor::ArrayError>(())
/// ```
pub struct Array<T: Element, R: Resource = Global> {
    pub(crate) storage: Storage<T, R>,
    shape: Shape,
}

impl<T: Element> Array<T, Global> {
    /// Makes arrays in `resource`: `Array::with_allocator(&arena).zeros([2, 3])?`.
    ///
    /// The element type is inferred from how the array is used, or named: `Array::<f32>::with_allocator(&arena)`.
    pub const fn with_allocator<R: Resource>(resource: R) -> ArrayBuilder<T, R> {
        ArrayBuilder::new(resource)
    }

    /// Every element zero. O(n).
    ///
    /// # Errors
    /// [`ArrayError::Alloc`] where the memory is refused, [`ArrayError::Overflow`] and [`ArrayError::Rank`] where no memory
    /// could be of that shape.
    pub fn zeros(shape: impl IntoShape) -> Result<Self, ArrayError> {
        ArrayBuilder::new(Global).zeros(shape)
    }

    /// Every element one. O(n).
    ///
    /// # Errors
    /// As [`Array::zeros`].
    pub fn ones(shape: impl IntoShape) -> Result<Self, ArrayError> {
        ArrayBuilder::new(Global).ones(shape)
    }

    /// Every element `value`. O(n).
    ///
    /// # Errors
    /// As [`Array::zeros`].
    pub fn full(shape: impl IntoShape, value: T) -> Result<Self, ArrayError> {
        ArrayBuilder::new(Global).full(shape, value)
    }

    /// A copy of the elements of a vector under a shape. O(n).
    ///
    /// # Errors
    /// As [`Array::zeros`]; [`ArrayError::Length`] where the shape has another number of elements.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the vector's memory is not aligned to 64 bytes and is freed here"
    )]
    pub fn from_vec(shape: impl IntoShape, elements: Vec<T>) -> Result<Self, ArrayError> {
        ArrayBuilder::new(Global).from_slice(shape, &elements)
    }

    /// A copy of the elements of a slice under a shape. O(n).
    ///
    /// # Errors
    /// As [`Array::from_vec`].
    pub fn from_slice(shape: impl IntoShape, elements: &[T]) -> Result<Self, ArrayError> {
        ArrayBuilder::new(Global).from_slice(shape, elements)
    }
}

impl<T: Real> Array<T, Global> {
    /// Numbers drawn evenly from `[0, 1)`. The n-th call in a process uses the seed n, so that a program with one thread
    /// repeats; [`ArrayBuilder::random`] takes a seed.
    ///
    /// # Errors
    /// As [`Array::zeros`].
    pub fn random(shape: impl IntoShape) -> Result<Self, ArrayError> {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        ArrayBuilder::new(Global).random(shape, CALLS.fetch_add(1, Relaxed))
    }
}

impl<T: Element, R: Resource> Array<T, R> {
    pub(crate) const fn from_storage(storage: Storage<T, R>, shape: Shape) -> Self {
        Self { storage, shape }
    }

    /// The shape.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How many elements lie between neighbours along each dimension.
    #[must_use]
    pub fn strides(&self) -> Strides {
        self.shape.strides()
    }

    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of the elements.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        size_of_val(self.as_slice())
    }

    /// The NUMA node on which the first element lies; `None` where it is in no memory yet. One system call.
    ///
    /// # Errors
    /// [`NumaError::Os`] where the kernel does not tell.
    pub fn numa_node(&self) -> Result<Option<usize>, NumaError> {
        numa_node(self.as_slice().as_ptr().cast())
    }

    /// How many bytes of the elements lie on which NUMA node, in the whole OS pages around them. A system call for 512 OS
    /// pages.
    ///
    /// # Errors
    /// As [`Array::numa_node`].
    pub fn numa_distribution(&self) -> Result<NumaDistribution, NumaError> {
        numa_distribution(self.as_slice().as_ptr().cast(), self.memory_usage())
    }

    /// Whether the elements lie row after row without gaps: always so for an array that owns them.
    #[must_use]
    pub const fn is_contiguous(&self) -> bool {
        true
    }

    /// The order of the elements in memory: row-major for every array that owns them.
    #[must_use]
    pub const fn memory_layout(&self) -> MemoryLayout {
        MemoryLayout::RowMajor
    }

    /// Where the elements start, a multiple of 64.
    #[must_use]
    pub fn as_ptr(&self) -> *const T {
        self.as_slice().as_ptr()
    }

    /// The elements in row-major order.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        self.storage.as_slice()
    }

    /// The elements in row-major order, for writing.
    #[must_use]
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self.storage.as_mut_slice()
    }

    /// The handle of the resource that the elements live in.
    #[must_use]
    pub const fn resource(&self) -> &R {
        self.storage.resource()
    }

    /// The whole array, borrowed.
    #[must_use]
    pub fn view(&self) -> ArrayView<'_, T> {
        ArrayView::of(self.as_slice(), self.shape)
    }

    /// The whole array, borrowed for writing.
    #[must_use]
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, T> {
        let shape = self.shape;
        ArrayViewMut::of(self.as_mut_slice(), shape)
    }

    /// The part at `i` of the first dimension, one dimension less; `None` outside.
    #[must_use]
    pub fn row(&self, i: usize) -> Option<ArrayView<'_, T>> {
        self.view().row(i)
    }

    /// The same elements under another shape, borrowed. O(1).
    ///
    /// # Errors
    /// [`ArrayError::Shape`] where the other shape has another number of elements, [`ArrayError::Rank`].
    pub fn reshape(&self, shape: impl IntoShape) -> Result<ArrayView<'_, T>, ArrayError> {
        self.view().reshape(shape)
    }

    /// Gives the array another shape in place. O(1).
    ///
    /// # Errors
    /// As [`Array::reshape`]; the array is then as it was.
    pub fn set_shape(&mut self, shape: impl IntoShape) -> Result<(), ArrayError> {
        self.shape = *self.reshape(shape)?.shape();
        Ok(())
    }

    /// The array as a matrix of rows and columns, borrowed.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] where it has not two dimensions.
    pub fn as_matrix(&self) -> Result<Matrix<'_, T>, ArrayError> {
        let (rows, cols) = self.two_dimensions()?;
        Matrix::new(self.as_slice(), rows, cols)
    }

    /// The array as a matrix of rows and columns, borrowed for writing.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] where it has not two dimensions.
    pub fn as_matrix_mut(&mut self) -> Result<MatrixMut<'_, T>, ArrayError> {
        let (rows, cols) = self.two_dimensions()?;
        MatrixMut::new(self.as_mut_slice(), rows, cols)
    }

    fn two_dimensions(&self) -> Result<(usize, usize), ArrayError> {
        match *self.shape.dims() {
            [rows, cols] => Ok((rows, cols)),
            _ => Err(ArrayError::Shape { operation: Operation::Matrix, left: self.shape, right: self.shape }),
        }
    }

    /// A copy of the array in `resource`: how a result leaves an arena, or enters one.
    ///
    /// # Errors
    /// [`ArrayError::Alloc`] where the memory is refused.
    pub fn try_copy_in<S: Resource>(&self, resource: S) -> Result<Array<T, S>, ArrayError> {
        ArrayBuilder::new(resource).from_slice(self.shape, self.as_slice())
    }
}

impl<T: Element, R: Resource> From<&Array<T, R>> for Array<T, Global> {
    /// Copies an array out of its resource into the global allocator.
    ///
    /// # Panics
    /// Where the global allocator refuses; [`Array::try_copy_in`] returns that as an error.
    fn from(array: &Array<T, R>) -> Self {
        match array.try_copy_in(Global) {
            Ok(copy) => copy,
            Err(error) => panic!("copy of an array: {error}"),
        }
    }
}

impl<T: Element, R: Resource, S: Resource> PartialEq<Array<T, S>> for Array<T, R> {
    fn eq(&self, other: &Array<T, S>) -> bool {
        self.shape == *other.shape() && self.as_slice() == other.as_slice()
    }
}

impl<T: Element, R: Resource> fmt::Debug for Array<T, R> {
    /// The type, the shape and the first eight elements.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.as_slice().get(..8).unwrap_or(self.as_slice());
        let more = if self.len() > first.len() { " …" } else { "" };
        write!(out, "Array<{}>{} {first:?}{more}", T::DTYPE, self.shape)
    }
}
