//! A file as memory.
//!
//! Rests on `os::map_file` for the pages, on the file's lock to have it alone, and on `os::bus_error` to outlive a file that
//! somebody cuts off. Safe reads and writes go through the kernel's copy and a look at the file's length; slices are the
//! fast door.
#![expect(unsafe_code, reason = "borrows the pages of a file")]

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

/// What a mapped file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapMode {
    /// Reading; shared with other readers.
    ReadOnly,
    /// Reading and writing; writes reach the file. Nobody else maps it through this crate meanwhile.
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

/// A file seen as bytes.
///
/// ```
/// use arenite_pages::{MapMode, flush_file, map_file, unmap_file};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("data");
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
    // in the order in which they must go: the handler forgets the pages before they are unmapped
    watched: Watched,
    mapping: Mapping,
    file: LockedFile,
    len: usize,
    mode: MapMode,
    path: PathBuf,
}

/// Maps all of a file.
///
/// From then on a SIGBUS handler of this process answers for its pages (see [`MappedFile::is_truncated`]).
///
/// # Errors
/// [`FileError`]: it cannot be opened, is no ordinary file, empty, mapped by somebody else, or cannot be mapped.
pub fn map_file(path: impl AsRef<Path>, mode: MapMode) -> Result<MappedFile, FileError> {
    let path = path.as_ref();
    let file = open(path, mode)?;
    let len = length(&file, path)?;
    if len == 0 {
        return Err(FileError::Empty { path: path.to_path_buf() });
    }
    MappedFile::of(file, path, len, mode)
}

/// Unmaps a file; dropping does the same. What was written reaches the file later, unless it was flushed.
pub fn unmap_file(file: MappedFile) {
    drop(file);
}

/// Writes what changed to the file and waits for the device: [`MappedFile::flush`].
///
/// # Errors
/// As [`MappedFile::flush`].
pub fn flush_file(file: &MappedFile) -> Result<(), FileError> {
    file.flush()
}

/// Opens `path` for `mode` and locks it: against everybody for writing, against writers for reading.
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

/// Refuses a file that is shorter than what it must hold, or of which a page could not be had.
pub(crate) fn check_length(path: &Path, expected: u64, found: u64, damaged: bool) -> Result<(), FileError> {
    if found < expected {
        return Err(FileError::Truncated { path: path.to_path_buf(), expected, found });
    }
    if damaged { Err(FileError::Damaged { path: path.to_path_buf() }) } else { Ok(()) }
}

/// There is no memory for a copy of what is in the file.
pub(crate) fn alloc_failed(path: &Path) -> FileError {
    FileError::Os { path: path.to_path_buf(), call: "copy", source: io::ErrorKind::OutOfMemory.into() }
}

/// How every file here is opened: a pipe is refused and not waited for.
pub(crate) fn options(writable: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(writable).custom_flags(os::O_NONBLOCK);
    options
}

/// The length of `file` now, in bytes.
pub(crate) fn length(file: &File, path: &Path) -> Result<u64, FileError> {
    let found = file.metadata();
    let fail = |source| FileError::Os { path: path.to_path_buf(), call: "ask for the length of", source };
    found.map(|found| found.len()).map_err(fail)
}

impl MappedFile {
    /// Maps the first `len` bytes of `file`, which has at least as many.
    pub(crate) fn of(file: LockedFile, path: &Path, len: u64, mode: MapMode) -> Result<Self, FileError> {
        let (watched, mapping, len) = map(&file, path, len, mode)?;
        Ok(Self { watched, mapping, file, len, mode, path: path.to_path_buf() })
    }

    /// The length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Always false: an empty file cannot be mapped.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it was mapped for.
    #[must_use]
    pub const fn mode(&self) -> MapMode {
        self.mode
    }

    /// The file's name when it was mapped.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The first byte; [`MappedFile::len`] of them are mapped.
    #[must_use]
    pub fn as_ptr(&self) -> NonNull<u8> {
        self.mapping.as_ptr()
    }

