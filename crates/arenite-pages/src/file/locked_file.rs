//! A file that is locked (`flock`) while this value lives.
//!
//! The drop unlocks it explicitly instead of relying on the close. A child process that is being
//! started has a copy of the descriptor for a moment.

use super::FileError;
use std::fs::{File, TryLockError};
use std::path::Path;

/// A file, locked exclusively for writing, or against writers for reading.
#[derive(Debug)]
pub(crate) struct LockedFile(File);

impl LockedFile {
    /// Locks `file`, without waiting.
    pub(crate) fn new(file: File, path: &Path, exclusive: bool) -> Result<Self, FileError> {
        let locked = if exclusive { file.try_lock() } else { file.try_lock_shared() };
        locked.map(|()| Self(file)).map_err(|error| match error {
            TryLockError::WouldBlock => FileError::Locked { path: path.to_path_buf() },
            TryLockError::Error(source) => FileError::Os { path: path.to_path_buf(), call: "lock", source },
        })
    }
}

impl core::ops::Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        let _unlocked: std::io::Result<()> = self.0.unlock();
    }
}
