//! A linear layer without bias: a matrix product and its two gradients.
//!
//! [`gemm`] accepts transposed views, so no transpose is copied.

use super::Scalar;
use super::parameter::Parameter;
use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError, gemm};

/// Returns `x · w`; allocates in `step`.
pub(crate) fn forward<F: Scalar, R: Resource, S: Resource>(
    x: &Array<F, S>,
    weight: &Parameter<F, R>,
    step: S,
) -> Result<Array<F, S>, ArrayError> {
    x.matmul_in(&weight.value, step)
}

/// Writes the gradient of the weight, `xᵀ · dy`, and returns that of the input, `dy · wᵀ`;
/// allocates in `step`.
pub(crate) fn backward<F: Scalar, R: Resource, S: Resource>(
    x: &Array<F, S>,
    dy: &Array<F, S>,
    weight: &mut Parameter<F, R>,
    step: S,
) -> Result<Array<F, S>, ArrayError> {
    let dy = dy.as_matrix()?;
    gemm(x.as_matrix()?.t(), dy, F::ZERO, &mut weight.gradient.as_matrix_mut()?)?;
    Array::with_allocator(step).matmul(dy, weight.value.as_matrix()?.t())
}
