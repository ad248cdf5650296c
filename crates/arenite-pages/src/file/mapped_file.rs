//! A file mapped as memory.
//!
//! A file lock excludes other mappings, and the SIGBUS handler of `os::bus_error` survives a
//! truncation. Safe reads and writes use the kernel's copy and check the file's length; slices are
//! the fast, unsafe path.
#![expect(unsafe_code, reason = "returns the pages of a file as slices")]

use super::{FileError, LockedFile, Mapping};
use crate::os::bus_error::Watched;
use crate::os::{self, Access};
use crate::page_size;
use crate::scalar::zeroed;
use crate::util::nofault_copy;
use core::ops::Range;
use core::ptr::NonNull;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Mode of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapMode {
    /// Reading; shared with other readers.
    ReadOnly,
    /// Reading and writing; writes reach the file. Excludes other mappings by this crate.
    ReadWrite,
    /// Reading and writing; writes stay in this mapping and are lost with it.
    CopyOnWrite,
}

impl MapMode {
    pub(crate) const fn access(self) -> Access {
        match self {
            Self::ReadOnly => Access::Read,
            Self::ReadWrite | Self::CopyOnWrite => Access::ReadWrite,
        }
    }
}

/// A file mapped as bytes.
///
/// ```
/// use arenite_pages::{MapMode, flush_file, map_file, unmap_file};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("data");
/// std::fs::write(&path, b"hello")?;
/// let mut file = map_file(&path, MapMode::ReadWrite)?;
/// file.write(0, b"J")?;
/// flush_file(&file)?;
/// assert_eq!(file.read(0, 5)?, b"Jello");
/// unmap_file(file);
/// assert_eq!(std::fs::read(&path)?, b"Jello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MappedFile {
    // in the order of their drops: the handler must forget the OS pages before they are unmapped
    watched: Watched,
    mapping: Mapping,
    file: LockedFile,
    len: usize,
    mode: MapMode,
    path: PathBuf,
}

/// Maps all of a file, and registers it with a SIGBUS handler of this process (see
/// [`MappedFile::is_damaged`]).
///
/// # Errors
/// [`FileError`] if the file cannot be opened, is no ordinary file, is empty or locked, or cannot
/// be mapped.
pub fn map_file(path: impl AsRef<Path>, mode: MapMode) -> Result<MappedFile, FileError> {
    let path = path.as_ref();
    let file = open(path, mode)?;
    let len = length(&file, path)?;
    if len == 0 {
        return Err(FileError::Empty { path: path.to_path_buf() });
    }
    MappedFile::of(file, path, len, mode)
}

/// Unmaps a file, like a drop. Unflushed writes reach the file later.
pub fn unmap_file(file: MappedFile) {
    drop(file);
}

/// Writes the changes to the file and waits for the device: [`MappedFile::flush`].
///
/// # Errors
/// As [`MappedFile::flush`].
pub fn flush_file(file: &MappedFile) -> Result<(), FileError> {
    file.flush()
}

/// Opens `path` for `mode` and locks it: exclusively for writing, against writers for reading.
pub(crate) fn open(path: &Path, mode: MapMode) -> Result<LockedFile, FileError> {
    let named = || path.to_path_buf();
    let opened = options(mode == MapMode::ReadWrite).open(path);
    let file = opened.map_err(|source| match source.kind() {
        io::ErrorKind::IsADirectory => FileError::NotAFile { path: named() },
        _ => FileError::Open { path: named(), source },
    })?;
    let kind = file.metadata().map_err(|source| FileError::Open { path: named(), source })?;
    if !kind.is_file() {
        return Err(FileError::NotAFile { path: named() });
    }
    LockedFile::new(file, path, mode == MapMode::ReadWrite)
}

/// Rejects a file that is shorter than its contents need, or of which an OS page could not be
/// read.
pub(crate) fn check_length(path: &Path, expected: u64, found: u64, damaged: bool) -> Result<(), FileError> {
    if found < expected {
        return Err(FileError::Truncated { path: path.to_path_buf(), expected, found });
    }
    if damaged { Err(FileError::Damaged { path: path.to_path_buf() }) } else { Ok(()) }
}

