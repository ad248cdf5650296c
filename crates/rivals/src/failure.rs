//! What can go wrong in a benchmark.
//!
//! Rests on nothing. Bodies fail with [`Refused`], which is empty so that no contestant pays for carrying an error.

use std::path::PathBuf;

/// A lender gave no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused a block")]
pub struct Refused;

/// Why a suite ended without its figures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A contestant ran out of memory.
    #[error("{case}: {name} refused a block")]
    Refused {
        /// The case that ran.
        case: String,
        /// Who refused.
        name: &'static str,
    },
    /// Two contestants of a case did not do the same work.
    #[error("{case}: {name} did other work than {other}: {work} against {expected}")]
    UnequalWork {
        /// The case that ran.
        case: String,
        /// Who differs.
        name: &'static str,
        /// From whom.
        other: &'static str,
        /// What it did.
        work: String,
        /// What the other did.
        expected: String,
    },
    /// A figure could not be taken.
    #[error("{case}: {name} has no figure in {unit}")]
    NoFigure {
        /// The case that ran.
        case: String,
        /// Whose figure.
        name: &'static str,
        /// In which unit.
        unit: &'static str,
    },
    /// The process of a case did not answer.
    #[error("{case}: {cause}")]
    Process {
        /// The case that ran.
        case: String,
        /// What it said.
        cause: String,
    },
    /// The JSON file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}
