//! Errors of the calls by address: those of the underlying module.

use crate::{FileError, NumaError, ProtectionError, RegionError, RingError, ScalarTypeError};
use thiserror::Error;

/// A failed call by address.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// A region failed, or the address lies in none.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// A NUMA call failed.
    #[error(transparent)]
    Numa(#[from] NumaError),
    /// A file failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A ring failed.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The name of a protection is unknown.
    #[error(transparent)]
    Protection(#[from] ProtectionError),
    /// The name of a scalar type is unknown.
    #[error(transparent)]
    ScalarType(#[from] ScalarTypeError),
    /// No ring has this id, or it was freed.
    #[error("no ring has the id {id}, or it was freed")]
    NoRing {
        /// The id.
        id: u64,
    },
    /// The memory at the address does not support the call.
    #[error("{address:#x} is {what}, which cannot {call}")]
    Other {
        /// The address.
        address: usize,
        /// Kind of the memory there.
        what: &'static str,
        /// The call.
        call: &'static str,
    },
}
