//! A batch: stretches of text and, for each character of them, the one that follows.
//!
//! Rests on [`Array`] in the *step* resource. Which stretches is a function of the seed and the step alone.

use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError, Random};
use core::ops::Range;

/// Which part of a text stretches are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The first nine tenths (all of it where a tenth is shorter than a stretch).
    Training,
    /// The last tenth (all of it where that is shorter than a stretch).
    Validation,
}

/// Characters and those that follow them, by number: `[batch, context]` each.
#[derive(Debug)]
pub struct Batch<S: Resource> {
    /// The characters that the model sees.
    pub inputs: Array<u8, S>,
    /// The characters that it should say.
    pub targets: Array<u8, S>,
}

impl<S: Resource + Clone> Batch<S> {
    /// Draws `batch` stretches of `context` characters from a range of `tokens`, which the caller made long enough.
    pub(crate) fn draw(
        tokens: &[u8],
        range: Range<usize>,
        shape: [usize; 2],
        seed: u64,
        step: S,
    ) -> Result<Self, ArrayError> {
        let [batch, context] = shape;
        let stretches = range.len().saturating_sub(context);
        if stretches == 0 {
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
            let start = range.start + random.below(stretches);
            let stretch = tokens
                .get(start..start + context + 1)
                .ok_or(ArrayError::Index { index: start + context, bound: tokens.len() })?;
            input.copy_from_slice(&stretch[..context]);
            target.copy_from_slice(&stretch[1..]);
        }
        Ok(Self { inputs, targets })
    }

    /// The numbers of stretches and of characters in each.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        match *self.inputs.shape().dims() {
            [batch, context] => (batch, context),
            _ => (1, self.inputs.len()),
        }
    }
}
