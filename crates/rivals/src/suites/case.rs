//! A case of a suite, and its failed setup.

use crate::bench::Bench;
use crate::failure::{AllocFailed, Failure};
use crate::report::Row;

/// A case: its name and its function.
pub(super) type Case = (&'static str, fn(&Bench, &str) -> Result<Vec<Row>, Failure>);

/// Converts a failed setup into the [`Failure`] of the case.
pub(super) fn require<T>(
    case: &str,
    name: &'static str,
    allocator: Result<T, AllocFailed>,
) -> Result<T, Failure> {
    allocator.map_err(|_| Failure::AllocFailed { case: case.to_owned(), name })
}
