//! An array of scalars of one type in a file.
//!
//! An array larger than memory is read and written like one in memory; the kernel holds the OS
//! pages in use.
#![expect(unsafe_code, reason = "returns the pages of a file as slices of scalars")]

use super::atomic_file::allocate;
use super::header::{DATA_OFFSET, Header};
use super::mapped_file::{alloc_failed, length, open};
use super::{FileError, LockedFile, MapMode, MappedFile, UnfinishedFile};
use crate::scalar::{Scalar, zeroed};
use core::marker::PhantomData;
use std::path::Path;

/// Order of an array's elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MemoryOrder {
    /// The last index varies fastest.
    #[default]
    RowMajor,
    /// The first index varies fastest.
    ColumnMajor,
}

/// An array in a file. Its elements begin 8192 bytes into the file, in the machine's byte order.
///
/// If the process dies, the file can be opened and contains every earlier write. After a crash of
/// the machine it contains everything before the last [`MappedArray::sync`], if the device stores
/// what it acknowledges. A growth takes effect completely or not at all.
///
/// ```
/// use arenite_pages::{MapMode, MappedArray};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("table");
/// let mut table = MappedArray::<f64>::create(&path, &[1000, 4])?;
/// table.set(&[7, 3], 2.5)?;
/// table.write(0, &[1.0, 2.0])?; // elements 0 and 1
/// table.sync()?;
/// drop(table);
/// let table = MappedArray::<f64>::open(&path, MapMode::ReadOnly)?;
/// assert_eq!(table.shape(), [1000, 4]);
/// assert_eq!((table.get(&[7, 3])?, table.get(&[0, 1])?), (2.5, 2.0));
/// assert!(MappedArray::<f32>::open(&path, MapMode::ReadOnly).is_err()); // it holds float64
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MappedArray<T> {
    file: MappedFile,
    header: Header,
    shape: Vec<usize>,
    /// Whether the write of a new header failed half-way.
    torn: bool,
    numbers: PhantomData<T>,
}

impl<T: Scalar> MappedArray<T> {
    /// Makes an array of zeroes in a new file, row-major, and allocates its disk space now.
    ///
    /// # Errors
    /// [`FileError`] if the file exists or cannot be made, the device is full, or the shape is
    /// invalid. No file remains then.
    pub fn create(path: impl AsRef<Path>, shape: &[usize]) -> Result<Self, FileError> {
        Self::create_in(path, shape, MemoryOrder::RowMajor)
    }

    /// Makes an array of zeroes in a new file, in the given order.
    ///
    /// # Errors
    /// As [`MappedArray::create`].
    pub fn create_in(path: impl AsRef<Path>, shape: &[usize], order: MemoryOrder) -> Result<Self, FileError> {
        let path = path.as_ref();
        let header = Header::new(T::TYPE, shape, u32::from(order == MemoryOrder::ColumnMajor))?;
        let fail = |source| FileError::Open { path: path.to_path_buf(), source };
        let unfinished = UnfinishedFile::new(path, 0o666).map_err(fail)?;
        let own = unfinished.file().try_clone().map_err(fail)?;
        // before it has a name, so that no other process locks it first
        let file = LockedFile::new(own, path, true)?;
        allocate(unfinished.file(), path, 0, header.file_len())?;
        header.write(unfinished.file()).map_err(fail)?;
        unfinished.persist().map_err(fail)?;
        Self::of(MappedFile::of(file, path, header.file_len(), MapMode::ReadWrite)?, header)
    }

    /// Opens the array in the file at `path`.
    ///
    /// # Errors
    /// [`FileError`] if the file cannot be opened, is no such array, holds another scalar type, is
    /// truncated, or is locked.
    pub fn open(path: impl AsRef<Path>, mode: MapMode) -> Result<Self, FileError> {
        let path = path.as_ref();
        let file = open(path, mode)?;
        if length(&file, path)? == 0 {
            return Err(FileError::Empty { path: path.to_path_buf() });
        }
        let header = Header::read(&file, path)?;
        match header.scalar_type() {
            Some(found) if found != T::TYPE => {
                Err(FileError::OtherType { path: path.to_path_buf(), found, requested: T::TYPE })
            }
            _ => Self::of(MappedFile::of(file, path, header.file_len(), mode)?, header),
        }
    }