/// Returns the error of a failed allocation for a copy.
pub(crate) fn alloc_failed(path: &Path) -> FileError {
    FileError::Os { path: path.to_path_buf(), call: "copy", source: io::ErrorKind::OutOfMemory.into() }
}

/// Returns the options of every open: a pipe fails at once instead of waiting.
pub(crate) fn options(writable: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(writable).custom_flags(os::O_NONBLOCK);
    options
}

/// Returns the length of `file` now, in bytes.
pub(crate) fn length(file: &File, path: &Path) -> Result<u64, FileError> {
    let found = file.metadata();
    let fail = |source| FileError::Os { path: path.to_path_buf(), call: "read the length of", source };
    found.map(|found| found.len()).map_err(fail)
}

impl MappedFile {
    /// Maps the first `len` bytes of `file`, which has at least as many.
    pub(crate) fn of(file: LockedFile, path: &Path, len: u64, mode: MapMode) -> Result<Self, FileError> {
        let (watched, mapping, len) = map(&file, path, len, mode)?;
        Ok(Self { watched, mapping, file, len, mode, path: path.to_path_buf() })
    }

    /// Returns the length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns `false`: an empty file cannot be mapped.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the mode of the mapping.
    #[must_use]
    pub const fn mode(&self) -> MapMode {
        self.mode
    }

    /// Returns the file's path when it was mapped.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Returns the first byte; [`MappedFile::len`] of them are mapped.
    #[must_use]
    pub fn as_ptr(&self) -> NonNull<u8> {
        self.mapping.as_ptr()
    }

