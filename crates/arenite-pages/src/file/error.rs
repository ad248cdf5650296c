//! Errors of mapped files. Each carries its file, because the cause is mostly outside this
//! program.

use crate::scalar::ScalarType;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// A file that could not be mapped, or a mapped file that failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file could not be opened or made.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The path is a directory, a device or a pipe.
    #[error("{} is not an ordinary file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is in use: a mapping for writing excludes all others.
    #[error("{} is locked by another mapping", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file has no bytes to map.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is shorter than its contents need, or became so.
    #[error("{} is truncated: it has {found} of {expected} bytes", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Required bytes.
        expected: u64,
        /// Bytes in the file.
        found: u64,
    },
    /// An OS page of the file could not be read. The device is full (if the file has holes) or
    /// failed, or the file was shorter for a while. The OS page reads as zeroes since, and writes
    /// to it are lost.
    #[error("a page of {} is lost: the device is full or failed, or the file was truncated; open it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The device or a quota has no space for it.
    #[error("not enough disk space for {bytes} bytes in {}", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// Required bytes.
        bytes: u64,
    },
    /// The file was opened for reading only.
    #[error("{} is mapped read-only; open it for writing", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file is no array of this crate, its header is damaged, or a growth failed half-way.
    #[error("{}: {what}", path.display())]
    NotAnArray {
        /// The file.
        path: PathBuf,
        /// The defect.
        what: &'static str,
    },
    /// The array holds another scalar type.
    #[error("{} holds {found}, requested {requested}", path.display())]
    OtherType {
        /// The file.
        path: PathBuf,
        /// Type in the file.
        found: ScalarType,
        /// Requested type.
        requested: ScalarType,
    },
    /// The shape has no or too many dimensions, one of 0 elements, or more elements than there are
    /// addresses.
    #[error("invalid shape {shape:?}; use 1 to 8 dimensions of at least 1 element")]
    BadShape {
        /// Requested shape.
        shape: Vec<usize>,
    },
    /// The requested elements or bytes do not lie in the file.
    #[error("range of {count} at {offset} exceeds the {len} of {}", path.display())]
    OutOfRange {
        /// The file.
        path: PathBuf,
        /// First requested element or byte.
        offset: usize,
        /// Requested number.
        count: usize,
        /// Number in the file.
        len: usize,
    },
    /// The operating system failed a call.
    #[error("cannot {call} {}", path.display())]
    Os {
        /// The file.
        path: PathBuf,
        /// The call.
        call: &'static str,
        /// The operating system's error.
        source: io::Error,
    },
}
