//! Numbers of one type, with a shape, in a file.
//!
//! Rests on [`MappedFile`] for the bytes and on `Header` for what they are. An array larger than memory is read and written
//! as if it were there; the kernel keeps what is used.
#![expect(unsafe_code, reason = "borrows the pages of a file as scalars")]

use super::atomic_file::allocate;
use super::header::{DATA_OFFSET, Header};
use super::mapped_file::{alloc_failed, length, open};
use super::{FileError, LockedFile, MapMode, MappedFile, UnfinishedFile};
use crate::scalar::{Scalar, zeroed};
use core::marker::PhantomData;
use std::path::Path;

/// In which order the elements of an array follow one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MemoryOrder {
    /// The last index moves fastest.
    #[default]
    RowMajor,
    /// The first index moves fastest.
    ColumnMajor,
}

/// An array in a file. Its elements begin 8192 bytes into the file, in the machine's byte order.
///
/// A process that dies leaves a file that opens, with everything in it that was written before; after a crash of the machine
/// there is what [`MappedArray::sync`] returned for, as far as the device keeps what it acknowledged. Growth takes effect whole
/// or not at all.
///
/// ```
/// use arenite_pages::{MapMode, MappedArray};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("table");
/// let mut table = MappedArray::<f64>::create(&path, &[1000, 4])?;
/// table.set(&[7, 3], 2.5)?;
/// table.write(0, &[1.0, 2.0])?; // elements 0 and 1
/// table.sync()?;
/// drop(table);
/// let table = MappedArray::<f64>::open(&path, MapMode::ReadOnly)?;
/// assert_eq!((table.shape(), table.get(&[7, 3])?, table.get(&[0, 1])?), (&[1000, 4][..], 2.5, 2.0));
/// assert!(MappedArray::<f32>::open(&path, MapMode::ReadOnly).is_err()); // it holds float64
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MappedArray<T> {
    file: MappedFile,
    header: Header,
    shape: Vec<usize>,
    /// Whether a new header could not be written whole.
    torn: bool,
    numbers: PhantomData<T>,
}

impl<T: Scalar> MappedArray<T> {
    /// A new array of zeroes in a new file, row-major. The device's room for all of it is taken now.
    ///
    /// # Errors
    /// [`FileError`]: there is a file of that name, none can be made, the device is full, or the shape cannot be. Nothing
    /// is left behind then.
    pub fn create(path: impl AsRef<Path>, shape: &[usize]) -> Result<Self, FileError> {
        Self::create_in(path, shape, MemoryOrder::RowMajor)
    }

    /// A new array of zeroes in a new file, in this order.
    ///
    /// # Errors
    /// As [`MappedArray::create`].
    pub fn create_in(path: impl AsRef<Path>, shape: &[usize], order: MemoryOrder) -> Result<Self, FileError> {
        let path = path.as_ref();
        let header = Header::new(T::TYPE, shape, u32::from(order == MemoryOrder::ColumnMajor))?;
        let fail = |source| FileError::Open { path: path.to_path_buf(), source };
        let newborn = UnfinishedFile::new(path, 0o666).map_err(fail)?;
        let own = newborn.file().try_clone().map_err(fail)?;
        // before it has a name, so that nobody is first
        let file = LockedFile::new(own, path, true)?;
        allocate(newborn.file(), path, 0, header.file_len())?;
        header.write(newborn.file()).map_err(fail)?;
        newborn.persist().map_err(fail)?;
        Self::of(MappedFile::of(file, path, header.file_len(), MapMode::ReadWrite)?, header)
    }

    /// The array in the file at `path`.
    ///
    /// # Errors
    /// [`FileError`]: it cannot be opened, is no such array, holds other numbers, was cut off, or is mapped by somebody
    /// else.
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

    /// Elements along each dimension.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Always false: there are no mapped arrays of nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The order of the elements.
    #[must_use]
    pub fn order(&self) -> MemoryOrder {
        if self.header.order == 0 { MemoryOrder::RowMajor } else { MemoryOrder::ColumnMajor }
    }

