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
    #[error("{} is mapped by somebody else", path.display())]
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
    #[error("{} was cut off: {found} bytes of {expected}", path.display())]
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
    #[error("a page of {} could not be had: its device is full or failed, or the file was cut off for a while", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The device has no room for it, or a quota has not.
    #[error("no room for {bytes} bytes of {}", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// Bytes that it needs.
        bytes: u64,
    },
    /// It was opened for reading alone.
    #[error("{} is open for reading alone", path.display())]
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
    #[error("{} holds {found}, not {asked}", path.display())]
    OtherType {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: ScalarType,
        /// What was asked for.
        asked: ScalarType,
    },
    /// The shape has no or too many dimensions, none of some element, or more elements than there are addresses.
    #[error("there is no mapped array of shape {shape:?}: take 1 to 8 dimensions of 1 element and more")]
    BadShape {
        /// The shape asked.
        shape: Vec<usize>,
    },
    /// The elements or bytes asked for do not lie in the file.
    #[error("{count} at {offset} lie outside the {len} of {}", path.display())]
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
