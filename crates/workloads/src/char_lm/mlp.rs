//! The activation of the perceptron: the square of the positive part (So et al., "Primer", 2021).
//!
//! Rests on nothing but arithmetic, which is why it was taken: no exponential, and a gradient made of what is kept anyway.

use super::Scalar;
use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError};

/// The square of the positive part of each number, in `step`.
pub(crate) fn forward<F: Scalar, S: Resource>(
    hidden: &Array<F, S>,
    step: S,
) -> Result<Array<F, S>, ArrayError> {
    hidden.map_in(step, |x| {
        let positive = if x > F::ZERO { x } else { F::ZERO };
        positive * positive
    })
}

/// Turns the gradient of the activation into that of `hidden`, in place.
pub(crate) fn backward<F: Scalar, S: Resource>(hidden: &Array<F, S>, gradient: &mut Array<F, S>) {
    let two = F::ONE + F::ONE;
    for (gradient, &x) in gradient.as_mut_slice().iter_mut().zip(hidden.as_slice()) {
        let positive = if x > F::ZERO { x } else { F::ZERO };
        *gradient = *gradient * two * positive;
    }
}