    /// Whether somebody cut the file off and a slice was read or written beyond its end since: what lies there reads as
    /// zeroes in this mapping, and what was written is lost.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.watched.is_truncated()
    }

    /// Refuses if the file is shorter than what is mapped of it, or was when somebody touched it.
    ///
    /// # Errors
    /// [`FileError::Truncated`].
    pub fn check(&self) -> Result<(), FileError> {
        let (expected, found) = (self.len as u64, length(&self.file, &self.path)?);
        check_length(&self.path, expected, found, self.is_truncated())
    }

    fn check_range(&self, offset: usize, count: usize) -> Result<Range<usize>, FileError> {
        let end = offset.checked_add(count).filter(|&end| end <= self.len);
        let outside = || FileError::OutOfRange { path: self.path.clone(), offset, count, len: self.len };
        end.map(|end| offset..end).ok_or_else(outside)
    }

    /// A copy of `count` bytes from `offset` on. Two system calls; cannot fault.
    ///
    /// # Errors
    /// [`FileError::OutOfRange`]; [`FileError::Truncated`] where the file became shorter.
    pub fn read(&self, offset: usize, count: usize) -> Result<Vec<u8>, FileError> {
        self.check_range(offset, count)?;
        let mut bytes = zeroed(count).ok_or_else(|| alloc_failed(&self.path))?;
        self.read_into(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies bytes from `offset` on to `into`. Two system calls; cannot fault.
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
        // The kernel's copy stops at a page that is gone; what was cut off inside a page only the length tells.
        self.check()?;
        // the length is right, and yet a page is not to be had
        if done < range.len() { Err(FileError::Damaged { path: self.path.clone() }) } else { Ok(()) }
    }

    /// Writes what changed to the file and waits for the device. Nothing to do for files that are not written to.
    ///
    /// # Errors
    /// [`FileError::Truncated`] where the file became shorter; [`FileError::Os`] where the device refuses.
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

    /// All bytes. After somebody cut the file off, those beyond its end read as zeroes: see [`MappedFile::is_truncated`].
    ///
    /// # Safety
    /// Nobody writes to the file by other means while the slice lives: another process, a file handle, or another mapping.
    #[must_use]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: `len` bytes are mapped for reading while this value lives, and nobody writes to them.
        unsafe { core::slice::from_raw_parts(self.as_ptr().as_ptr(), self.len) }
    }

    /// All bytes, to write to.
    ///
    /// # Errors
    /// [`FileError::ReadOnly`].
    ///
    /// # Safety
    /// As [`MappedFile::as_slice`], and nobody reads what is written by other means either.
    pub unsafe fn as_mut_slice(&mut self) -> Result<&mut [u8], FileError> {
        if self.mode == MapMode::ReadOnly {
            return Err(FileError::ReadOnly { path: self.path.clone() });
        }
        // SAFETY: `len` bytes are mapped for reading and writing, borrowed exclusively, and used by nobody else.
        Ok(unsafe { core::slice::from_raw_parts_mut(self.as_ptr().as_ptr(), self.len) })
    }

    /// A mapping of `len` bytes of the file, which has at least as many, beside the one there is.
    pub(crate) fn try_grow(&self, len: u64) -> Result<GrownMapping, FileError> {
        map(&self.file, &self.path, len, self.mode)
    }

    /// Shows what [`MappedFile::try_grow`] mapped instead. The address changes.
    pub(crate) fn grow(&mut self, wider: GrownMapping) {
        // the old pages go one by one: first from the handler's list, then from memory
        (self.watched, self.mapping, self.len) = wider;
    }
}

/// A mapping, its entry in the handler's list, and its length in bytes.
pub(crate) type GrownMapping = (Watched, Mapping, usize);

/// The first `len` bytes of `file` as memory.
fn map(file: &File, path: &Path, len: u64, mode: MapMode) -> Result<GrownMapping, FileError> {
    let fail = |source| FileError::Os { path: path.to_path_buf(), call: "map", source };
    let too_long = || fail(io::ErrorKind::FileTooLarge.into());
    let fits = |&len: &usize| len <= isize::MAX.unsigned_abs() - page_size();
    let len = usize::try_from(len).ok().filter(fits).ok_or_else(too_long)?;
    let whole = len.next_multiple_of(page_size());
    let shared = mode != MapMode::CopyOnWrite;
    let base = os::map_file(file.as_fd(), 0, whole, mode.access(), shared);
    let base = base.map_err(|errno| fail(errno.into()))?;
    let watched = Watched::new(base, whole);
    // SAFETY: the mapping just made, whole.
    Ok((watched, unsafe { Mapping::own(base, whole) }, len))
}
