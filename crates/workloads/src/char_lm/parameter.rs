//! A parameter: its value, its gradient and the two moments that Adam keeps of it.
//!
//! Rests on [`Array`]. The four live in the *state* resource as long as the model does.

use super::Scalar;
use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError, Random, Shape};

/// Whether Adam takes weight off a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decay {
    /// Matrices.
    Yes,
    /// Gains and embeddings.
    No,
}

/// A parameter and all that is kept of it.
#[derive(Debug)]
pub(crate) struct Parameter<F: Scalar, R: Resource> {
    pub(crate) value: Array<F, R>,
    pub(crate) gradient: Array<F, R>,
    pub(crate) first: Array<F, R>,
    pub(crate) second: Array<F, R>,
    pub(crate) decay: Decay,
}

impl<F: Scalar, R: Resource + Clone> Parameter<F, R> {
    fn new(value: Array<F, R>, decay: Decay) -> Result<Self, ArrayError> {
        let shape = *value.shape();
        let zeros = || Array::with_allocator(value.resource().clone()).zeros(shape);
        let (gradient, first, second) = (zeros()?, zeros()?, zeros()?);
        Ok(Self { value, gradient, first, second, decay })
    }

    /// All ones: the gain of a layer norm.
    pub(crate) fn gain(width: usize, state: R) -> Result<Self, ArrayError> {
        Self::new(Array::with_allocator(state).ones([width])?, Decay::No)
    }

    /// Drawn evenly from a range whose standard deviation is `deviation`.
    pub(crate) fn drawn(
        shape: impl Into<Shape>,
        deviation: f64,
        decay: Decay,
        random: &mut Random,
        state: R,
    ) -> Result<Self, ArrayError> {
        let range = deviation * 12.0_f64.sqrt();
        let draw = |_| F::from_f64((random.unit() - 0.5) * range);
        Self::new(Array::with_allocator(state).from_fn(shape.into(), draw)?, decay)
    }
}