    /// Bytes of the elements.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        self.len() * size_of::<T>()
    }

    /// The file below: its length, its name, whether it was cut off.
    #[must_use]
    pub const fn file(&self) -> &MappedFile {
        &self.file
    }

    /// The place of an element in the file's order.
    fn place(&self, index: &[usize]) -> Result<usize, FileError> {
        let outside = || FileError::OutOfRange {
            path: self.file.path().to_path_buf(),
            offset: index.first().copied().unwrap_or(0),
            count: 1,
            len: self.len(),
        };
        if index.len() != self.shape.len() || index.iter().zip(&self.shape).any(|(at, side)| at >= side) {
            return Err(outside());
        }
        let step = |place: usize, (&at, &side): (&usize, &usize)| place * side + at;
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

    /// One element. Two system calls: for many, take [`MappedArray::read`] or a slice.
    ///
    /// # Errors
    /// [`FileError::OutOfRange`], or [`FileError::Truncated`] where the file became shorter.
    pub fn get(&self, index: &[usize]) -> Result<T, FileError> {
        let mut number = [T::zeroed()];
        self.read_into(self.place(index)?, &mut number)?;
        Ok(number[0])
    }

    /// Sets one element. Two system calls.
    ///
    /// # Errors
    /// As [`MappedArray::get`]; [`FileError::ReadOnly`].
    pub fn set(&mut self, index: &[usize], number: T) -> Result<(), FileError> {
        let place = self.place(index)?;
        self.write(place, &[number])
    }

    /// A copy of `count` elements from the `first` on, in the file's order.
    ///
    /// # Errors
    /// As [`MappedArray::get`].
    pub fn read(&self, first: usize, count: usize) -> Result<Vec<T>, FileError> {
        self.byte(first, count)?;
        let mut numbers = zeroed(count).ok_or_else(|| alloc_failed(self.file.path()))?;
        self.read_into(first, &mut numbers)?;
        Ok(numbers)
    }

    /// Copies elements from the `first` on, in the file's order, to `into`.
    ///
    /// # Errors
    /// As [`MappedArray::get`].
    pub fn read_into(&self, first: usize, into: &mut [T]) -> Result<(), FileError> {
        let at = self.byte(first, into.len())?;
        self.file.read_into(at, bytemuck::cast_slice_mut(into))
    }

    /// Copies `numbers` to the elements from the `first` on, in the file's order.
    ///
    /// # Errors
    /// As [`MappedArray::set`].
    pub fn write(&mut self, first: usize, numbers: &[T]) -> Result<(), FileError> {
        let at = self.byte(first, numbers.len())?;
        self.file.write(at, bytemuck::cast_slice(numbers))
    }

    /// Writes what changed to the file and waits until the device acknowledges it (`msync`, `fsync`).
    ///
    /// # Errors
    /// [`FileError::Truncated`] where the file became shorter; [`FileError::Os`] where the device refuses;
    /// [`FileError::ReadOnly`] for arrays whose writes do not reach the file.
    pub fn sync(&self) -> Result<(), FileError> {
        if self.file.mode() != MapMode::ReadWrite {
            return Err(FileError::ReadOnly { path: self.file.path().to_path_buf() });
        }
        self.file.flush()
    }

    /// Makes the slowest dimension (the first, row-major; the last, column-major) `side` long; new elements are zeroes.
    /// Syncs first. Whenever the process dies, the file has the old shape or the new one.
    ///
    /// # Errors
    /// [`FileError::BadShape`] where `side` is smaller than it is or too large; [`FileError::DiskFull`];
    /// [`FileError::ReadOnly`]. The array is as it was then.
    pub fn grow(&mut self, side: usize) -> Result<(), FileError> {
        self.sync()?;
        if self.torn {
            let what = "a growth failed half-way: open it again";
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
        // An earlier growth that did not come to its end may have left bytes beyond the array: only zeroes become part of it.
        let file = self.file.file();
        file.set_len(self.header.file_len()).map_err(fail)?;
        allocate(file, &path, self.header.file_len(), next.file_len()).inspect_err(|_| {
            let _back: std::io::Result<()> = file.set_len(self.header.file_len());
        })?;
        file.sync_all().map_err(fail)?;
        // mapped before the file says so: what can be refused is refused while nothing has changed
        let wider = self.file.try_grow(next.file_len())?;
        if let Err(source) = next.write(self.file.file()) {
            self.torn = true; // which of the two headers is on the device is not known
            return Err(fail(source));
        }
        self.file.grow(wider);
        (self.header, self.shape) = (next, shape);
        Ok(())
    }

    /// All elements, in the file's order. After somebody cut the file off, those beyond its end read as zeroes: see
    /// [`MappedFile::is_truncated`].
    ///
    /// # Safety
    /// Nobody writes to the file by other means while the slice lives: another process that does not lock it, or a file
    /// handle.
    #[must_use]
    pub unsafe fn as_slice(&self) -> &[T] {
        let first = self.file.as_ptr().as_ptr().wrapping_add(DATA_OFFSET).cast();
        // SAFETY: the elements are mapped for reading, begin at a multiple of 8192, are plain data, and nobody writes to them.
        unsafe { core::slice::from_raw_parts(first, self.len()) }
    }

    /// All elements, in the file's order, to write to.
    ///
    /// # Errors
    /// [`FileError::ReadOnly`].
    ///
    /// # Safety
    /// As [`MappedArray::as_slice`], and nobody reads what is written by other means either.
    pub unsafe fn as_mut_slice(&mut self) -> Result<&mut [T], FileError> {
        if self.file.mode() == MapMode::ReadOnly {
            return Err(FileError::ReadOnly { path: self.file.path().to_path_buf() });
        }
        let first = self.file.as_ptr().as_ptr().wrapping_add(DATA_OFFSET).cast();
        // SAFETY: as for `as_slice`, mapped for writing, and borrowed exclusively.
        Ok(unsafe { core::slice::from_raw_parts_mut(first, self.len()) })
    }
}
