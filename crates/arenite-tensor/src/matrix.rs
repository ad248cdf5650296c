//! Matrices that borrow a slice, with a stride for rows and for columns.
//!
//! A transpose or one head of an attention layer is a view and not a copy. Every view is checked
//! when it is created, so products are safe.

use crate::{ArrayError, MemoryLayout, Operation, Shape};

/// Returns the index of the last element plus one, or `None` on overflow. A matrix without
/// elements needs 0.
fn required_len(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Option<usize> {
    if rows == 0 || cols == 0 {
        return Some(0);
    }
    let last = (rows - 1).checked_mul(row_stride)?.checked_add((cols - 1).checked_mul(col_stride)?)?;
    last.checked_add(1)
}

/// Returns the strides, with 1 for a stride that reaches no second element. All strides then lie
/// inside the slice.
const fn effective_strides(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> (usize, usize) {
    let none = rows == 0 || cols == 0;
    (if none || rows == 1 { 1 } else { row_stride }, if none || cols == 1 { 1 } else { col_stride })
}

fn layout_of(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> MemoryLayout {
    if (col_stride == 1 || cols <= 1) && (row_stride == cols || rows <= 1) {
        MemoryLayout::RowMajor
    } else if (row_stride == 1 || rows <= 1) && (col_stride == rows || cols <= 1) {
        MemoryLayout::ColumnMajor
    } else {
        MemoryLayout::Strided
    }
}

/// A matrix of borrowed elements.
///
/// ```
/// use arenite_tensor::Matrix;
/// let numbers = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let matrix = Matrix::new(&numbers, 2, 3)?;
/// assert_eq!(matrix.t().get(2, 1), Some(&6.0));
/// # Ok::<(), arenite_tensor::ArrayError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// Creates a matrix of the elements of `data`, row after row.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] if `data` does not have `rows * cols` elements.
    pub fn new(data: &'a [T], rows: usize, cols: usize) -> Result<Self, ArrayError> {
        if rows.checked_mul(cols) != Some(data.len()) {
            return Err(shape_error(rows, cols, data.len()));
        }
        let (row_stride, col_stride) = effective_strides(rows, cols, cols, 1);
        Ok(Self { data, rows, cols, row_stride, col_stride })
    }

    /// Creates a matrix of the elements at `i * row_stride + j * col_stride`.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] if the last element lies outside `data`.
    pub fn strided(
        data: &'a [T],
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Result<Self, ArrayError> {
        let (row_stride, col_stride) = effective_strides(rows, cols, row_stride, col_stride);
        match required_len(rows, cols, row_stride, col_stride) {
            Some(end) if end <= data.len() => Ok(Self { data, rows, cols, row_stride, col_stride }),
            _ => Err(shape_error(rows, cols, data.len())),
        }
    }

    /// Returns the transpose, a view of the elements with rows and columns exchanged.
    #[must_use]
    pub const fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }

    /// Returns the number of rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of columns.
    #[must_use]
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// Returns the distance in elements between neighbours in a column.
    #[must_use]
    pub const fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// Returns the distance in elements between neighbours in a row.
    #[must_use]
    pub const fn col_stride(&self) -> usize {
        self.col_stride
    }

    /// Returns the element of row `i` and column `j`, or `None` outside the matrix.
    #[must_use]
    pub fn get(&self, i: usize, j: usize) -> Option<&'a T> {
        if i < self.rows && j < self.cols {
            self.data.get(i * self.row_stride + j * self.col_stride)
        } else {
            None
        }
    }

    /// Returns the order of the elements in memory.
    #[must_use]
    pub fn memory_layout(&self) -> MemoryLayout {
        layout_of(self.rows, self.cols, self.row_stride, self.col_stride)
    }

    /// Returns whether the elements lie row after row without gaps.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        self.memory_layout() == MemoryLayout::RowMajor
    }

    pub(crate) const fn as_ptr(&self) -> *const T {
        self.data.as_ptr()
    }

    pub(crate) fn shape(&self) -> Shape {
        Shape::from([self.rows, self.cols])
    }
}

