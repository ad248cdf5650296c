//! The sizes of a model and its training settings.
//!
//! Every size is checked once, here, so that the layers need no checks.

/// Sizes and training settings; the command trains `Config::default()`.
///
/// ```
/// use workloads::char_lm::{Config, ConfigError};
/// assert!(Config::default().validate().is_ok());
/// let odd = Config { width: 30, heads: 4, ..Config::default() };
/// assert_eq!(odd.validate(), Err(ConfigError::Heads { width: 30, heads: 4 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Number of blocks, at most [`Config::MAX_LAYERS`].
    pub layers: usize,
    /// Numbers per character between the layers.
    pub width: usize,
    /// Attention heads per block; must divide the width.
    pub heads: usize,
    /// Hidden size of the MLP, in multiples of the width.
    pub expansion: usize,
    /// Characters per sequence.
    pub context: usize,
    /// Sequences per step.
    pub batch: usize,
    /// Number of steps in the learning-rate schedule.
    pub steps: usize,
    /// Number of warm-up steps.
    pub warm_up: usize,
    /// Maximum learning rate.
    pub learning_rate: f32,
    /// Fraction of a weight removed per step and unit of learning rate.
    pub weight_decay: f32,
    /// Maximum norm of all gradients; larger gradients are scaled down.
    pub clip: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            layers: 2,
            width: 96,
            heads: 4,
            expansion: 4,
            context: 64,
            batch: 16,
            steps: 500,
            warm_up: 20,
            learning_rate: 8e-3,
            weight_decay: 0.05,
            clip: 1.0,
        }
    }
}

/// The reason why a configuration cannot be trained.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A size is zero.
    #[error("{field} is 0; it must be at least 1")]
    Zero {
        /// Name of the field.
        field: &'static str,
    },
    /// The width is not a multiple of the heads.
    #[error("width {width} is not a multiple of {heads} heads")]
    Heads {
        /// The requested width.
        width: usize,
        /// The requested heads.
        heads: usize,
    },
    /// More blocks than a step can store traces for.
    #[error("{found} layers requested; the maximum is {max}", max = Config::MAX_LAYERS)]
    Layers {
        /// The requested layers.
        found: usize,
    },
    /// More steps than can be recorded.
    #[error("{found} steps requested; the maximum is {max}", max = Config::MAX_STEPS)]
    Steps {
        /// The requested steps.
        found: usize,
    },
    /// A number is outside its range.
    #[error("{field} is {value}; it must be in {range}")]
    Range {
        /// Name of the field.
        field: &'static str,
        /// The requested value.
        value: f32,
        /// The allowed range as text.
        range: &'static str,
    },
    /// A byte cannot represent this vocabulary.
    #[error("a vocabulary of {found} characters is not supported; use 2 to 256")]
    Vocabulary {
        /// The requested vocabulary.
        found: usize,
    },
    /// A step needs more bytes than the address space has.
    #[error(
        "a step of this configuration would need more memory than can be addressed; lower batch, context or width"
    )]
    Overflow,
}

impl Config {
    /// Maximum number of blocks: a step stores their traces in an array of this length.
    pub const MAX_LAYERS: usize = 16;

    /// Maximum number of steps, so that a record of each fits in memory.
    pub const MAX_STEPS: usize = 10_000_000;

    /// Returns the characters per step.
    ///
    /// # Errors
    /// [`ConfigError::Overflow`].
    pub fn tokens(&self) -> Result<usize, ConfigError> {
        self.batch.checked_mul(self.context).ok_or(ConfigError::Overflow)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// The first [`ConfigError`] found.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (field, value) in [
            ("layers", self.layers),
            ("width", self.width),
            ("heads", self.heads),
            ("expansion", self.expansion),
            ("context", self.context),
            ("batch", self.batch),
            ("steps", self.steps),
        ] {
            if value == 0 {
                return Err(ConfigError::Zero { field });
            }
        }
        if self.steps > Self::MAX_STEPS {
            return Err(ConfigError::Steps { found: self.steps });
        }
        if self.layers > Self::MAX_LAYERS {
            return Err(ConfigError::Layers { found: self.layers });
        }
        if !self.width.is_multiple_of(self.heads) {
            return Err(ConfigError::Heads { width: self.width, heads: self.heads });
        }
        self.validate_numbers()?;
        self.tokens().map(|_| ())
    }

    fn validate_numbers(&self) -> Result<(), ConfigError> {
        let positive = |value: f32| value.is_finite() && value > 0.0;
        for (field, value, valid, range) in [
            (
                "learning_rate",
                self.learning_rate,
                positive(self.learning_rate),
                "0 (excluded) to infinity (excluded)",
            ),
            ("clip", self.clip, positive(self.clip), "0 (excluded) to infinity (excluded)"),
            ("weight_decay", self.weight_decay, (0.0..=1.0).contains(&self.weight_decay), "0 to 1"),
        ] {
            if !valid {
                return Err(ConfigError::Range { field, value, range });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_checked() {
        let good = Config::default();
        assert_eq!(Config { batch: 0, ..good }.validate(), Err(ConfigError::Zero { field: "batch" }));
        assert_eq!(Config { layers: 17, ..good }.validate(), Err(ConfigError::Layers { found: 17 }));
        assert!(matches!(Config { steps: usize::MAX, ..good }.validate(), Err(ConfigError::Steps { .. })));
        assert_eq!(Config { batch: usize::MAX, ..good }.validate(), Err(ConfigError::Overflow));
        for rate in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            let error = Config { learning_rate: rate, ..good }.validate().unwrap_err();
            assert!(matches!(error, ConfigError::Range { field: "learning_rate", .. }), "{error}");
        }
        assert!(Config { weight_decay: 2.0, ..good }.validate().is_err());
    }
}
