//! What a ring refuses.
//!
//! Rests on nothing. Waiting has an error of its own, because its answers are news and not mistakes.

use std::path::PathBuf;
use thiserror::Error;

/// A ring that could not be made or opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RingError {
    /// No elements, elements of no size, or more of them than there are addresses.
    #[error("invalid ring size: {capacity} elements of {size} bytes; use 1 to isize::MAX / 4 bytes")]
    BadCapacity {
        /// The number of elements asked.
        capacity: usize,
        /// The size of one in bytes.
        size: usize,
    },
    /// The operating system gave no memory, or refused a call.
    #[error("cannot {call} for a ring of {bytes} bytes")]
    Os {
        /// The call.
        call: &'static str,
        /// The bytes asked.
        bytes: usize,
        /// What it said.
        source: std::io::Error,
    },
    /// The file could not be opened, made or read.
    #[error("cannot open the ring {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not a ring of this version, or a damaged one.
    #[error("not a ring: {what}")]
    NotARing {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The ring holds other elements.
    #[error("the ring holds elements of {found} bytes, requested {requested}")]
    OtherElement {
        /// Bytes of an element in the file.
        found: usize,
        /// Bytes of the element asked for.
        requested: usize,
    },
    /// Somebody else has this end of the ring.
    #[error("the {end} of this ring is in use; a ring has one producer and one consumer")]
    Taken {
        /// Which end.
        end: &'static str,
    },
}

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The time is over.
    #[error("timed out waiting for the ring")]
    TimedOut,
    /// The other end was dropped, and nothing is left.
    #[error("the other end of the ring is closed")]
    Closed,
    /// The process at the other end has died without closing it, and nothing is left.
    #[error("the process at the other end of the ring has died")]
    PeerDied,
    /// More was asked for than the ring can ever hold.
    #[error("requested {requested} elements at once, but the ring has a capacity of {capacity}")]
    TooMany {
        /// The number asked for.
        requested: usize,
        /// The ring's capacity.
        capacity: usize,
    },
}