    /// Returns whether an access found an OS page lost: the file was truncated, or the device is
    /// full or failed. The OS page reads as zeroes since, and writes to it are lost.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.watched.is_damaged()
    }

    /// Checks that the file is not shorter than its mapping, and was not at an access.
    ///
    /// # Errors
    /// [`FileError::Truncated`]; [`FileError::Damaged`] if an OS page was lost.
    pub fn check(&self) -> Result<(), FileError> {
        let (expected, found) = (self.len as u64, length(&self.file, &self.path)?);
        check_length(&self.path, expected, found, self.is_damaged())
    }

    fn check_range(&self, offset: usize, count: usize) -> Result<Range<usize>, FileError> {
        let end = offset.checked_add(count).filter(|&end| end <= self.len);
        let outside = || FileError::OutOfRange { path: self.path.clone(), offset, count, len: self.len };
        end.map(|end| offset..end).ok_or_else(outside)
    }

    /// Copies `count` bytes from `offset`. Two system calls; cannot fault.
    ///
    /// # Errors
    /// [`FileError::OutOfRange`]; [`FileError::Truncated`] if the file became shorter.
    pub fn read(&self, offset: usize, count: usize) -> Result<Vec<u8>, FileError> {
        self.check_range(offset, count)?;
        let mut bytes = zeroed(count).ok_or_else(|| alloc_failed(&self.path))?;
        self.read_into(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies bytes from `offset` to `into`. Two system calls; cannot fault.
    ///
    /// # Errors
    /// As [`MappedFile::read`].
    pub fn read_into(&self, offset: usize, into: &mut [u8]) -> Result<(), FileError> {
        let range = self.check_range(offset, into.len())?;
        let done = nofault_copy::read_process(self.as_ptr().addr().get() + offset, into);
        self.copy_checked("read", range, done)
    }

    /// Copies `bytes` to `offset`. Two system calls; cannot fault.
    ///
    /// # Errors
    /// As [`MappedFile::read`]; [`FileError::ReadOnly`].
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), FileError> {
        let range = self.check_range(offset, bytes.len())?;
        if self.mode == MapMode::ReadOnly {
            return Err(FileError::ReadOnly { path: self.path.clone() });
        }
        // SAFETY: the bytes lie in this mapping, which is borrowed exclusively.
        let done = unsafe { nofault_copy::write_process(self.as_ptr().addr().get() + offset, bytes) };
        self.copy_checked("write", range, done)
    }

    fn copy_checked(
        &self,
        call: &'static str,
        range: Range<usize>,
        done: Result<usize, rustix::io::Errno>,
    ) -> Result<(), FileError> {
        let done =
            done.map_err(|errno| FileError::Os { path: self.path.clone(), call, source: errno.into() })?;
        // The kernel's copy stops at a lost OS page. A truncation inside an OS page shows only in
        // the length.
        self.check()?;
        // the length is right, but an OS page cannot be read
        if done < range.len() { Err(FileError::Damaged { path: self.path.clone() }) } else { Ok(()) }
    }

    /// Writes the changes to the file and waits for the device. Does nothing in the other modes.
    ///
    /// # Errors
    /// [`FileError::Truncated`] if the file became shorter; [`FileError::Os`] if the device fails.
    pub fn flush(&self) -> Result<(), FileError> {
        self.check()?;
        if self.mode != MapMode::ReadWrite {
            return Ok(());
        }
        let fail = |source| FileError::Os { path: self.path.clone(), call: "write", source };
        // SAFETY: the mapping is this value's own.
        unsafe { os::sync_mapping(self.mapping.as_ptr(), self.mapping.len()) }
            .map_err(|errno| fail(errno.into()))?;
        self.file.sync_all().map_err(fail)?;
        self.check()
    }

    /// Returns all bytes. After a truncation of the file, those beyond its end read as zeroes: see
    /// [`MappedFile::is_damaged`].
    ///
    /// # Safety
    /// No code writes to the file by other means while the slice lives: another process, a file
    /// handle, or another mapping.
    #[must_use]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: `len` bytes are mapped for reading while this value lives, and no code writes to
        // them.
        unsafe { core::slice::from_raw_parts(self.as_ptr().as_ptr(), self.len) }
    }

    /// Returns all bytes, for writing.
    ///
    /// # Errors
    /// [`FileError::ReadOnly`].
    ///
    /// # Safety
    /// As [`MappedFile::as_slice`], and no code reads the written bytes by other means either.
    pub unsafe fn as_mut_slice(&mut self) -> Result<&mut [u8], FileError> {
        if self.mode == MapMode::ReadOnly {
            return Err(FileError::ReadOnly { path: self.path.clone() });
        }
        // SAFETY: `len` bytes are mapped for reading and writing, borrowed exclusively, and no
        // other code uses them.
        Ok(unsafe { core::slice::from_raw_parts_mut(self.as_ptr().as_ptr(), self.len) })
    }

    /// Maps `len` bytes of the file, which has at least as many, beside the existing mapping.
    pub(crate) fn try_grow(&self, len: u64) -> Result<GrownMapping, FileError> {
        map(&self.file, &self.path, len, self.mode)
    }

    /// Replaces the mapping by that of [`MappedFile::try_grow`]. The address changes.
    pub(crate) fn grow(&mut self, grown: GrownMapping) {
        // the old fields drop in order: first the handler's node, then the memory
        (self.watched, self.mapping, self.len) = grown;
    }
}

/// A mapping, its registration with the handler, and its length in bytes.
pub(crate) type GrownMapping = (Watched, Mapping, usize);

/// Maps the first `len` bytes of `file`.
fn map(file: &File, path: &Path, len: u64, mode: MapMode) -> Result<GrownMapping, FileError> {
    let fail = |source| FileError::Os { path: path.to_path_buf(), call: "map", source };
    let too_long = || fail(io::ErrorKind::FileTooLarge.into());
    let fits = |&len: &usize| len <= isize::MAX.unsigned_abs() - page_size();
    let len = usize::try_from(len).ok().filter(fits).ok_or_else(too_long)?;
    let mapped = len.next_multiple_of(page_size());
    let shared = mode != MapMode::CopyOnWrite;
    let base = os::map_file(file.as_fd(), 0, mapped, mode.access(), shared);
    let base = base.map_err(|errno| fail(errno.into()))?;
    let watched = Watched::new(base, mapped);
    // SAFETY: the mapping just made, in full.
    Ok((watched, unsafe { Mapping::own(base, mapped) }, len))
}
