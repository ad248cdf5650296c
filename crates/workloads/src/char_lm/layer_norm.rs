//! Layer norm with a gain and without a bias (Ba, Kiros and Hinton, 2016).
//!
//! The trace has the mean and the inverse deviation of each row. The normalised row is recomputed,
//! which costs less than storing it.

use super::Scalar;
use super::parameter::Parameter;
use super::scalar::{dot, sum};
use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError};

/// Addend of the variance, which avoids a division by zero for a constant row.
const EPSILON: f64 = 1e-5;

/// The result of a layer norm.
#[derive(Debug)]
pub(crate) struct Normed<F: Scalar, S: Resource> {
    /// The normalised rows, multiplied by the gain.
    pub(crate) rows: Array<F, S>,
    /// The mean and the inverse deviation of each input row, for the backward pass.
    pub(crate) statistics: Array<F, S>,
}

/// Normalises the rows of `x`; allocates in `step`.
pub(crate) fn forward<F: Scalar, R: Resource, S: Resource + Clone>(
    x: &Array<F, S>,
    gain: &Parameter<F, R>,
    step: S,
) -> Result<Normed<F, S>, ArrayError> {
    let gain = gain.value.as_slice();
    let width = gain.len();
    let mut statistics = Array::with_allocator(step.clone()).zeros([x.len() / width, 2])?;
    let mut y = Array::with_allocator(step).zeros(x.shape())?;
    let inverse_width = F::ONE / F::from_f64(width as f64);
    let rows = x.as_slice().chunks_exact(width).zip(y.as_mut_slice().chunks_exact_mut(width));
    for ((x, y), statistics) in rows.zip(statistics.as_mut_slice().chunks_exact_mut(2)) {
        let mean = sum(x) * inverse_width;
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x - mean;
        }
        let variance = dot(y, y) * inverse_width;
        let inverse = F::ONE / (variance + F::from_f64(EPSILON)).sqrt();
        for (y, &gain) in y.iter_mut().zip(gain) {
            *y = *y * inverse * gain;
        }
        statistics.copy_from_slice(&[mean, inverse]);
    }
    Ok(Normed { rows: y, statistics })
}

/// Writes the gradient of the gain and adds that of the input to `dx`; overwrites `dy`.
pub(crate) fn backward<F: Scalar, R: Resource, S: Resource>(
    x: &Array<F, S>,
    statistics: &Array<F, S>,
    dy: &mut Array<F, S>,
    gain: &mut Parameter<F, R>,
    dx: &mut Array<F, S>,
) {
    let width = gain.value.len();
    let Parameter { value, gradient, .. } = gain;
    gradient.fill(F::ZERO);
    let (gain, gradient) = (value.as_slice(), gradient.as_mut_slice());
    let inverse_width = F::ONE / F::from_f64(width as f64);
    let rows = x.as_slice().chunks_exact(width).zip(dy.as_mut_slice().chunks_exact_mut(width));
    let rows = rows.zip(dx.as_mut_slice().chunks_exact_mut(width));
    for (((x, dy), dx), statistics) in rows.zip(statistics.as_slice().chunks_exact(2)) {
        let &[mean, inverse] = statistics else { continue };
        for (((dy, &x), &gain), gradient) in dy.iter_mut().zip(x).zip(gain).zip(gradient.iter_mut()) {
            *gradient += *dy * (x - mean) * inverse;
            *dy *= gain;
        }
        let total = sum(dy);
        let mean_dy = total * inverse_width;
        // The mean of `dy` times the normalised row, without computing that row.
        let against = (dot(dy, x) - mean * total) * inverse * inverse_width;
        for ((dx, &dy), &x) in dx.iter_mut().zip(&*dy).zip(x) {
            let normal = (x - mean) * inverse;
            *dx += (dy - mean_dy - normal * against) * inverse;
        }
    }
}
