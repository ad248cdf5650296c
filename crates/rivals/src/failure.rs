//! The errors of a benchmark.
//!
//! Bodies fail with [`AllocFailed`], which is empty, so that no competitor pays for carrying an
//! error.

use std::path::PathBuf;

/// A failed allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("allocation failed")]
pub struct AllocFailed;

/// The reason why a suite has no results.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A competitor ran out of memory.
    #[error("{case}: {name} failed to allocate")]
    AllocFailed {
        /// The case that ran.
        case: String,
        /// The competitor that failed.
        name: &'static str,
    },
    /// Two competitors of a case did not do the same work.
    #[error("{case}: {name} did different work from {other}: {work} against {expected}")]
    UnequalWork {
        /// The case that ran.
        case: String,
        /// The competitor that differs.
        name: &'static str,
        /// The competitor that it is compared with.
        other: &'static str,
        /// The work of the first.
        work: String,
        /// The work of the second.
        expected: String,
    },
    /// A metric has no finite value.
    #[error("{case}: {name} has no value in {unit}")]
    NoMeasurement {
        /// The case that ran.
        case: String,
        /// The competitor without a value.
        name: &'static str,
        /// The unit of the metric.
        unit: &'static str,
    },
    /// The process of a case failed.
    #[error("{case}: {cause}")]
    Process {
        /// The case that ran.
        case: String,
        /// The error text of the process.
        cause: String,
    },
    /// The JSON file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The path of the file.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
}
