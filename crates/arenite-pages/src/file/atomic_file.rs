//! A file that appears complete or not at all.
//!
//! It is filled under a temporary name beside its own, and linked to its name at the end. No other
//! process opens an incomplete file, and an existing file of that name stays.

use super::FileError;
use crate::os;
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A file without its name yet; dropped before `persist`, it leaves nothing.
#[derive(Debug)]
pub(crate) struct UnfinishedFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl UnfinishedFile {
    /// Makes a file that will be `path`, with the permissions `mode` less the process's mask.
    pub(crate) fn new(path: &Path, mode: u32) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let own = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let mut name = own.to_os_string();
            name.push(format!(".{}.{count}.unfinished", std::process::id()));
            let temporary = path.with_file_name(name);
            let mut options = OpenOptions::new();
            match options.read(true).write(true).create_new(true).mode(mode).open(&temporary) {
                Ok(file) => return Ok(Self { file, temporary, path: path.to_path_buf() }),
                // left by a dead process that had this process's number
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Links the file to its name.
    pub(crate) fn persist(&self) -> io::Result<()> {
        std::fs::hard_link(&self.temporary, &self.path)?;
        // the name must survive a crash of the machine too
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        let _removed: io::Result<()> = std::fs::remove_file(&self.temporary);
    }
}

/// Allocates disk space for `file` up to `len` bytes, so that no later write to a mapping of it
/// finds the device full.
pub(crate) fn allocate(file: &File, path: &Path, from: u64, len: u64) -> Result<(), FileError> {
    allocate_part(file, from, len).map_err(|source| {
        match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => {
                FileError::DiskFull { path: path.to_path_buf(), bytes: len }
            }
            _ => FileError::Os { path: path.to_path_buf(), call: "allocate", source },
        }
    })
}

/// Allocates disk space for the bytes `[from, end)` of `file`. Its error needs no memory.
pub(crate) fn allocate_part(file: &File, from: u64, end: u64) -> io::Result<()> {
    if end <= from {
        return Ok(());
    }
    match os::preallocate_file(file.as_fd(), from, end - from) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeroes(file, from, end),
        result => result.map_err(io::Error::from),
    }
}

/// Allocates disk space by writing, for file systems that lack preallocation. Only beyond the
/// file's end.
fn write_zeroes(file: &File, from: u64, len: u64) -> io::Result<()> {
    static ZEROES: [u8; 65_536] = [0; 65_536];
    let mut at = from.max(file.metadata()?.len());
    while at < len {
        let count = usize::try_from(len - at).unwrap_or(usize::MAX).min(ZEROES.len());
        file.write_all_at(&ZEROES[..count], at)?;
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n23_write_zeroes_allocates_without_the_call() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"kept", 0).unwrap();
        write_zeroes(&file, 0, 200_000).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 200_000);
        let mut bytes = [1; 8];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"kept\0\0\0\0");
    }

    #[test]
    fn n23_unfinished_file_leaves_nothing_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        drop(UnfinishedFile::new(&path, 0o600).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let unfinished = UnfinishedFile::new(&path, 0o600).unwrap();
        std::fs::write(&path, "existing").unwrap();
        assert_eq!(unfinished.persist().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        drop(unfinished);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "existing");
    }
}
