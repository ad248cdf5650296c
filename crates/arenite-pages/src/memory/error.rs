//! What a call by address refuses: the refusal of the part it went to.
//!
//! Rests on the errors of regions, NUMA, files and rings.

use crate::{FileError, NumaError, ProtectionError, RegionError, RingError, ScalarTypeError};
use thiserror::Error;

/// A call by address that failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// A region refused, or there is none at the address.
    #[error(transparent)]
    Page(#[from] RegionError),
    /// A NUMA call refused.
    #[error(transparent)]
    Numa(#[from] NumaError),
    /// A file refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A ring refused.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// No protection has this name.
    #[error(transparent)]
    Protection(#[from] ProtectionError),
    /// No number type has this name.
    #[error(transparent)]
    ScalarType(#[from] ScalarTypeError),
    /// There is no ring of this number, or it was freed.
    #[error("no ring has the id {id}, or it was freed")]
    NoRing {
        /// The number.
        id: u64,
    },
    /// The call does not go with what lies at the address.
    #[error("{address:#x} is {what}, which cannot {call}")]
    Other {
        /// The address.
        address: usize,
        /// What lies there.
        what: &'static str,
        /// What was asked of it.
        call: &'static str,
    },
}
