//! The sizes of a model and how it is trained.
//!
//! Rests on nothing. Every size is checked here once, with the numbers in the error, so that the layers need not.

/// Sizes and training settings. `Config::default()` is what the command trains.
///
/// ```
/// use workloads::char_lm::{Config, ConfigError};
/// assert!(Config::default().validate().is_ok());
/// let odd = Config { width: 30, heads: 4, ..Config::default() };
/// assert_eq!(odd.validate(), Err(ConfigError::Heads { width: 30, heads: 4 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Blocks, at most [`Config::MAX_LAYERS`].
    pub layers: usize,
    /// Numbers that stand for one character between the layers.
    pub width: usize,
    /// Attention heads of a block; they divide the width.
    pub heads: usize,
    /// Hidden numbers of the perceptron, in widths.
    pub expansion: usize,
    /// Characters that the model sees at once.
    pub context: usize,
    /// Stretches of text in a step.
    pub batch: usize,
    /// Steps that the learning rate is planned for.
    pub steps: usize,
    /// Steps until the learning rate is at its highest.
    pub warm_up: usize,
    /// The highest learning rate.
    pub learning_rate: f32,
    /// How much of a weight is taken off in a step, per unit of learning rate.
    pub weight_decay: f32,
    /// The largest norm of all gradients together; larger ones are scaled down.
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

/// Why a configuration cannot be trained.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A size that must be at least one is zero.
    #[error("{field} is 0; it must be at least 1")]
    Zero {
        /// The field's name.
        field: &'static str,
    },
    /// The heads do not divide the width.
    #[error("width {width} is not a multiple of {heads} heads")]
    Heads {
        /// The width asked.
        width: usize,
        /// The heads asked.
        heads: usize,
    },
    /// More blocks than a step has room for.
    #[error("{found} layers, and {max} are the most", max = Config::MAX_LAYERS)]
    Layers {
        /// The layers asked.
        found: usize,
    },
    /// More steps than can be noted.
    #[error("{found} steps, and {max} are the most", max = Config::MAX_STEPS)]
    Steps {
        /// The steps asked.
        found: usize,
    },
    /// A number outside its range.
    #[error("{field} is {value}; it must lie in {range}")]
    Range {
        /// The field's name.
        field: &'static str,
        /// The value asked.
        value: f32,
        /// The range in words.
        range: &'static str,
    },
    /// The vocabulary is not one that a byte can number.
    #[error("a vocabulary of {found} characters; from 2 to 256 can be numbered")]
    Vocabulary {
        /// The vocabulary asked.
        found: usize,
    },
    /// A step would need more bytes than can be addressed.
    #[error(
        "a step of this configuration would need more memory than can be addressed; lower batch, context or width"
    )]
    Overflow,
}

impl Config {
    /// The most blocks that a model can have: a step keeps their traces in a place of fixed size.
    pub const MAX_LAYERS: usize = 16;

    /// The most steps: what is noted of each must find room.
    pub const MAX_STEPS: usize = 10_000_000;

    /// The characters in a step.
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
