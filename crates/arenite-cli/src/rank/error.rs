//! The errors of `arenite rank`.

use std::io;
use std::path::PathBuf;
use thiserror::Error;
use workloads::graph::GraphError;

/// The error of `arenite rank`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RankError {
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A line is not an edge.
    #[error("line {line} of {} has one name; an edge has two: source and target", path.display())]
    NoEdge {
        /// The file.
        path: PathBuf,
        /// The line number, from 1.
        line: usize,
    },
    /// The source has no edges.
    #[error("{} has no edges", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The machine has no Debian packages.
    #[error("cannot find packages: neither `apt-cache` nor {} exists; use a file with --edges", path.display())]
    NoPackages {
        /// The expected path.
        path: PathBuf,
    },
    /// The graph is invalid.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An allocation failed.
    #[error(transparent)]
    Memory(#[from] arenite_core::AllocError),
    /// The numbers cannot be converted to JSON.
    #[error("cannot convert the numbers to JSON")]
    Json(#[from] serde_json::Error),
}

impl RankError {
    /// Returns 2 if the command line or the file is at fault, otherwise 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Memory(_) | Self::Json(_) => 1,
            _ => 2,
        }
    }
}
