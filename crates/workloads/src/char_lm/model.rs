//! The model: embedding, blocks, head; a step forward, back, and the update.
//!
//! Rests on the layers beside it. The parameters live where `new` was told, a step's temporaries where the step is told; a
//! step that fails for want of memory has not touched the parameters, because the update allocates nothing.

use super::adam::{Update, squared_norm};
use super::attention::Heads;
use super::block::{Block, Trace};
use super::layer_norm::Normed;
use super::parameter::{Decay, Parameter};
use super::{Batch, Config, ConfigError, Part, Scalar, Text, embedding, layer_norm, linear, loss};
use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError, Random};
use core::fmt;

/// A part of a step; an observer is called when it has ended, before its temporaries have all gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Characters and positions became rows of numbers.
    Embedding,
    /// The block of this number has run forward.
    Forward(usize),
    /// The scores and the loss are there.
    Loss,
    /// The head has run backward.
    Head,
    /// The block of this number has run backward.
    Backward(usize),
    /// The parameters have moved; all temporaries but the batch have gone.
    Update,
}

/// Why a model could not be made.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The configuration cannot be trained.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The memory was refused.
    #[error(transparent)]
    Array(#[from] ArrayError),
}

/// A character model of numbers `F` whose parameters live in `R`. Single-threaded, deterministic to the bit.
///
/// See the [module's example](super).
pub struct Model<R: Resource, F: Scalar = f32> {
    config: Config,
    seed: u64,
    steps_done: usize,
    characters: Parameter<F, R>,
    positions: Parameter<F, R>,
    blocks: Vec<Block<F, R>>,
    norm: Parameter<F, R>,
    head: Parameter<F, R>,
}

/// The end of a forward pass: scores, and what the head's backward pass needs.
pub(crate) struct Ending<F: Scalar, S: Resource> {
    output: Array<F, S>,
    normed: Normed<F, S>,
    pub(crate) scores: Array<F, S>,
}

/// The traces of all blocks, in a place of fixed size.
type Traces<F, S> = [Option<Trace<F, S>>; Config::MAX_LAYERS];

impl<R: Resource + Clone, F: Scalar> Model<R, F> {
    /// A model of `vocabulary` characters, its parameters drawn from `seed`, living in `state`.
    ///
    /// # Errors
    /// [`ModelError::Config`] where the configuration cannot be trained, [`ModelError::Array`] where memory is refused.
    pub fn new(config: Config, vocabulary: usize, seed: u64, state: R) -> Result<Self, ModelError> {
        config.validate()?;
        super::StepEstimate::new(&config, vocabulary)?;
        let hidden = config.width.checked_mul(config.expansion).ok_or(ConfigError::Overflow)?;
        let width = config.width;
        let random = &mut Random::new(seed);
        let characters = Parameter::drawn([vocabulary, width], 0.5, Decay::No, random, state.clone())?;
        let positions = Parameter::drawn([config.context, width], 0.1, Decay::No, random, state.clone())?;
        let mut blocks = Vec::with_capacity(config.layers);
        for _ in 0..config.layers {
            blocks.push(Block::new(&config, hidden, random, &state)?);
        }
        let norm = Parameter::gain(width, state.clone())?;
        let head = Parameter::drawn([width, vocabulary], 0.02, Decay::Yes, random, state)?;
        Ok(Self { config, seed, steps_done: 0, characters, positions, blocks, norm, head })
    }
}

impl<R: Resource, F: Scalar> Model<R, F> {
    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The steps that have moved the parameters.
    #[must_use]
    pub const fn steps_done(&self) -> usize {
        self.steps_done
    }

