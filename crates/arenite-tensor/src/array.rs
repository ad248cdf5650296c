//! An array: elements of one type under a shape, row-major, in one block of a resource.
//!
//! The array owns its block, so it can be moved and stored wherever the handle of its resource may
//! go. The default handle is the global allocator.

use crate::storage::Storage;
use crate::{
    ArrayError, ArrayView, ArrayViewMut, Element, IntoShape, Matrix, MatrixMut, MemoryLayout, Operation,
    Shape, Strides,
};
use arenite_alloc::Global;
use arenite_core::Resource;
use arenite_pages::{NumaDistribution, NumaError, numa_distribution, numa_node};
use core::fmt;

/// Elements of `T` in one 64-byte aligned block of `R`.
///
/// `R` is any handle that is a resource: `&Arena`, `Rc<Arena>`, [`Global`]. The array is `Send`
/// and `Sync` if `R` is.
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

impl<T: Element, R: Resource> Array<T, R> {
    pub(crate) const fn from_storage(storage: Storage<T, R>, shape: Shape) -> Self {
        Self { storage, shape }
    }

    /// Returns the shape.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the distance in elements between neighbours along each dimension.
    #[must_use]
    pub fn strides(&self) -> Strides {
        self.shape.strides()
    }

    /// Returns the number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Returns whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes of the elements.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        size_of_val(self.as_slice())
    }

    /// Returns the NUMA node of the first element, or `None` if it is not in memory yet. One system
    /// call.
    ///
    /// # Errors
    /// [`NumaError::Os`] if the kernel reports an error.
    pub fn numa_node(&self) -> Result<Option<usize>, NumaError> {
        numa_node(self.as_slice().as_ptr().cast())
    }

    /// Returns the bytes of the elements on each NUMA node, rounded out to OS pages. One system
    /// call per 512 OS pages.
    ///
    /// # Errors
    /// As [`Array::numa_node`].
    pub fn numa_distribution(&self) -> Result<NumaDistribution, NumaError> {
        numa_distribution(self.as_slice().as_ptr().cast(), self.memory_usage())
    }

    /// Returns whether the elements lie row after row without gaps: always true for an owning
    /// array.
    #[must_use]
    pub const fn is_contiguous(&self) -> bool {
        true
    }

    /// Returns the order of the elements in memory: row-major for every owning array.
    #[must_use]
    pub const fn memory_layout(&self) -> MemoryLayout {
        MemoryLayout::RowMajor
    }

    /// Returns the address of the first element, a multiple of 64.
    #[must_use]
    pub fn as_ptr(&self) -> *const T {
        self.as_slice().as_ptr()
    }

    /// Returns the elements in row-major order.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        self.storage.as_slice()
    }

    /// Returns the elements in row-major order for writing.
    #[must_use]
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self.storage.as_mut_slice()
    }

    /// Returns the handle of the resource.
    #[must_use]
    pub const fn resource(&self) -> &R {
        self.storage.resource()
    }

    /// Borrows the entire array.
    #[must_use]
    pub fn view(&self) -> ArrayView<'_, T> {
        ArrayView::of(self.as_slice(), self.shape)
    }

    /// Borrows the entire array for writing.
    #[must_use]
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, T> {
        let shape = self.shape;
        ArrayViewMut::of(self.as_mut_slice(), shape)
    }

    /// Returns row `i` of the first dimension, with one dimension less, or `None` outside the
    /// shape.
    #[must_use]
    pub fn row(&self, i: usize) -> Option<ArrayView<'_, T>> {
        self.view().row(i)
    }

    /// Borrows the elements under another shape. O(1).
    ///
    /// # Errors
    /// [`ArrayError::Shape`] if the other shape has another number of elements,
    /// [`ArrayError::Rank`].
    pub fn reshape(&self, shape: impl IntoShape) -> Result<ArrayView<'_, T>, ArrayError> {
        self.view().reshape(shape)
    }

    /// Changes the shape in place. O(1).
    ///
    /// # Errors
    /// As [`Array::reshape`]; the array is then unchanged.
    pub fn set_shape(&mut self, shape: impl IntoShape) -> Result<(), ArrayError> {
        self.shape = *self.reshape(shape)?.shape();
        Ok(())
    }

    /// Borrows the array as a matrix of rows and columns.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] if the array does not have two dimensions.
    pub fn as_matrix(&self) -> Result<Matrix<'_, T>, ArrayError> {
        let (rows, cols) = self.two_dimensions()?;
        Matrix::new(self.as_slice(), rows, cols)
    }

    /// Borrows the array for writing as a matrix of rows and columns.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] if the array does not have two dimensions.
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

    /// Copies the array into `resource`, for example out of an arena or into one.
    ///
    /// # Errors
    /// [`ArrayError::Alloc`] if the allocation fails.
    pub fn try_clone_in<S: Resource>(&self, resource: S) -> Result<Array<T, S>, ArrayError> {
        let elements = self.as_slice().iter().copied();
        Ok(Array::from_storage(Storage::collect(&self.shape, resource, elements)?, self.shape))
    }
}

impl<T: Element, R: Resource> From<&Array<T, R>> for Array<T, Global> {
    /// Copies an array out of its resource into the global allocator.
    ///
    /// # Panics
    /// If the allocation fails; [`Array::try_clone_in`] returns that as an error.
    fn from(array: &Array<T, R>) -> Self {
        match array.try_clone_in(Global) {
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
    /// Writes the type, the shape and the first eight elements.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.as_slice().get(..8).unwrap_or(self.as_slice());
        let more = if self.len() > first.len() { " …" } else { "" };
        write!(out, "Array<{}>{} {first:?}{more}", T::DTYPE, self.shape)
    }
}
