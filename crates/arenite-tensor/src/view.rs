//! Borrowed arrays: a whole array, a row of it, or a range of rows.
//!
//! Rests on slices: a view is row-major and contiguous, so it is a slice and a shape. Strided access is [`Matrix`].

use crate::{ArrayError, Element, IntoShape, Matrix, MemoryLayout, Operation, Shape, Strides};
use core::ops::Range;

/// Elements under a shape, borrowed.
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

/// The elements of the part at `i` of the first dimension, and its shape.
fn row_of(shape: &Shape, i: usize) -> Option<(Range<usize>, Shape)> {
    let (first, rest) = shape.split_first()?;
    let len = rest.checked_len()?;
    (i < first).then(|| (i * len..(i + 1) * len, rest))
}

/// The elements of a range of the first dimension, and its shape.
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

    /// A slice under a shape.
    ///
    /// # Errors
    /// [`ArrayError::Length`] where the shape has another number of elements, [`ArrayError::Rank`].
    pub fn new(shape: impl IntoShape, data: &'a [T]) -> Result<Self, ArrayError> {
        let shape = shape.into_shape()?;
        if shape.checked_len() != Some(data.len()) {
            return Err(ArrayError::Length { shape, found: data.len() });
        }
        Ok(Self { data, shape })
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
    pub const fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are no elements.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The order of the elements in memory: row-major.
    #[must_use]
    pub const fn memory_layout(&self) -> MemoryLayout {
        MemoryLayout::RowMajor
    }

    /// The elements in row-major order.
    #[must_use]
    pub const fn as_slice(&self) -> &'a [T] {
        self.data
    }

    /// The element at an index, or `None` outside the shape.
    #[must_use]
    pub fn get<const N: usize>(&self, index: [usize; N]) -> Option<&'a T> {
        self.data.get(self.shape.offset(&index)?)
    }

    /// The part at `i` of the first dimension, one dimension less; `None` outside.
    #[must_use]
    pub fn row(&self, i: usize) -> Option<Self> {
        let (range, shape) = row_of(&self.shape, i)?;
        Some(Self { data: self.data.get(range)?, shape })
    }

    /// A range of the first dimension; `None` outside.
    #[must_use]
    pub fn rows(&self, range: Range<usize>) -> Option<Self> {
        let (range, shape) = rows_of(&self.shape, &range)?;
        Some(Self { data: self.data.get(range)?, shape })
    }

    /// The same elements under another shape.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] where the other shape has another number of elements, [`ArrayError::Rank`].
    pub fn reshape(self, shape: impl IntoShape) -> Result<Self, ArrayError> {
        Ok(Self { data: self.data, shape: reshaped(&self.shape, shape)? })
    }

    /// The view as a matrix.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] where it has not two dimensions.
    pub fn as_matrix(&self) -> Result<Matrix<'a, T>, ArrayError> {
        match *self.shape.dims() {
            [rows, cols] => Matrix::new(self.data, rows, cols),
            _ => Err(ArrayError::Shape { operation: Operation::Matrix, left: self.shape, right: self.shape }),
        }
    }
}

/// Elements under a shape, borrowed for writing.
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

    /// A slice under a shape, for writing.
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

    /// The shape.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The elements in row-major order.
    #[must_use]
    pub const fn as_slice(&self) -> &[T] {
        self.data
    }

    /// The elements in row-major order, for writing.
    #[must_use]
    pub const fn as_mut_slice(&mut self) -> &mut [T] {
        self.data
    }

    /// The same view, for reading.
    #[must_use]
    pub const fn view(&self) -> ArrayView<'_, T> {
        ArrayView::of(self.data, self.shape)
    }

    /// The element at an index, for writing, or `None` outside the shape.
    #[must_use]
    pub fn get_mut<const N: usize>(&mut self, index: [usize; N]) -> Option<&mut T> {
        self.data.get_mut(self.shape.offset(&index)?)
    }

    /// The part at `i` of the first dimension, one dimension less; `None` outside.
    #[must_use]
    pub fn into_row(self, i: usize) -> Option<Self> {
        let (range, shape) = row_of(&self.shape, i)?;
        Some(Self { data: self.data.get_mut(range)?, shape })
    }

    /// A range of the first dimension; `None` outside.
    #[must_use]
    pub fn into_rows(self, range: Range<usize>) -> Option<Self> {
        let (range, shape) = rows_of(&self.shape, &range)?;
        Some(Self { data: self.data.get_mut(range)?, shape })
    }

    /// The same elements under another shape.
    ///
    /// # Errors
    /// As [`ArrayView::reshape`].
    pub fn reshape(self, shape: impl IntoShape) -> Result<Self, ArrayError> {
        let shape = reshaped(&self.shape, shape)?;
        Ok(Self { data: self.data, shape })
    }
}

#[cfg(test)]
mod tests {
    use crate::Array;

    #[test]
    fn u07_rows_and_ranges_outside_are_none() {
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
    fn u07_reshape_keeps_the_number_of_elements() {
        let mut array = Array::from_slice([2, 3], &[1_u8, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(array.reshape([3, 2]).unwrap().get([2, 1]), Some(&6));
        assert!(array.reshape([4, 2]).is_err());
        assert!(array.set_shape([usize::MAX, 2]).is_err());
        array.set_shape([6]).unwrap();
        assert_eq!(array[[5]], 6);
    }
}
