//! The errors of `arenite rank`.

use crate::option_file::FileError;
use std::path::PathBuf;
use thiserror::Error;
use workloads::graph::GraphError;

/// The error of `arenite rank`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RankError {
    /// A file that an option names cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line is not an edge.
    #[error("line {line} of {name} has one name; an edge has two: source and target")]
    NoEdge {
        /// The file, or `standard input`.
        name: String,
        /// The line number, from 1.
        line: usize,
    },
    /// The source has no edges.
    #[error("{name} has no edges")]
    Empty {
        /// The file, `standard input`, or a description of the packages.
        name: String,
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
}

impl RankError {
    /// Returns 2 if the command line or the file is at fault, otherwise 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Memory(_) => 1,
            _ => 2,
        }
    }
}
