//! What a file as memory refuses.
//!
//! Rests on nothing. Each names its file and the numbers, because the file is mostly not the caller's own doing.

use crate::scalar::ScalarType;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// A file that could not be mapped, or a mapped one that cannot serve.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file could not be opened or made.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It is a folder, a device or a pipe.
    #[error("{} is not an ordinary file", path.display())]
    NotAFile {
        /// What it is instead.
        path: PathBuf,
    },
    /// The file is in use: whoever writes to a mapped file has it alone.
    #[error("{} is locked by another process", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing in it to map.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is shorter than what it must hold, or became so.
    #[error("{} is truncated: it has {found} of {expected} bytes", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes that it must have.
        expected: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// A page of it could not be had: the device is full (where the file has holes) or failed, or the file was shorter for a
    /// while. What the page held reads as zeroes since, and what is written to it is lost.
    #[error("I/O error reading {}: the device failed or the file was truncated", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The device has no room for it, or a quota has not.
    #[error("not enough disk space for {bytes} bytes in {}", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// Bytes that it needs.
        bytes: u64,
    },
    /// It was opened for reading alone.
    #[error("{} is read-only", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// It does not begin as an array of this crate, or its header is damaged.
    #[error("{} is not a mapped array: {what}", path.display())]
    NotAnArray {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The array holds other numbers.
    #[error("{} holds {found}, requested {requested}", path.display())]
    OtherType {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: ScalarType,
        /// What was asked for.
        requested: ScalarType,
    },
    /// The shape has no or too many dimensions, none of some element, or more elements than there are addresses.
    #[error("invalid shape {shape:?}; use 1 to 8 dimensions of at least 1 element")]
    BadShape {
        /// The shape asked.
        shape: Vec<usize>,
    },
    /// The elements or bytes asked for do not lie in the file.
    #[error("range of {count} at {offset} exceeds the {len} of {}", path.display())]
    OutOfRange {
        /// The file.
        path: PathBuf,
        /// The first element or byte asked.
        offset: usize,
        /// How many were asked.
        count: usize,
        /// How many there are.
        len: usize,
    },
    /// The operating system refused a call.
    #[error("cannot {call} {}", path.display())]
    Os {
        /// The file.
        path: PathBuf,
        /// What was tried.
        call: &'static str,
        /// What it said.
        source: io::Error,
    },
}
