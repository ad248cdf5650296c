//! The model: embedding, blocks, head; a step runs forward, backward and the update.
//!
//! The parameters are allocated in the resource of `new`, the temporaries in the resource of the
//! step. A step that runs out of memory leaves the parameters unchanged, because the update
//! allocates nothing.

use super::adam::{Update, squared_norm};
use super::attention::Heads;
use super::block::{Block, Trace};
use super::layer_norm::Normed;
use super::parameter::{Decay, Parameter};
use super::{Batch, Config, ConfigError, Scalar, Split, Text, embedding, layer_norm, linear, loss};
use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError, Random};
use core::fmt;

/// A phase of a step; the observer is called at its end, before all of its temporaries are freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The embedding is computed.
    Embedding,
    /// The forward pass of the block with this index is done.
    Forward(usize),
    /// The scores and the loss are computed.
    Loss,
    /// The backward pass of the head is done.
    Head,
    /// The backward pass of the block with this index is done.
    Backward(usize),
    /// The parameters are updated, and all temporaries except the batch are freed.
    Update,
}

/// The reason why a model could not be created.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The configuration cannot be trained.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An allocation failed.
    #[error(transparent)]
    Array(#[from] ArrayError),
}

/// A character model of numbers `F` with its parameters in `R`; single-threaded and
/// bit-reproducible.
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

/// The scores, and the intermediate results for the head's backward pass.
pub(crate) struct HeadState<F: Scalar, S: Resource> {
    output: Array<F, S>,
    normed: Normed<F, S>,
    pub(crate) scores: Array<F, S>,
}

/// The traces of all blocks, in an array of fixed length.
type Traces<F, S> = [Option<Trace<F, S>>; Config::MAX_LAYERS];

impl<R: Resource + Clone, F: Scalar> Model<R, F> {
    /// Creates a model of `vocabulary` characters in `state`, with parameters drawn from `seed`.
    ///
    /// # Errors
    /// [`ModelError::Config`] if the configuration cannot be trained, [`ModelError::Array`] if an
    /// allocation fails.
    pub fn new(config: Config, vocabulary: usize, seed: u64, state: R) -> Result<Self, ModelError> {
        config.validate()?;
        super::StepEstimate::new(&config, vocabulary)?;
        let hidden = config.width.checked_mul(config.expansion).ok_or(ConfigError::Overflow)?;
        let width = config.width;
        let random = &mut Random::new(seed);
        let characters = Parameter::uniform([vocabulary, width], 0.5, Decay::No, random, state.clone())?;
        let positions = Parameter::uniform([config.context, width], 0.1, Decay::No, random, state.clone())?;
        let mut blocks = Vec::with_capacity(config.layers);
        for _ in 0..config.layers {
            blocks.push(Block::new(&config, hidden, random, &state)?);
        }
        let norm = Parameter::gain(width, state.clone())?;
        let head = Parameter::uniform([width, vocabulary], 0.02, Decay::Yes, random, state)?;
        Ok(Self { config, seed, steps_done: 0, characters, positions, blocks, norm, head })
    }
}

impl<R: Resource, F: Scalar> Model<R, F> {
    /// Returns the configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the number of steps that updated the parameters.
    #[must_use]
    pub const fn steps_done(&self) -> usize {
        self.steps_done
    }

    /// Returns the number of characters in the vocabulary.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.head.value.len() / self.config.width
    }

    /// Returns the number of parameters, without their gradients and moments.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.parameters().map(|parameter| parameter.value.len()).sum()
    }

    /// Returns the bytes of parameters, gradients and moments.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        4 * self.parameters().map(|parameter| parameter.value.memory_usage()).sum::<usize>()
    }

    /// Returns every value of every parameter, in a fixed order.
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

    /// Samples the next batch of `text` in `step` and trains on it. Returns the loss in nats per
    /// character.
    ///
    /// # Errors
    /// As [`Model::step`].
    pub fn train_step<S: Resource + Clone>(&mut self, text: &Text, step: S) -> Result<F, ArrayError> {
        self.train_step_observed(text, step, |_| {})
    }

    /// Runs [`Model::train_step`] and calls `observe` at the end of each phase.
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
        let batch = text.batch(&self.config, Split::Training, seed, step.clone())?;
        self.step_observed(&batch, step, observe)
    }

    /// Trains on a batch, with temporaries in `step`. Returns the loss before the update, in nats
    /// per character.
    ///
    /// Gradients that are not finite leave the parameters unchanged.
    ///
    /// # Errors
    /// [`ArrayError::Alloc`] if an allocation fails. [`ArrayError::Index`] if a character is not in
    /// the vocabulary or a sequence is longer than the context. All temporaries are then freed, and
    /// the parameters are unchanged.
    pub fn step<S: Resource + Clone>(&mut self, batch: &Batch<S>, step: S) -> Result<F, ArrayError> {
        self.step_observed(batch, step, |_| {})
    }

    /// Runs [`Model::step`] and calls `observe` at the end of each phase.
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

    /// Returns the loss of a batch without an update.
    ///
    /// # Errors
    /// As [`Model::step`].
    pub fn evaluate<S: Resource + Clone>(&self, batch: &Batch<S>, step: S) -> Result<F, ArrayError> {
        let mut head_state =
            self.forward(batch.inputs.as_slice(), batch.sizes(), &step, None, &mut |_| {})?;
        loss::cross_entropy(&mut head_state.scores, batch.targets.as_slice())
    }

    /// Writes the gradient of every parameter and returns the loss.
    pub(crate) fn gradients<S: Resource + Clone>(
        &mut self,
        batch: &Batch<S>,
        step: &S,
        observe: &mut impl FnMut(Phase),
    ) -> Result<F, ArrayError> {
        let (inputs, sizes) = (batch.inputs.as_slice(), batch.sizes());
        let mut traces: Traces<F, S> = core::array::from_fn(|_| None);
        let mut head_state = self.forward(inputs, sizes, step, Some(&mut traces), observe)?;
        let loss = loss::cross_entropy(&mut head_state.scores, batch.targets.as_slice())?;
        observe(Phase::Loss);
        let mut gradient = self.head_backward(head_state, step)?;
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

    /// Returns the scores of the next characters; stores the blocks' traces in `traces`, if given.
    pub(crate) fn forward<S: Resource + Clone>(
        &self,
        tokens: &[u8],
        (sequences, context): (usize, usize),
        step: &S,
        mut traces: Option<&mut Traces<F, S>>,
        observe: &mut impl FnMut(Phase),
    ) -> Result<HeadState<F, S>, ArrayError> {
        let heads = Heads::new(&self.config, sequences, context);
        let mut rows = embedding::forward(tokens, context, &self.characters, &self.positions, step.clone())?;
        observe(Phase::Embedding);
        for (number, block) in self.blocks.iter().enumerate() {
            let (output, trace) = block.forward(heads, rows, step)?;
            rows = output;
            if let Some(slot) = traces.as_deref_mut().and_then(|traces| traces.get_mut(number)) {
                *slot = Some(trace);
            }
            observe(Phase::Forward(number));
        }
        let normed = layer_norm::forward(&rows, &self.norm, step.clone())?;
        let scores = linear::forward(&normed.rows, &self.head, step.clone())?;
        Ok(HeadState { output: rows, normed, scores })
    }

    /// Writes the gradients of the head and the last norm; returns that of the last block's output.
    fn head_backward<S: Resource + Clone>(
        &mut self,
        head_state: HeadState<F, S>,
        step: &S,
    ) -> Result<Array<F, S>, ArrayError> {
        let HeadState { output, normed: Normed { rows: normed, statistics }, scores } = head_state;
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
