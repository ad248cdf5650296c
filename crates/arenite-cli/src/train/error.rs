//! The errors of `arenite train`.

use super::memory::Strategy;
use crate::option_file::FileError;
use arenite_core::Bytes;
use std::io;
use std::path::PathBuf;
use thiserror::Error;
use workloads::char_lm::{ConfigError, TextError};

/// The error of `arenite train`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
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
    #[error("the text {name} is larger than {limit}; use a part of it")]
    TooLarge {
        /// The file, or `standard input`.
        name: String,
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
    /// A message of a strategy's process cannot be converted to or from JSON.
    #[error("cannot convert a message to or from JSON")]
    Json(#[from] serde_json::Error),
}

impl TrainError {
    /// Returns 2 if the input is at fault, otherwise 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::File(_)
            | Self::Text { .. }
            | Self::TooLarge { .. }
            | Self::SameFile { .. }
            | Self::Config(_)
            | Self::DuplicateStrategy(_) => 2,
            _ => 1,
        }
    }
}
