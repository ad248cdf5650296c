//! The command line of `arenite train`.

use super::memory::{CacheScratch, Strategy};
use crate::renamed;
use arenite_core::Bytes;
use clap::Args;
use std::convert::Infallible;
use std::path::PathBuf;
use workloads::char_lm::Config;

/// Train a small language model on text under each memory strategy, and compare what it cost
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  arenite train\n  arenite train --text book.txt --steps 300 --json run.json\n  \
arenite train --memory system,arena --batch 72   # a step's temporaries exceed 64 MiB\n\n\
Exit codes: 0 done, 1 failed, 2 invalid input."
)]
pub struct TrainArgs {
    /// Text to train on, UTF-8; `-` reads standard input
    /// [default: arenite's own sources and documents]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Memory strategies to compare
    #[arg(long, value_enum, value_delimiter = ',', default_value = "system,pool,arena")]
    pub memory: Vec<Strategy>,
    /// Training steps under each strategy
    #[arg(long, default_value_t = 500, value_parser = at_least_one)]
    pub steps: usize,
    /// Seed of the weights and of the order of the text
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Sequences in a step
    #[arg(long, default_value_t = Config::default().batch, value_parser = at_least_one)]
    pub batch: usize,
    /// Characters in a sequence
    #[arg(long, default_value_t = Config::default().context, value_parser = at_least_one)]
    pub context: usize,
    /// Layers of the model
    #[arg(long, default_value_t = Config::default().layers, value_parser = at_least_one)]
    pub layers: usize,
    /// Width of the model, a multiple of the heads
    #[arg(long, default_value_t = Config::default().width, value_parser = at_least_one)]
    pub width: usize,
    /// Attention heads of a layer
    #[arg(long, default_value_t = Config::default().heads, value_parser = at_least_one)]
    pub heads: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = Config::default().learning_rate, allow_negative_numbers = true)]
    pub learning_rate: f32,
    /// Memory limit of the model and one training step, such as 64M (64 MiB) [default: no limit]
    #[arg(long, value_name = "BYTES")]
    pub limit: Option<Bytes>,
    /// Strategies that cache the scratch blocks of the matrix library between its calls
    #[arg(long, value_enum, default_value_t = CacheScratch::Auto)]
    pub cache_scratch: CacheScratch,
    #[arg(long = "recycle", hide = true, num_args = 0..=1, default_missing_value = "", value_parser = renamed::refuse("--cache-scratch"))]
    _recycle: Option<Infallible>,
    /// Characters of text that the trained model generates
    #[arg(long, default_value_t = 400)]
    pub sample: usize,
    /// Also write the numbers as JSON to FILE; `-` prints them instead of the text
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// HTML page with the charts
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub report: PathBuf,
    /// Write no HTML page
    #[arg(long, conflicts_with = "report")]
    pub no_report: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}; use a whole number of at least 1")),
    }
}
