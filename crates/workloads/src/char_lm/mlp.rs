//! The activation of the MLP: the square of the positive part (So et al., "Primer", 2021).
//!
//! The function needs no exponential, and its gradient needs only values that are stored anyway.

use super::Scalar;
use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError};

/// Returns the square of the positive part of each number; allocates in `step`.
pub(crate) fn forward<F: Scalar, S: Resource>(
    hidden: &Array<F, S>,
    step: S,
) -> Result<Array<F, S>, ArrayError> {
    hidden.map_in(step, |x| {
        let positive = if x > F::ZERO { x } else { F::ZERO };
        positive * positive
    })
}

/// Replaces the gradient of the activation by that of `hidden`.
pub(crate) fn backward<F: Scalar, S: Resource>(hidden: &Array<F, S>, gradient: &mut Array<F, S>) {
    let two = F::ONE + F::ONE;
    for (gradient, &x) in gradient.as_mut_slice().iter_mut().zip(hidden.as_slice()) {
        let positive = if x > F::ZERO { x } else { F::ZERO };
        *gradient = *gradient * two * positive;
    }
}
