//! Matrix multiplication on borrowed matrices.

use crate::gemm_kernel::product_into;
use crate::{ArrayError, Matrix, MatrixMut, Operation, Real, Shape};

/// Returns the shape of `left · right`.
pub(crate) fn product_shape<T>(left: &Matrix<'_, T>, right: &Matrix<'_, T>) -> Result<Shape, ArrayError> {
    if left.cols() != right.rows() {
        return Err(ArrayError::Shape {
            operation: Operation::MatMul,
            left: left.shape(),
            right: right.shape(),
        });
    }
    Ok(Shape::from([left.rows(), right.cols()]))
}

/// Computes `out ← beta · out + left · right`; with `beta` zero, `out` is not read.
///
/// One call of `matrixmultiply`, which allocates a packing buffer from the global allocator while
/// it runs.
///
/// # Errors
/// [`ArrayError::Shape`] if the sizes do not agree; `out` is then unchanged.
pub fn gemm<T: Real>(
    left: Matrix<'_, T>,
    right: Matrix<'_, T>,
    beta: T,
    out: &mut MatrixMut<'_, T>,
) -> Result<(), ArrayError> {
    let shape = product_shape(&left, &right)?;
    if shape != out.shape() {
        return Err(ArrayError::Shape { operation: Operation::MatMul, left: out.shape(), right: shape });
    }
    product_into(left, right, beta, out);
    Ok(())
}