/// A matrix of mutably borrowed, distinct elements.
///
/// ```
/// use arenite_tensor::{Matrix, MatrixMut, gemm};
/// let mut out = [0.0_f32; 4];
/// let a = [1.0, 2.0, 3.0, 4.0];
/// let a = Matrix::new(&a, 2, 2)?;
/// gemm(a, a.t(), 0.0, &mut MatrixMut::new(&mut out, 2, 2)?)?;
/// assert_eq!(out, [5.0, 11.0, 11.0, 25.0]);
/// # Ok::<(), arenite_tensor::ArrayError>(())
/// ```
#[derive(Debug)]
pub struct MatrixMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> MatrixMut<'a, T> {
    /// Creates a matrix of the elements of `data`, row after row.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] if `data` does not have `rows * cols` elements.
    pub fn new(data: &'a mut [T], rows: usize, cols: usize) -> Result<Self, ArrayError> {
        if rows.checked_mul(cols) != Some(data.len()) {
            return Err(shape_error(rows, cols, data.len()));
        }
        let (row_stride, col_stride) = effective_strides(rows, cols, cols, 1);
        Ok(Self { data, rows, cols, row_stride, col_stride })
    }

    /// Creates a matrix of the elements at `i * row_stride + j * col_stride`.
    ///
    /// # Errors
    /// [`ArrayError::Shape`] if the last element lies outside `data`, or if two elements coincide.
    pub fn strided(
        data: &'a mut [T],
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Result<Self, ArrayError> {
        let (row_stride, col_stride) = effective_strides(rows, cols, row_stride, col_stride);
        // A row ends before the next row starts, or a column before the next column.
        let row_end = required_len(1, cols, 1, col_stride);
        let col_end = required_len(rows, 1, row_stride, 1);
        let distinct = rows <= 1 && col_stride > 0
            || cols <= 1 && row_stride > 0
            || col_stride > 0 && row_end.is_some_and(|end| row_stride >= end)
            || row_stride > 0 && col_end.is_some_and(|end| col_stride >= end);
        match required_len(rows, cols, row_stride, col_stride) {
            Some(end) if end <= data.len() && distinct => {
                Ok(Self { data, rows, cols, row_stride, col_stride })
            }
            _ => Err(shape_error(rows, cols, data.len())),
        }
    }

    /// Returns the number of rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of columns.
    #[must_use]
    pub const fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) const fn row_stride(&self) -> usize {
        self.row_stride
    }

    pub(crate) const fn col_stride(&self) -> usize {
        self.col_stride
    }

    pub(crate) const fn as_mut_ptr(&mut self) -> *mut T {
        self.data.as_mut_ptr()
    }

    pub(crate) fn shape(&self) -> Shape {
        Shape::from([self.rows, self.cols])
    }
}

#[cold]
fn shape_error(rows: usize, cols: usize, found: usize) -> ArrayError {
    ArrayError::Shape {
        operation: Operation::Matrix,
        left: Shape::from([rows, cols]),
        right: Shape::from([found]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm;

    #[test]
    fn u07_matrix_new_fails_outside_its_slice() {
        let data = [0.0_f32; 12];
        assert!(Matrix::new(&data, 3, 4).is_ok());
        assert!(Matrix::new(&data, 3, 5).is_err());
        assert!(Matrix::strided(&data, 3, 2, 5, 1).is_ok());
        assert!(Matrix::strided(&data, 3, 3, 5, 1).is_err());
        assert!(Matrix::strided(&data, usize::MAX, 2, usize::MAX, 1).is_err());
        assert!(Matrix::strided(&data, 0, 2, usize::MAX, 1).is_ok());
    }

    #[test]
    fn u07_matrix_mut_new_fails_if_elements_overlap() {
        let mut data = [0.0_f32; 12];
        assert!(MatrixMut::strided(&mut data, 3, 4, 4, 1).is_ok());
        assert!(MatrixMut::strided(&mut data, 4, 3, 1, 4).is_ok());
        assert!(MatrixMut::strided(&mut data, 3, 4, 3, 1).is_err());
        assert!(MatrixMut::strided(&mut data, 3, 4, 0, 1).is_err());
        assert!(MatrixMut::strided(&mut data, 3, 4, 1, 1).is_err());
        assert!(MatrixMut::strided(&mut data, 1, 4, 0, 0).is_err());
        assert!(MatrixMut::strided(&mut data, 4, 1, usize::MAX, 0).is_err());
    }

    #[test]
    fn u07_gemm_ignores_the_strides_of_empty_matrices() {
        let mut data = [1.0_f32; 6];
        let none = Matrix::strided(&[], 3, 0, usize::MAX, usize::MAX).unwrap();
        let two = Matrix::strided(&[], 0, 2, usize::MAX, usize::MAX).unwrap();
        gemm(none, two, 0.5, &mut MatrixMut::new(&mut data, 3, 2).unwrap()).unwrap();
        assert_eq!(data, [0.5; 6]);
        gemm(two.t(), none.t(), 0.0, &mut MatrixMut::strided(&mut data, 2, 3, 1, 2).unwrap()).unwrap();
        assert_eq!(data, [0.0; 6]);
        gemm(none.t(), none, 0.0, &mut MatrixMut::strided(&mut [], 0, 0, usize::MAX, 0).unwrap()).unwrap();
    }

    #[test]
    fn u07_gemm_of_a_huge_empty_matrix_ends() {
        let tall = Matrix::<f32>::new(&[], usize::MAX, 0).unwrap();
        let square = Matrix::new(&[], 0, 0).unwrap();
        gemm(tall, square, 0.0, &mut MatrixMut::new(&mut [], usize::MAX, 0).unwrap()).unwrap();
        gemm(square, tall.t(), 0.0, &mut MatrixMut::new(&mut [], 0, usize::MAX).unwrap()).unwrap();
    }

    #[test]
    fn u35_matrix_reports_its_memory_layout() {
        let data = [0.0_f32; 12];
        assert_eq!(Matrix::new(&data, 3, 4).unwrap().memory_layout(), MemoryLayout::RowMajor);
        assert_eq!(Matrix::new(&data, 3, 4).unwrap().t().memory_layout(), MemoryLayout::ColumnMajor);
        assert_eq!(Matrix::strided(&data, 3, 2, 4, 1).unwrap().memory_layout(), MemoryLayout::Strided);
    }
}
