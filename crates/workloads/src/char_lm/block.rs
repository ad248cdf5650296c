//! A transformer block: layer norm and attention, layer norm and MLP, each with a residual
//! connection.
//!
//! The forward pass returns a trace for the backward pass, which frees the trace part by part.
//! Memory therefore falls layer by layer as it rose.

use super::attention::{self, AttentionOut, Heads};
use super::layer_norm::Normed;
use super::parameter::{Decay, Parameter};
use super::{Config, Scalar, layer_norm, linear, mlp};
use arenite_core::Resource;
use arenite_tensor::{Array, ArrayError, Random};

/// The parameters of one block.
#[derive(Debug)]
pub(crate) struct Block<F: Scalar, R: Resource> {
    attention_norm: Parameter<F, R>,
    qkv: Parameter<F, R>,
    projection: Parameter<F, R>,
    mlp_norm: Parameter<F, R>,
    up: Parameter<F, R>,
    down: Parameter<F, R>,
}

/// The intermediate results that the backward pass of a block needs.
#[derive(Debug)]
pub(crate) struct Trace<F: Scalar, S: Resource> {
    input: Array<F, S>,
    attention: AttentionTrace<F, S>,
    middle: Array<F, S>,
    mlp: MlpTrace<F, S>,
}

#[derive(Debug)]
struct AttentionTrace<F: Scalar, S: Resource> {
    normed: Normed<F, S>,
    qkv: Array<F, S>,
    mixed: AttentionOut<F, S>,
}

#[derive(Debug)]
struct MlpTrace<F: Scalar, S: Resource> {
    normed: Normed<F, S>,
    hidden: Array<F, S>,
    active: Array<F, S>,
}

/// The output of a block and its trace.
type BlockOutput<F, S> = (Array<F, S>, Trace<F, S>);

impl<F: Scalar, R: Resource + Clone> Block<F, R> {
    pub(crate) fn new(
        config: &Config,
        hidden: usize,
        random: &mut Random,
        state: &R,
    ) -> Result<Self, ArrayError> {
        let width = config.width;
        let spread = 1.0 / (width as f64).sqrt();
        let residual = 1.0 / (2.0 * config.layers as f64).sqrt();
        let mut uniform = |rows: usize, cols: usize, deviation: f64| {
            Parameter::uniform([rows, cols], deviation, Decay::Yes, random, state.clone())
        };
        Ok(Self {
            qkv: uniform(width, 3 * width, spread)?,
            projection: uniform(width, width, spread * residual)?,
            up: uniform(width, hidden, spread)?,
            down: uniform(hidden, width, residual / (hidden as f64).sqrt())?,
            attention_norm: Parameter::gain(width, state.clone())?,
            mlp_norm: Parameter::gain(width, state.clone())?,
        })
    }
}

impl<F: Scalar, R: Resource> Block<F, R> {
    pub(crate) fn parameters(&self) -> [&Parameter<F, R>; 6] {
        [&self.attention_norm, &self.qkv, &self.projection, &self.mlp_norm, &self.up, &self.down]
    }

    pub(crate) fn parameters_mut(&mut self) -> [&mut Parameter<F, R>; 6] {
        [
            &mut self.attention_norm,
            &mut self.qkv,
            &mut self.projection,
            &mut self.mlp_norm,
            &mut self.up,
            &mut self.down,
        ]
    }

    /// Returns the block's output and its trace.
    pub(crate) fn forward<S: Resource + Clone>(
        &self,
        sizes: Heads,
        input: Array<F, S>,
        step: &S,
    ) -> Result<BlockOutput<F, S>, ArrayError> {
        let normed = layer_norm::forward(&input, &self.attention_norm, step.clone())?;
        let qkv = linear::forward(&normed.rows, &self.qkv, step.clone())?;
        let mixed = attention::forward(sizes, &qkv, step.clone())?;
        let middle = input.add(&linear::forward(&mixed.rows, &self.projection, step.clone())?)?;
        let attention = AttentionTrace { normed, qkv, mixed };

        let normed = layer_norm::forward(&middle, &self.mlp_norm, step.clone())?;
        let hidden = linear::forward(&normed.rows, &self.up, step.clone())?;
        let active = mlp::forward(&hidden, step.clone())?;
        let output = middle.add(&linear::forward(&active, &self.down, step.clone())?)?;
        let mlp = MlpTrace { normed, hidden, active };
        Ok((output, Trace { input, attention, middle, mlp }))
    }

    /// Writes the gradients of the parameters and replaces the gradient of the output by that of
    /// the input.
    pub(crate) fn backward<S: Resource + Clone>(
        &mut self,
        sizes: Heads,
        trace: Trace<F, S>,
        gradient: &mut Array<F, S>,
        step: &S,
    ) -> Result<(), ArrayError> {
        let Trace { input, attention, middle, mlp } = trace;
        let MlpTrace { normed: Normed { rows: normed, statistics }, hidden, active } = mlp;
        let mut dhidden = linear::backward(&active, gradient, &mut self.down, step.clone())?;
        drop(active);
        mlp::backward(&hidden, &mut dhidden);
        drop(hidden);
        let mut dnormed = linear::backward(&normed, &dhidden, &mut self.up, step.clone())?;
        drop((normed, dhidden));
        layer_norm::backward(&middle, &statistics, &mut dnormed, &mut self.mlp_norm, gradient);
        drop((middle, statistics, dnormed));

        let AttentionTrace { normed: Normed { rows: normed, statistics }, qkv, mixed } = attention;
        let AttentionOut { rows: mixed, weights } = mixed;
        let dmixed = linear::backward(&mixed, gradient, &mut self.projection, step.clone())?;
        drop(mixed);
        let dqkv = attention::backward(sizes, &qkv, &weights, &dmixed, step.clone())?;
        drop((qkv, weights, dmixed));
        let mut dnormed = linear::backward(&normed, &dqkv, &mut self.qkv, step.clone())?;
        drop((normed, dqkv));
        layer_norm::backward(&input, &statistics, &mut dnormed, &mut self.attention_norm, gradient);
        Ok(())
    }
}
