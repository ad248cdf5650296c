//! Why a buffer could not be had.
//!
//! Rests on [`AllocError`] and the file system's errors.

use arenite_core::AllocError;
use core::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A buffer that could not be made, or brought back. Nothing that was in one is lost.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpillError {
    /// There is no memory for it, after all others went out that could.
    Memory(AllocError),
    /// The file could not be made, written or read.
    File {
        /// The dir that it is in.
        dir: Arc<Path>,
        /// What the operating system said.
        source: io::Error,
    },
}

impl fmt::Display for SpillError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(error) => {
                write!(out, "no memory for a buffer, with all others out that can be: {error}")
            }
            Self::File { dir, source } => {
                write!(out, "cannot use a file for buffers in {}: {source}", dir.display())
            }
        }
    }
}

impl core::error::Error for SpillError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Memory(error) => Some(error),
            Self::File { source, .. } => Some(source),
        }
    }
}
