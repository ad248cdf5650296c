//! Errors of rings. Waits have an error of their own, because their results are no mistakes of the
//! caller.

use std::path::PathBuf;
use thiserror::Error;

/// A ring that could not be made or opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RingError {
    /// No elements, elements of size 0, or more of them than there are addresses.
    #[error("invalid ring size: {capacity} elements of {size} bytes; use 1 to isize::MAX / 4 bytes")]
    BadCapacity {
        /// Requested number of elements.
        capacity: usize,
        /// Size of one in bytes.
        size: usize,
    },
    /// The operating system failed a call, or has no memory.
    #[error("cannot {call} for a ring of {bytes} bytes")]
    Os {
        /// The call.
        call: &'static str,
        /// Requested bytes.
        bytes: usize,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file could not be opened, made or read.
    #[error("cannot open the ring {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file is not a ring of this version, or a damaged one.
    #[error("not a ring: {what}")]
    NotARing {
        /// The defect.
        what: &'static str,
    },
    /// The ring holds elements of another size.
    #[error("the ring holds elements of {found} bytes, requested {requested}")]
    OtherElement {
        /// Bytes of an element in the file.
        found: usize,
        /// Requested bytes of an element.
        requested: usize,
    },
    /// This end of the ring is in use.
    #[error("the {end} of this ring is in use; a ring has one producer and one consumer")]
    InUse {
        /// The end.
        end: &'static str,
    },
}

/// Reason why a wait ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The timeout passed.
    #[error("timed out waiting for the ring")]
    TimedOut,
    /// The other end was dropped, and no elements are left.
    #[error("the other end of the ring is closed")]
    Closed,
    /// The process at the other end died without closing it, and no elements are left.
    #[error("the process at the other end of the ring has died")]
    PeerDied,
    /// The requested number exceeds the capacity.
    #[error("requested {requested} elements at once, but the ring has a capacity of {capacity}")]
    TooMany {
        /// Requested number of elements.
        requested: usize,
        /// The ring's capacity.
        capacity: usize,
    },
}
