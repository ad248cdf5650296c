//! Borrowed arrays: an entire array, a row, or a range of rows.
//!
//! A view is row-major and contiguous, so it is a slice and a shape. [`Matrix`] has strides.

use crate::{ArrayError, Element, IntoShape, Matrix, MemoryLayout, Operation, Shape, Strides};
use core::ops::Range;

/// Borrowed elements under a shape.
///
/// ```
/// use arenite_tensor::Array;
/// let array = Array::from_slice([3, 2], &[1, 2, 3, 4, 5, 6])?;
/// assert_eq!(array.row(1).map(|row| row.as_slice().to_vec()), Some(vec![3, 4]));
/// assert_eq!(array.view().rows(1..3).map(|rows| *rows.shape()), Some([2, 2].into()));
/// # Ok::<(), arenite_tensor::ArrayError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArrayView<'a, T> {
    data: &'a [T],
    shape: Shape,
}

/// Returns the element range and the shape of row `i` of the first dimension.
fn row_of(shape: &Shape, i: usize) -> Option<(Range<usize>, Shape)> {
    let (first, rest) = shape.split_first()?;
    let len = rest.checked_len()?;
    (i < first).then(|| (i * len..(i + 1) * len, rest))
}

/// Returns the element range and the shape of a range of rows.
fn rows_of(shape: &Shape, range: &Range<usize>) -> Option<(Range<usize>, Shape)> {
    let (first, rest) = shape.split_first()?;
    let len = rest.checked_len()?;
    (range.start <= range.end && range.end <= first)
        .then(|| (range.start * len..range.end * len, shape.with_first(range.end - range.start)))
}

fn reshaped(from: &Shape, shape: impl IntoShape) -> Result<Shape, ArrayError> {
    let shape = shape.into_shape()?;
    if shape.checked_len() != from.checked_len() {
        return Err(ArrayError::Shape { operation: Operation::Reshape, left: shape, right: *from });
    }
    Ok(shape)
}

impl<'a, T: Element> ArrayView<'a, T> {
    pub(crate) const fn of(data: &'a [T], shape: Shape) -> Self {
        Self { data, shape }
    }

    /// Creates a view of a slice under a shape.
    ///
    /// # Errors
    /// [`ArrayError::Length`] if the shape has another number of elements, [`ArrayError::Rank`].
    pub fn new(shape: impl IntoShape, data: &'a [T]) -> Result<Self, ArrayError> {
        let shape = shape.into_shape()?;
        if shape.checked_len() != Some(data.len()) {
            return Err(ArrayError::Length { shape, found: data.len() });
        }
        Ok(Self { data, shape })
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
    pub const fn len(&self) -> usize {
        self.data.len()
    }

    /// Returns whether there are no elements.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Returns the order of the elements in memory: row-major.
    #[must_use]
    pub const fn memory_layout(&self) -> MemoryLayout {
        MemoryLayout::RowMajor
    }

    /// Returns the elements in row-major order.
    #[must_use]
    pub const fn as_slice(&self) -> &'a [T] {
        self.data
    }

    /// Returns the element at an index, or `None` outside the shape.
    #[must_use]
    pub fn get<const N: usize>(&self, index: [usize; N]) -> Option<&'a T> {
        self.data.get(self.shape.offset(&index)?)
    }

    /// Returns row `i` of the first dimension, with one dimension less, or `None` outside the
    /// shape.
    #[must_use]
    pub fn row(&self, i: usize) -> Option<Self> {
        let (range, shape) = row_of(&self.shape, i)?;
        Some(Self { data: self.data.get(range)?, shape })
    }

    /// Returns a range of rows of the first dimension, or `None` outside the shape.
    #[must_use]
    pub fn rows(&self, range: Range<usize>) -> Option<Self> {
        let (range, shape) = rows_of(&self.shape, &range)?;
        Some(Self { data: self.data.get(range)?, shape })
    }

    /// Returns the elements under another shape.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] if the other shape has another number of elements,
    /// [`ArrayError::Rank`].
    pub fn reshape(self, shape: impl IntoShape) -> Result<Self, ArrayError> {
        Ok(Self { data: self.data, shape: reshaped(&self.shape, shape)? })
    }

    /// Returns the view as a matrix.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] if the view does not have two dimensions.
    pub fn as_matrix(&self) -> Result<Matrix<'a, T>, ArrayError> {
        match *self.shape.dims() {
            [rows, cols] => Matrix::new(self.data, rows, cols),
            _ => Err(ArrayError::Shape { operation: Operation::Matrix, left: self.shape, right: self.shape }),
        }
    }
}

