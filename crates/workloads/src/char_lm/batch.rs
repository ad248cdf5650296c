//! A batch: sequences of a text and, for each character, the next one.
//!
//! The sequences depend only on the seed and the step.

use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError, Random};
use core::ops::Range;

/// The part of a text from which sequences are sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// The first nine tenths; the whole text if a tenth is shorter than a sequence.
    Training,
    /// The last tenth; the whole text if a tenth is shorter than a sequence.
    Validation,
}

/// Input characters and their successors as ids, `[batch, context]` each.
#[derive(Debug)]
pub struct Batch<S: Resource> {
    /// The input characters.
    pub inputs: Array<u8, S>,
    /// The characters to predict.
    pub targets: Array<u8, S>,
}

impl<S: Resource + Clone> Batch<S> {
    /// Samples `batch` sequences of `context` characters from a range of `tokens`, which must be
    /// long enough.
    pub(crate) fn sample(
        tokens: &[u8],
        range: Range<usize>,
        shape: [usize; 2],
        seed: u64,
        step: S,
    ) -> Result<Self, ArrayError> {
        let [batch, context] = shape;
        let sequences = range.len().saturating_sub(context);
        if sequences == 0 {
            return Err(ArrayError::Index { index: context, bound: range.len() });
        }
        let mut random = Random::new(seed);
        let mut inputs = Array::with_allocator(step.clone()).zeros([batch, context])?;
        let mut targets = Array::with_allocator(step).zeros([batch, context])?;
        let rows = inputs
            .as_mut_slice()
            .chunks_exact_mut(context)
            .zip(targets.as_mut_slice().chunks_exact_mut(context));
        for (input, target) in rows {
            let start = range.start + random.below(sequences);
            let sequence = tokens
                .get(start..start + context + 1)
                .ok_or(ArrayError::Index { index: start + context, bound: tokens.len() })?;
            input.copy_from_slice(&sequence[..context]);
            target.copy_from_slice(&sequence[1..]);
        }
        Ok(Self { inputs, targets })
    }

    /// Returns the number of sequences and the number of characters in each.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        match *self.inputs.shape().dims() {
            [batch, context] => (batch, context),
            _ => (1, self.inputs.len()),
        }
    }
}
