//! The errors of spilled buffers.

use arenite_core::AllocError;
use core::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Error of a buffer that could not be allocated or paged in. No data is lost.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpillError {
    /// No memory, after all other buffers that can be evicted were.
    Memory(AllocError),
    /// The file could not be created, written or read.
    File {
        /// Directory of the file.
        dir: Arc<Path>,
        /// Error of the operating system.
        source: io::Error,
    },
}

impl fmt::Display for SpillError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(error) => {
                write!(out, "no memory for a buffer after evicting all others that can be: {error}")
            }
            Self::File { dir, source } => {
                write!(out, "cannot use a spill file in {}: {source}", dir.display())
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
