//! The errors of `arenite train`.

use super::memory::Strategy;
use arenite_core::Bytes;
use std::io;
use std::path::PathBuf;
use thiserror::Error;
use workloads::char_lm::{ConfigError, TextError};

/// The error of `arenite train`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The text cannot be read.
    #[error("cannot read the text {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The text cannot be trained on.
    #[error("cannot train on {name}")]
    Text {
        /// The file, or `standard input`.
        name: String,
        /// The reason.
        source: TextError,
    },
    /// The sizes do not describe a model.
    #[error("cannot build this model")]
    Config(#[from] ConfigError),
    /// The text is larger than the limit.
    #[error("the text {} is larger than {}; use a part of it", path.display(), limit)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The maximum size.
        limit: Bytes,
    },
    /// Two of the text, the page and the JSON file are the same file.
    #[error("{} is both {first} and {second}: writing one would destroy the other; use another file", path.display())]
    SameFile {
        /// The file.
        path: PathBuf,
        /// One option.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A strategy is listed twice.
    #[error("`{0}` is twice in --memory; list each strategy once")]
    DuplicateStrategy(Strategy),
    /// A file cannot be written. The old content is unchanged.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A strategy's process failed.
    #[error("training under `{strategy}` failed: {message}")]
    Worker {
        /// The strategy.
        strategy: Strategy,
        /// The error of the process.
        message: String,
    },
    /// The process of a strategy cannot be started, or its pipes failed.
    #[error("cannot run the process of strategy `{strategy}`")]
    Process {
        /// The strategy.
        strategy: Strategy,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Two strategies computed different losses, which is a bug in arenite.
    #[error(
        "losses under `{0}` differ from those under `{1}`: memory was read before it was written; please report this bug"
    )]
    DifferentLosses(Strategy, Strategy),
    /// The table cannot be printed.
    #[error("cannot print the table")]
    Print(#[source] io::Error),
    /// The numbers cannot be converted to JSON.
    #[error("cannot convert the numbers to JSON")]
    Json(#[from] serde_json::Error),
}

impl TrainError {
    /// Returns 2 if the input is at fault, otherwise 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Read { .. }
            | Self::Text { .. }
            | Self::TooLarge { .. }
            | Self::SameFile { .. }
            | Self::Config(_)
            | Self::DuplicateStrategy(_) => 2,
            _ => 1,
        }
    }
}
