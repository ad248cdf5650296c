//! The messages between the coordinator and its workers, one line of JSON each.
//!
//! The first line to a worker is a [`Spec`], and each later one a [`Request`]. Each line from a
//! worker is a [`Response`].

use super::memory::{CacheScratch, Strategy};
use crate::report::StrategyReport;
use serde::{Deserialize, Serialize};

/// The model, the text and the limits of a training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Spec {
    /// The text, or `None` for the embedded corpus.
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
    /// Memory limit in bytes.
    pub limit: Option<usize>,
    /// Characters that the trained model generates.
    pub sample: usize,
    pub cache_scratch: CacheScratch,
}

/// A request to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Request {
    /// Create the model under this strategy; the first request.
    Start(Strategy),
    /// Train so many steps.
    Steps(usize),
    /// Return the report, and with `true` a sample of text.
    Finish(bool),
}

/// The response of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Response {
    /// The model is created.
    Ready { parameters: usize, vocabulary: usize },
    /// The steps are done: the last loss, and the bytes in use.
    Stepped { loss: f32, in_use_bytes: usize },
    /// The report.
    Finished { report: Box<StrategyReport>, prompt: String, sample: String },
    /// The request failed.
    Failed(String),
}

/// The results of all workers.
#[derive(Clone, Debug, Default)]
pub(super) struct Trained {
    pub strategies: Vec<StrategyReport>,
    pub parameters: usize,
    pub vocabulary: usize,
    pub prompt: String,
    pub sample: String,
}