    fn of(file: MappedFile, header: Header) -> Result<Self, FileError> {
        Ok(Self { file, header, shape: header.sides(), torn: false, numbers: PhantomData })
    }

    /// Returns the elements along each dimension.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns `false`: a mapped array has at least one element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the order of the elements.
    #[must_use]
    pub fn order(&self) -> MemoryOrder {
        if self.header.order == 0 { MemoryOrder::RowMajor } else { MemoryOrder::ColumnMajor }
    }

    /// Returns the bytes of the elements.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        self.len() * size_of::<T>()
    }

    /// Returns the mapped file: its length, its name, whether it is damaged.
    #[must_use]
    pub const fn file(&self) -> &MappedFile {
        &self.file
    }

    /// Returns the index of an element in the file's order.
    fn position(&self, index: &[usize]) -> Result<usize, FileError> {
        let outside = || FileError::OutOfRange {
            path: self.file.path().to_path_buf(),
            offset: index.first().copied().unwrap_or(0),
            count: 1,
            len: self.len(),
        };
        if index.len() != self.shape.len() || index.iter().zip(&self.shape).any(|(at, side)| at >= side) {
            return Err(outside());
        }
        let step = |position: usize, (&at, &side): (&usize, &usize)| position * side + at;
        let pairs = index.iter().zip(&self.shape);
        Ok(match self.order() {
            MemoryOrder::RowMajor => pairs.fold(0, step),
            MemoryOrder::ColumnMajor => pairs.rev().fold(0, step),
        })
    }

    fn byte(&self, first: usize, count: usize) -> Result<usize, FileError> {
        let outside = || FileError::OutOfRange {
            path: self.file.path().to_path_buf(),
            offset: first,
            count,
            len: self.len(),
        };
        let end = first.checked_add(count).filter(|&end| end <= self.len());
        end.map(|_| DATA_OFFSET + first * size_of::<T>()).ok_or_else(outside)
    }

    /// Reads one element. Two system calls: for many, use [`MappedArray::read`] or a slice.
    ///
    /// # Errors
    /// [`FileError::OutOfRange`], or [`FileError::Truncated`] if the file became shorter.
    pub fn get(&self, index: &[usize]) -> Result<T, FileError> {
        let mut number = [T::zeroed()];
        self.read_into(self.position(index)?, &mut number)?;
        Ok(number[0])
    }

    /// Sets one element. Two system calls.
    ///
    /// # Errors
    /// As [`MappedArray::get`]; [`FileError::ReadOnly`].
    pub fn set(&mut self, index: &[usize], number: T) -> Result<(), FileError> {
        let position = self.position(index)?;
        self.write(position, &[number])
    }

    /// Copies `count` elements from `first` on, in the file's order.
    ///
    /// # Errors
    /// As [`MappedArray::get`].
    pub fn read(&self, first: usize, count: usize) -> Result<Vec<T>, FileError> {
        self.byte(first, count)?;
        let mut numbers = zeroed(count).ok_or_else(|| alloc_failed(self.file.path()))?;
        self.read_into(first, &mut numbers)?;
        Ok(numbers)
    }

    /// Copies elements from `first` on, in the file's order, to `into`.
    ///
    /// # Errors
    /// As [`MappedArray::get`].
    pub fn read_into(&self, first: usize, into: &mut [T]) -> Result<(), FileError> {
        let at = self.byte(first, into.len())?;
        self.file.read_into(at, bytemuck::cast_slice_mut(into))
    }

    /// Copies `numbers` to the elements from `first` on, in the file's order.
    ///
    /// # Errors
    /// As [`MappedArray::set`].
    pub fn write(&mut self, first: usize, numbers: &[T]) -> Result<(), FileError> {
        let at = self.byte(first, numbers.len())?;
        self.file.write(at, bytemuck::cast_slice(numbers))
    }

    /// Writes the changes to the file and waits until the device acknowledges them (`msync`,
    /// `fsync`).
    ///
    /// # Errors
    /// [`FileError::Truncated`] if the file became shorter; [`FileError::Os`] if the device fails;
    /// [`FileError::ReadOnly`] for arrays whose writes do not reach the file.
    pub fn sync(&self) -> Result<(), FileError> {
        if self.file.mode() != MapMode::ReadWrite {
            return Err(FileError::ReadOnly { path: self.file.path().to_path_buf() });
        }
        self.file.flush()
    }

    /// Grows the slowest dimension (the first, row-major; the last, column-major) to `side`; new
    /// elements are zeroes. Syncs first. Whenever the process dies, the file has the old shape or
    /// the new one.
    ///
    /// # Errors
    /// [`FileError::BadShape`] if `side` is smaller than now or too large; [`FileError::DiskFull`];
    /// [`FileError::ReadOnly`]. The array is unchanged then.
    pub fn grow(&mut self, side: usize) -> Result<(), FileError> {
        self.sync()?;
        if self.torn {
            let what = "a growth failed half-way; open it again";
            return Err(FileError::NotAnArray { path: self.file.path().to_path_buf(), what });
        }
        let mut shape = self.shape.clone();
        let slowest = if self.order() == MemoryOrder::RowMajor { 0 } else { shape.len() - 1 };
        if side < shape[slowest] {
            shape[slowest] = side;
            return Err(FileError::BadShape { shape });
        }
        shape[slowest] = side;
        let next = self.header.supersede_with(Header::new(T::TYPE, &shape, self.header.order)?);
        let path = self.file.path().to_path_buf();
        let fail = |source| FileError::Os { path: path.clone(), call: "grow", source };
        // An earlier growth that was interrupted may have left bytes beyond the array: they become
        // zeroes.
        let file = self.file.file();
        file.set_len(self.header.file_len()).map_err(fail)?;
        allocate(file, &path, self.header.file_len(), next.file_len()).inspect_err(|_| {
            let _back: std::io::Result<()> = file.set_len(self.header.file_len());
        })?;
        file.sync_all().map_err(fail)?;
        // mapped before the header changes, so that every failure leaves the old array
        let grown = self.file.try_grow(next.file_len())?;
        if let Err(source) = next.write(self.file.file()) {
            self.torn = true; // it is unknown which of the two headers is on the device
            return Err(fail(source));
        }
        self.file.grow(grown);
        (self.header, self.shape) = (next, shape);
        Ok(())
    }

    /// Returns all elements, in the file's order. After a truncation of the file, those beyond its
    /// end read as zeroes: see [`MappedFile::is_damaged`].
    ///
    /// # Safety
    /// No code writes to the file by other means while the slice lives: another process that does
    /// not lock it, or a file handle.
    #[must_use]
    pub unsafe fn as_slice(&self) -> &[T] {
        let first = self.file.as_ptr().as_ptr().wrapping_add(DATA_OFFSET).cast();
        // SAFETY: the elements are mapped for reading, begin at a multiple of 8192, are plain data,
        // and no code writes to them.
        unsafe { core::slice::from_raw_parts(first, self.len()) }
    }

    /// Returns all elements, in the file's order, for writing.
    ///
    /// # Errors
    /// [`FileError::ReadOnly`].
    ///
    /// # Safety
    /// As [`MappedArray::as_slice`], and no code reads the written bytes by other means either.
    pub unsafe fn as_mut_slice(&mut self) -> Result<&mut [T], FileError> {
        if self.file.mode() == MapMode::ReadOnly {
            return Err(FileError::ReadOnly { path: self.file.path().to_path_buf() });
        }
        let first = self.file.as_ptr().as_ptr().wrapping_add(DATA_OFFSET).cast();
        // SAFETY: the elements are mapped for writing, begin at a multiple of 8192, are plain data,
        // are borrowed exclusively, and no other code uses them.
        Ok(unsafe { core::slice::from_raw_parts_mut(first, self.len()) })
    }
}
