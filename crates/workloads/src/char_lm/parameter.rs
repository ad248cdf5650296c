//! A parameter: its value, its gradient and its two Adam moments, all in the *state* resource.

use super::Scalar;
use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError, Random, Shape};

/// The choice of weight decay for a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decay {
    /// Weight decay, for matrices.
    Yes,
    /// No weight decay, for gains and embeddings.
    No,
}

/// A parameter with its gradient and moments.
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

    /// Creates the gain of a layer norm, with all values 1.
    pub(crate) fn gain(width: usize, state: R) -> Result<Self, ArrayError> {
        Self::new(Array::with_allocator(state).ones([width])?, Decay::No)
    }

    /// Creates a parameter with uniformly distributed values of standard deviation `deviation`.
    pub(crate) fn uniform(
        shape: impl Into<Shape>,
        deviation: f64,
        decay: Decay,
        random: &mut Random,
        state: R,
    ) -> Result<Self, ArrayError> {
        let range = deviation * 12.0_f64.sqrt();
        let draw = |_| F::from_f64((random.next_f64() - 0.5) * range);
        Self::new(Array::with_allocator(state).from_fn(shape.into(), draw)?, decay)
    }
}
