//! The memory needs of a step, computed before it runs.
//!
//! The layers allocate the same arrays in every step, so the peak is a formula. A configuration
//! beyond the address space fails before any allocation.

use super::{Config, ConfigError};

/// The allocations of one step.
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
    /// Peak bytes of live `f32` temporaries, including the batch, if blocks are freed individually.
    pub peak_bytes: usize,
    /// Bytes of all blocks of a step, which is the need of an arena that frees at the end of the
    /// step.
    pub total_bytes: usize,
    /// Number of blocks allocated in a step.
    pub blocks: usize,
    /// Number of matrix products in a step; each allocates a packing buffer from the global
    /// allocator.
    pub products: usize,
}

impl StepEstimate {
    /// Returns the estimate for a configuration and a vocabulary.
    ///
    /// # Errors
    /// [`ConfigError::Vocabulary`] outside 2 to 256, [`ConfigError::Overflow`] if the bytes exceed
    /// the address space.
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
        // The trace of a block: input, normed, statistics, qkv, weights, attention output, middle,
        // normed and statistics again, and the hidden numbers before and after the activation.
        let trace_bytes =
            sum(&[row.checked_mul(8)?, statistics.checked_mul(2)?, weights, hidden.checked_mul(2)?])?;
        // The end of the forward pass: output, normed, statistics, scores, and the gradient of
        // normed.
        let head_state = sum(&[row.checked_mul(3)?, statistics, scores])?;
        // The start of the backward pass: the last block's trace and the gradients of its output
        // and hidden numbers...
        let mlp = sum(&[row, hidden])?;
        // ... or, after the MLP's trace is freed, one square and the gradients into and out of the
        // attention.
        let freed_bytes = sum(&[row.checked_mul(3)?, statistics, hidden.checked_mul(2)?])?;
        let attention = sum(&[row.checked_mul(5)?, square])?.saturating_sub(freed_bytes);
        let traces = trace_bytes.checked_mul(layers)?;
        let peak = traces.checked_add(head_state.max(mlp).max(attention))?;
        let forward = sum(&[trace_bytes, row.checked_mul(2)?])?;
        let backward = sum(&[hidden, row.checked_mul(6)?, square])?;
        let total = sum(&[forward.checked_add(backward)?.checked_mul(layers)?, head_state, row])?;
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
