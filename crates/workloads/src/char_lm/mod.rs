//! A language model of characters: a small decoder-only transformer, trained on the processor with one thread.
//!
//! Rests on [`Array`](arenite_tensor::Array): every parameter, gradient, moment, activation and temporary lives in one, and
//! two handles say where. *state* is for what lives as long as the model, *step* for what lives one step. Nothing else in a
//! step allocates, except the packing buffer that each matrix product takes for as long as it runs.
//!
//! In the order in which a character passes: [`Text`] gives it a number; a [`Batch`] of them goes into a [`Model`] of the
//! sizes in a [`Config`], through embedding, blocks (layer norm, attention, mlp) and head to the loss; the backward
//! pass, written by hand, goes the same way back; Adam moves the parameters.
//!
//! ```
//! use workloads::char_lm::{Config, Model, Text};
//! let text = Text::new("to be or not to be, that is the question. ".repeat(20).as_bytes(), 16)?;
//! let config = Config { width: 16, heads: 2, context: 16, batch: 4, steps: 30, ..Config::default() };
//! let mut model = Model::<_>::new(config, text.vocabulary(), 1, arenite_alloc::Global)?;
//! let first = model.train_step(&text, arenite_alloc::Global)?;
//! let mut last = first;
//! for _ in 1..config.steps {
//!     last = model.train_step(&text, arenite_alloc::Global)?;
//! }
//! assert!(last < first);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adam;
mod attention;
mod batch;
mod block;
mod config;
mod corpus;
mod embedding;
mod estimate;
mod generate;
#[cfg(test)]
mod gradient_tests;
mod layer_norm;
mod linear;
mod loss;
mod model;
mod parameter;
mod mlp;
mod scalar;
mod text;

pub use adam::Schedule;
pub use batch::{Batch, Part};
pub use config::{Config, ConfigError};
pub use corpus::CORPUS;
pub use estimate::StepEstimate;
pub use model::{Model, ModelError, Phase};
pub use scalar::Scalar;
pub use text::{Text, TextError};