    /// The number of characters that are told apart.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.head.value.len() / self.config.width
    }

    /// The number of parameters; gradients and moments are three times as many again.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.parameters().map(|parameter| parameter.value.len()).sum()
    }

    /// The bytes of parameters, gradients and moments.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        4 * self.parameters().map(|parameter| parameter.value.memory_usage()).sum::<usize>()
    }

    /// Every value of every parameter, in a fixed order.
    pub fn values(&self) -> impl Iterator<Item = F> + '_ {
        self.parameters().flat_map(|parameter| parameter.value.as_slice().iter().copied())
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = &Parameter<F, R>> {
        let blocks = self.blocks.iter().flat_map(Block::parameters);
        [&self.characters, &self.positions].into_iter().chain(blocks).chain([&self.norm, &self.head])
    }

    pub(crate) fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Parameter<F, R>> {
        let blocks = self.blocks.iter_mut().flat_map(Block::parameters_mut);
        [&mut self.characters, &mut self.positions]
            .into_iter()
            .chain(blocks)
            .chain([&mut self.norm, &mut self.head])
    }

    /// Draws the next batch of `text` in `step` and takes a step on it; returns the loss in nats a character.
    ///
    /// # Errors
    /// As [`Model::step`].
    pub fn train_step<S: Resource + Clone>(&mut self, text: &Text, step: S) -> Result<F, ArrayError> {
        self.train_step_observed(text, step, |_| {})
    }

    /// As [`Model::train_step`], telling `observe` of each phase that has ended.
    ///
    /// # Errors
    /// As [`Model::step`].
    pub fn train_step_observed<S: Resource + Clone>(
        &mut self,
        text: &Text,
        step: S,
        observe: impl FnMut(Phase),
    ) -> Result<F, ArrayError> {
        let seed = Random::new(self.seed ^ (self.steps_done as u64) << 20).next_u64();
        let batch = text.batch(&self.config, Part::Training, seed, step.clone())?;
        self.step_observed(&batch, step, observe)
    }

    /// One step on a batch, its temporaries in `step`; returns the loss in nats a character before the step.
    ///
    /// Gradients that are not finite leave the parameters as they were.
    ///
    /// # Errors
    /// [`ArrayError::Alloc`] where memory is refused, [`ArrayError::Index`] where a character is not in the vocabulary or a
    /// stretch is longer than the context. All temporaries have then gone, and the parameters are as they were.
    pub fn step<S: Resource + Clone>(&mut self, batch: &Batch<S>, step: S) -> Result<F, ArrayError> {
        self.step_observed(batch, step, |_| {})
    }

    /// As [`Model::step`], telling `observe` of each phase that has ended.
    ///
    /// # Errors
    /// As [`Model::step`].
    pub fn step_observed<S: Resource + Clone>(
        &mut self,
        batch: &Batch<S>,
        step: S,
        mut observe: impl FnMut(Phase),
    ) -> Result<F, ArrayError> {
        let loss = self.gradients(batch, &step, &mut observe)?;
        let squared = self.parameters().map(squared_norm).fold(F::ZERO, |sum, part| sum + part);
        if let Some(update) = Update::new(&self.config, self.steps_done, squared) {
            for parameter in self.parameters_mut() {
                update.apply(parameter);
            }
            self.steps_done += 1;
        }
        observe(Phase::Update);
        Ok(loss)
    }

    /// The loss of a batch without a step.
    ///
    /// # Errors
    /// As [`Model::step`].
    pub fn evaluate<S: Resource + Clone>(&self, batch: &Batch<S>, step: S) -> Result<F, ArrayError> {
        let mut ending = self.forward(batch.inputs.as_slice(), batch.sizes(), &step, None, &mut |_| {})?;
        loss::cross_entropy(&mut ending.scores, batch.targets.as_slice())
    }

    /// The loss; writes the gradient of every parameter.
    pub(crate) fn gradients<S: Resource + Clone>(
        &mut self,
        batch: &Batch<S>,
        step: &S,
        observe: &mut impl FnMut(Phase),
    ) -> Result<F, ArrayError> {
        let (inputs, sizes) = (batch.inputs.as_slice(), batch.sizes());
        let mut traces: Traces<F, S> = core::array::from_fn(|_| None);
        let mut ending = self.forward(inputs, sizes, step, Some(&mut traces), observe)?;
        let loss = loss::cross_entropy(&mut ending.scores, batch.targets.as_slice())?;
        observe(Phase::Loss);
        let mut gradient = self.head_backward(ending, step)?;
        observe(Phase::Head);
        let heads = Heads::new(&self.config, sizes.0, sizes.1);
        for (number, block) in self.blocks.iter_mut().enumerate().rev() {
            if let Some(trace) = traces.get_mut(number).and_then(Option::take) {
                block.backward(heads, trace, &mut gradient, step)?;
            }
            observe(Phase::Backward(number));
        }
        embedding::backward(inputs, sizes.1, &gradient, &mut self.characters, &mut self.positions);
        Ok(loss)
    }

    /// The scores of every next character of `tokens`; the blocks' traces are kept where there is a place for them.
    pub(crate) fn forward<S: Resource + Clone>(
        &self,
        tokens: &[u8],
        (stretches, context): (usize, usize),
        step: &S,
        mut traces: Option<&mut Traces<F, S>>,
        observe: &mut impl FnMut(Phase),
    ) -> Result<Ending<F, S>, ArrayError> {
        let heads = Heads::new(&self.config, stretches, context);
        let mut rows = embedding::forward(tokens, context, &self.characters, &self.positions, step.clone())?;
        observe(Phase::Embedding);
        for (number, block) in self.blocks.iter().enumerate() {
            let (output, trace) = block.forward(heads, rows, step)?;
            rows = output;
            if let Some(place) = traces.as_deref_mut().and_then(|traces| traces.get_mut(number)) {
                *place = Some(trace);
            }
            observe(Phase::Forward(number));
        }
        let normed = layer_norm::forward(&rows, &self.norm, step.clone())?;
        let scores = linear::forward(&normed.rows, &self.head, step.clone())?;
        Ok(Ending { output: rows, normed, scores })
    }

    /// Writes the gradients of the head and the last norm; returns that of the last block's output.
    fn head_backward<S: Resource + Clone>(
        &mut self,
        ending: Ending<F, S>,
        step: &S,
    ) -> Result<Array<F, S>, ArrayError> {
        let Ending { output, normed: Normed { rows: normed, statistics }, scores } = ending;
        let mut dnormed = linear::backward(&normed, &scores, &mut self.head, step.clone())?;
        drop((scores, normed));
        let mut gradient = Array::with_allocator(step.clone()).zeros(output.shape())?;
        layer_norm::backward(&output, &statistics, &mut dnormed, &mut self.norm, &mut gradient);
        Ok(gradient)
    }
}

impl<R: Resource, F: Scalar> fmt::Debug for Model<R, F> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Model")
            .field("config", &self.config)
            .field("vocabulary", &self.vocabulary())
            .field("steps_done", &self.steps_done)
            .finish_non_exhaustive()
    }
}
