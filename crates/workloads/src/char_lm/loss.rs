//! The loss: the mean cross-entropy of the next characters, in nats.
//!
//! The gradient overwrites the scores, which are not used afterwards.

use super::Scalar;
use super::scalar::softmax;
use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError};

/// Returns the mean cross-entropy in nats and replaces `scores` by its gradient.
pub(crate) fn cross_entropy<F: Scalar, S: Resource>(
    scores: &mut Array<F, S>,
    targets: &[u8],
) -> Result<F, ArrayError> {
    let vocabulary = scores.shape().dims().last().copied().unwrap_or(0).max(1);
    let share = F::ONE / F::from_f64(targets.len() as f64);
    let mut loss = F::ZERO;
    for (row, &target) in scores.as_mut_slice().chunks_exact_mut(vocabulary).zip(targets) {
        let at = usize::from(target);
        let score = *row.get(at).ok_or(ArrayError::Index { index: at, bound: vocabulary })?;
        let (top, total) = softmax(row);
        loss += total.ln() + top - score;
        for weight in row.iter_mut() {
            *weight *= share;
        }
        row[at] -= share;
    }
    Ok(loss * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_cost_the_logarithm_of_the_vocabulary() {
        let mut scores = Array::<f64>::zeros([3, 5]).unwrap();
        let loss = cross_entropy(&mut scores, &[0, 4, 2]).unwrap();
        assert!((loss - 5.0_f64.ln()).abs() < 1e-12);
        assert!((scores.sum()).abs() < 1e-12);
        assert!(cross_entropy(&mut scores, &[0, 5, 2]).is_err());
    }
}
