//! Text generation: one character after another, each sampled from the model's prediction.
//!
//! Each character runs the whole context again; generation is not measured, so it stays simple.

use super::scalar::softmax;
use super::{Model, Scalar};
use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError, Random};

impl<R: Resource, F: Scalar> Model<R, F> {
    /// Samples the character that follows `window`, of which the last
    /// [`context`](super::Config::context) count.
    ///
    /// `temperature` divides the scores: values below 1 favour likely characters, values above 1
    /// unlikely ones, and 0 or less selects the likeliest. An empty window counts as one unknown
    /// character. The temporaries are allocated in `step` and freed on return.
    ///
    /// # Errors
    /// [`ArrayError::Alloc`] if an allocation fails, [`ArrayError::Index`] for a character outside
    /// the vocabulary.
    pub fn next_token<S: Resource + Clone>(
        &self,
        window: &[u8],
        temperature: f32,
        random: &mut Random,
        step: S,
    ) -> Result<u8, ArrayError> {
        let start = window.len().saturating_sub(self.config().context);
        let window = window.get(start..).filter(|window| !window.is_empty()).unwrap_or(&[0]);
        let mut head_state = self.forward(window, (1, window.len()), &step, None, &mut |_| {})?;
        let from = (window.len() - 1) * self.vocabulary();
        let row = head_state.scores.as_mut_slice().get_mut(from..).unwrap_or(&mut []);
        Ok(sample(row, temperature, random))
    }

    /// Returns `prompt` followed by `n` generated characters; allocates in `step`.
    ///
    /// On an arena, memory grows by a forward pass per character until the arena is restored;
    /// [`Model::next_token`] allows a restore between characters.
    ///
    /// # Errors
    /// As [`Model::next_token`]; [`ArrayError::Overflow`] if the length overflows.
    pub fn generate<S: Resource + Clone>(
        &self,
        prompt: &[u8],
        n: usize,
        temperature: f32,
        seed: u64,
        step: S,
    ) -> Result<Array<u8, S>, ArrayError> {
        let mut random = Random::new(seed);
        let length = prompt.len().saturating_add(n);
        let mut text = Array::with_allocator(step.clone()).zeros([length])?;
        for (slot, &token) in text.as_mut_slice().iter_mut().zip(prompt) {
            *slot = token;
        }
        for at in prompt.len()..length {
            let token = self.next_token(&text.as_slice()[..at], temperature, &mut random, step.clone())?;
            text.as_mut_slice()[at] = token;
        }
        Ok(text)
    }
}

/// Samples an index with the probabilities of the softmax of `scores`.
fn sample<F: Scalar>(scores: &mut [F], temperature: f32, random: &mut Random) -> u8 {
    let numbered = |at: usize| u8::try_from(at).unwrap_or(u8::MAX);
    if temperature <= 0.0 || !temperature.is_finite() {
        let best =
            scores.iter().enumerate().fold((0, F::from_f64(f64::NEG_INFINITY)), |best, (at, &score)| {
                if score > best.1 { (at, score) } else { best }
            });
        return numbered(best.0);
    }
    let inverse = F::ONE / F::from_f64(f64::from(temperature));
    for score in scores.iter_mut() {
        *score *= inverse;
    }
    softmax(scores);
    let mut left = F::from_f64(random.next_f64());
    for (at, &weight) in scores.iter().enumerate() {
        if left < weight {
            return numbered(at);
        }
        left -= weight;
    }
    numbered(scores.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_follows_the_weights() {
        let mut random = Random::new(3);
        let mut counts = [0_usize; 3];
        for _ in 0..4000 {
            let mut scores = [0.0_f64, 2.0_f64.ln(), 1.0_f64.ln()];
            counts[usize::from(sample(&mut scores, 1.0, &mut random))] += 1;
        }
        assert!((800..1200).contains(&counts[0]) && (1800..2200).contains(&counts[1]), "{counts:?}");
        assert_eq!(sample(&mut [1.0_f32, 5.0, 2.0], 0.0, &mut random), 1);
    }
}
