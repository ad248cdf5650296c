//! How much a step will need, before it is run.
//!
//! Rests on the sizes alone: the layers allocate the same arrays every step, so the peak is a formula, and a configuration
//! that could not be addressed is refused before any memory is asked.

use super::{Config, ConfigError};

/// What one step asks of its resource.
///
/// ```
/// use workloads::char_lm::{Config, StepEstimate};
/// let config = Config::default();
/// let one = StepEstimate::new(&config, 96)?;
/// let two = StepEstimate::new(&Config { batch: 2 * config.batch, ..config }, 96)?;
/// assert!(two.peak_bytes > one.peak_bytes);
/// # Ok::<(), workloads::char_lm::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepEstimate {
    /// The most bytes of `f32` temporaries (and batch) that are live at once, where blocks are freed as they are let go.
    pub peak_bytes: usize,
    /// The bytes of all blocks of a step together: what an arena that frees at the end of the step needs.
    pub total_bytes: usize,
    /// The blocks that a step asks for.
    pub blocks: usize,
    /// The matrix products of a step, each of which takes a packing buffer from the global allocator.
    pub products: usize,
}

impl StepEstimate {
    /// The estimate for a configuration and vocabulary.
    ///
    /// # Errors
    /// [`ConfigError::Vocabulary`] outside 2 to 256, [`ConfigError::Overflow`] where the bytes cannot be addressed.
    pub fn new(config: &Config, vocabulary: usize) -> Result<Self, ConfigError> {
        if !(2..=256).contains(&vocabulary) {
            return Err(ConfigError::Vocabulary { found: vocabulary });
        }
        Self::checked(config, vocabulary).ok_or(ConfigError::Overflow)
    }

    fn checked(config: &Config, vocabulary: usize) -> Option<Self> {
        let Config { layers, width, heads, expansion, context, batch, .. } = *config;
        let tokens = batch.checked_mul(context)?;
        let row = tokens.checked_mul(width)?;
        let hidden = row.checked_mul(expansion)?;
        let square = context.checked_mul(context)?;
        let weights = square.checked_mul(batch)?.checked_mul(heads)?;
        let scores = tokens.checked_mul(vocabulary)?;
        let statistics = tokens.checked_mul(2)?;
        let sum = |parts: &[usize]| parts.iter().try_fold(0_usize, |sum, &part| sum.checked_add(part));
        // Kept of a block: input, normed, statistics, queries with keys and values, weights, mixed, middle, and again
        // normed and statistics, and the hidden numbers before and after activation.
        let kept = sum(&[row.checked_mul(8)?, statistics.checked_mul(2)?, weights, hidden.checked_mul(2)?])?;
        // The end: output, normed, statistics, scores, and the gradient of normed.
        let ending = sum(&[row.checked_mul(3)?, statistics, scores])?;
        // Going back, the last block holds all it kept and the gradients of its output and of the hidden numbers...
        let perceptron = sum(&[row, hidden])?;
        // ... or, with the perceptron's part let go, one square and the gradients into and out of the attention.
        let let_go = sum(&[row.checked_mul(3)?, statistics, hidden.checked_mul(2)?])?;
        let attention = sum(&[row.checked_mul(5)?, square])?.saturating_sub(let_go);
        let traces = kept.checked_mul(layers)?;
        let peak = traces.checked_add(ending.max(perceptron).max(attention))?;
        let forward = sum(&[kept, row.checked_mul(2)?])?;
        let backward = sum(&[hidden, row.checked_mul(6)?, square])?;
        let total = sum(&[forward.checked_add(backward)?.checked_mul(layers)?, ending, row])?;
        let pairs = batch.checked_mul(heads)?;
        let bytes =
            |numbers: usize| numbers.checked_mul(size_of::<f32>())?.checked_add(tokens.checked_mul(2)?);
        Some(Self {
            peak_bytes: bytes(peak)?,
            total_bytes: bytes(total)?,
            blocks: 19_usize.checked_mul(layers)?.checked_add(8)?,
            products: pairs.checked_mul(6)?.checked_add(12)?.checked_mul(layers)?.checked_add(3)?,
        })
    }
}
