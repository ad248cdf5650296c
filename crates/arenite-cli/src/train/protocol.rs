//! What the conductor and its workers say to each other: a line of JSON at a time.
//!
//! Rests on `serde`. The first line a worker gets is a [`Spec`], each later one an [`Order`]; each line it says is an
//! [`Answer`].

use super::memory::{Recycle, Strategy};
use crate::report::StrategyReport;
use serde::{Deserialize, Serialize};

/// What a worker is to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Spec {
    /// The text; `None` is the embedded one.
    pub text: Option<String>,
    pub layers: usize,
    pub width: usize,
    pub heads: usize,
    pub context: usize,
    pub batch: usize,
    pub steps: usize,
    pub warm_up: usize,
    pub learning_rate: f32,
    pub seed: u64,
    /// The most bytes in use.
    pub limit: Option<usize>,
    /// Characters that the trained model writes.
    pub sample: usize,
    /// Whose libraries' scratch blocks are kept.
    pub recycle: Recycle,
}

/// What a worker is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Order {
    /// Train with this memory; the first order.
    Begin(Strategy),
    /// So many steps more.
    Steps(usize),
    /// Tell the numbers, and with `true` write a sample.
    Finish(bool),
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The model is made.
    Ready { parameters: usize, vocabulary: usize },
    /// The steps are done: the last loss, and bytes in use.
    Stepped { loss: f32, in_use: usize },
    /// The numbers.
    Finished { report: Box<StrategyReport>, prompt: String, sample: String },
    /// It could not be done.
    Failed(String),
}

/// What all workers together found.
#[derive(Clone, Debug, Default)]
pub(super) struct Trained {
    pub strategies: Vec<StrategyReport>,
    pub parameters: usize,
    pub vocabulary: usize,
    pub prompt: String,
    pub sample: String,
}
