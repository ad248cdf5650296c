//! A language model of characters: a small decoder-only transformer, trained on one CPU thread.
//!
//! Every parameter, gradient, moment, activation and temporary is an
//! [`Array`](arenite_tensor::Array), and two handles choose its memory: *state* for the lifetime
//! of the model, *step* for one step. The only other allocation in a step is the packing buffer of
//! each matrix product.
//!
//! A character takes this path:
//!
//! - [`Text`]: characters to ids; [`Batch`]: sequences of ids.
//! - [`Model`], with the sizes of a [`Config`]: embedding, blocks (layer norm, attention, MLP),
//!   head, loss.
//! - The hand-written backward pass goes the same way back; Adam updates the parameters.
//!
//! ```
//! use workloads::char_lm::{Config, Model, Text};
//! let text = Text::new("to be or not to be, that is the question. ".repeat(20).as_bytes(), 16)?;
//! let config =
//!     Config { width: 16, heads: 2, context: 16, batch: 4, steps: 30, ..Config::default() };
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
mod mlp;
mod model;
mod parameter;
mod scalar;
mod text;

pub use adam::Schedule;
pub use batch::{Batch, Split};
pub use config::{Config, ConfigError};
pub use corpus::CORPUS;
pub use estimate::StepEstimate;
pub use model::{Model, ModelError, Phase};
pub use scalar::Scalar;
pub use text::{Text, TextError};