/// Mutably borrowed elements under a shape.
///
/// ```
/// use arenite_tensor::Array;
/// let mut array = Array::<f64>::zeros([3, 2])?;
/// if let Some(mut row) = array.view_mut().into_row(2) {
///     row.as_mut_slice().fill(1.0);
/// }
/// assert_eq!(array[[2, 1]], 1.0);
/// # Ok::<(), arenite_tensor::ArrayError>(())
/// ```
#[derive(Debug)]
pub struct ArrayViewMut<'a, T> {
    data: &'a mut [T],
    shape: Shape,
}

impl<'a, T: Element> ArrayViewMut<'a, T> {
    pub(crate) const fn of(data: &'a mut [T], shape: Shape) -> Self {
        Self { data, shape }
    }

    /// Creates a mutable view of a slice under a shape.
    ///
    /// # Errors
    /// As [`ArrayView::new`].
    pub fn new(shape: impl IntoShape, data: &'a mut [T]) -> Result<Self, ArrayError> {
        let shape = shape.into_shape()?;
        if shape.checked_len() != Some(data.len()) {
            return Err(ArrayError::Length { shape, found: data.len() });
        }
        Ok(Self { data, shape })
    }

    /// Returns the shape.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the elements in row-major order.
    #[must_use]
    pub const fn as_slice(&self) -> &[T] {
        self.data
    }

    /// Returns the elements in row-major order for writing.
    #[must_use]
    pub const fn as_mut_slice(&mut self) -> &mut [T] {
        self.data
    }

    /// Returns a read-only view of the elements.
    #[must_use]
    pub const fn view(&self) -> ArrayView<'_, T> {
        ArrayView::of(self.data, self.shape)
    }

    /// Returns the element at an index for writing, or `None` outside the shape.
    #[must_use]
    pub fn get_mut<const N: usize>(&mut self, index: [usize; N]) -> Option<&mut T> {
        self.data.get_mut(self.shape.offset(&index)?)
    }

    /// Returns row `i` of the first dimension, with one dimension less, or `None` outside the
    /// shape.
    #[must_use]
    pub fn into_row(self, i: usize) -> Option<Self> {
        let (range, shape) = row_of(&self.shape, i)?;
        Some(Self { data: self.data.get_mut(range)?, shape })
    }
}

#[cfg(test)]
mod tests {
    use crate::Array;

    #[test]
    fn u07_view_returns_none_outside_its_rows() {
        let array = Array::from_slice([2, 3], &[1_u8, 2, 3, 4, 5, 6]).unwrap();
        assert!(array.row(2).is_none());
        assert!(array.view().rows(1..3).is_none());
        let backwards = core::ops::Range { start: 2, end: 1 };
        assert!(array.view().rows(backwards).is_none());
        assert_eq!(array.view().rows(2..2).unwrap().len(), 0);
        assert!(Array::<u8>::zeros([]).unwrap().row(0).is_none());
        assert_eq!(array.row(1).unwrap().get([2]), Some(&6));
    }

    #[test]
    fn u07_mutable_view_writes_through_to_the_array() {
        let mut array = Array::from_slice([2, 3], &[1_u8, 2, 3, 4, 5, 6]).unwrap();
        assert!(array.view_mut().into_row(2).is_none());
        let mut row = array.view_mut().into_row(1).unwrap();
        assert_eq!(row.get_mut([3]), None);
        *row.get_mut([2]).unwrap() = 9;
        assert_eq!(row.view().as_slice(), [4, 5, 9]);
        assert_eq!(array[[1, 2]], 9);
    }

    #[test]
    fn u07_reshape_fails_for_another_number_of_elements() {
        let mut array = Array::from_slice([2, 3], &[1_u8, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(array.reshape([3, 2]).unwrap().get([2, 1]), Some(&6));
        assert!(array.reshape([4, 2]).is_err());
        assert!(array.set_shape([usize::MAX, 2]).is_err());
        array.set_shape([6]).unwrap();
        assert_eq!(array[[5]], 6);
    }
}
