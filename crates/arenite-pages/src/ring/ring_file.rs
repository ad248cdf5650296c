//! A ring in a file: between processes, by a path or by a passed descriptor.
//!
//! The kernel's locks of open file descriptions show which ends are in use. Such a lock ends with
//! its process, however that dies, and cannot be confused by a reused process number. The file is
//! one OS page with header and indices, then the elements.
#![expect(unsafe_code, reason = "maps a file that another process maps too")]

use super::double_mapping::DoubleMapping;
use super::indices::EndState;
use super::location::{Location, OfdLock, Side, SideLock, lock_byte};
use super::shared::{Shared, rounded};
use super::{Consumer, Producer, RingError};
use crate::file::{Mapping, UnfinishedFile, allocate_part};
use crate::os::{self, Access};
use crate::page_size;
use bytemuck::{Pod, Zeroable};
use core::ffi::CStr;
use core::ptr::NonNull;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"arenring";
const VERSION: u32 = 1;
/// Offset of the indices; the header lies before.
const INDICES: usize = 128;

/// The first bytes of the file.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: u32,
    /// Bytes of an element.
    element: u32,
    /// Number of elements, a power of two.
    capacity: u64,
    /// Bits of an index and bytes of an OS page, which must be equal on both sides.
    word: u32,
    page: u32,
}

/// A ring in a file, whose ends any process that can open the file may open. Elements are plain
/// data.
///
/// ```
/// use arenite_pages::RingFile;
/// let ring = RingFile::anonymous::<u64>(1000)?; // in memory; pass its descriptor to a child
/// // SAFETY: arenite uses both ends, and no other code opens the file.
/// let mut producer = unsafe { ring.producer::<u64>() }?;
/// // SAFETY: as above.
/// let mut consumer = unsafe { ring.consumer::<u64>() }?;
/// assert!(producer.push(7).is_ok());
/// assert_eq!(consumer.recv(), Ok(7));
/// // SAFETY: as above.
/// assert!(unsafe { ring.producer::<u64>() }.is_err()); // a ring has one producer
/// # Ok::<(), arenite_pages::RingError>(())
/// ```
#[derive(Debug)]
pub struct RingFile {
    file: File,
}

impl RingFile {
    /// Makes a ring of at least `capacity` elements of `T` in an anonymous file of fixed size.
    ///
    /// # Errors
    /// [`RingError::BadCapacity`], or [`RingError::Os`] if there is no memory.
    pub fn anonymous<T: Pod>(capacity: usize) -> Result<Self, RingError> {
        const NAME: &CStr = c"arenite-ring";
        let (header, bytes) = layout::<T>(capacity)?;
        let fail = |call| move |errno: rustix::io::Errno| RingError::Os { call, bytes, source: errno.into() };
        let file = File::from(os::memfd(NAME).map_err(fail("make a file in memory"))?);
        init_file(&file, &header, bytes)?;
        os::seal_size(file.as_fd()).map_err(fail("seal the file"))?;
        Ok(Self { file })
    }

    /// Makes a ring of at least `capacity` elements of `T` in a new file at `path`, for instance
    /// below `/dev/shm`. The file appears complete, stays when the ring is dropped, and only its
    /// owner can read and write it.
    ///
    /// # Errors
    /// [`RingError::BadCapacity`]; [`RingError::Open`] if the file exists or cannot be made;
    /// [`RingError::Os`] if the device is full.
    pub fn create<T: Pod>(path: &Path, capacity: usize) -> Result<Self, RingError> {
        let (header, bytes) = layout::<T>(capacity)?;
        let fail = |source| RingError::Open { path: path.to_path_buf(), source };
        let unfinished = UnfinishedFile::new(path, 0o600).map_err(fail)?;
        init_file(unfinished.file(), &header, bytes)?;
        unfinished.persist().map_err(fail)?;
        Ok(Self { file: unfinished.file().try_clone().map_err(fail)? })
    }

    /// Opens the ring in the file at `path`.
    ///
    /// # Errors
    /// [`RingError::Open`] if it cannot be opened for reading and writing, [`RingError::NotARing`]
    /// if it is not one.
    pub fn open(path: &Path) -> Result<Self, RingError> {
        let fail = |source| RingError::Open { path: path.to_path_buf(), source };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(fail)?;
        read_header(&file).map(|_| Self { file })
    }

    /// Opens the ring in a file that was passed to this process.
    ///
    /// # Errors
    /// [`RingError::NotARing`] if it is not one.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, RingError> {
        let file = File::from(fd);
        read_header(&file).map(|_| Self { file })
    }

    /// Returns the capacity of the ring in elements.
    ///
    /// # Errors
    /// [`RingError::NotARing`] if the file was damaged since.
    pub fn capacity(&self) -> Result<usize, RingError> {
        read_header(&self.file).map(|header| usize::try_from(header.capacity).unwrap_or(usize::MAX))
    }

    /// Opens the producer's end. After a dead producer, the next one continues after the last
    /// committed element.
    ///
    /// # Errors
    /// [`RingError::InUse`] if it is in use; [`RingError::OtherElement`]; [`RingError::NotARing`];
    /// [`RingError::Os`].
    ///
    /// # Safety
    /// 1. Every process that maps the file follows this protocol (uses this version of this
    ///    crate). 2. No code writes to the file by other means, or truncates it.
    pub unsafe fn producer<T: Pod>(&self) -> Result<Producer<T>, RingError> {
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.end(Side::Producer) }.map(Producer::new)
    }

    /// Opens the consumer's end. After a dead consumer, the next one begins with the first element
    /// that was not released.
    ///
    /// # Errors
    /// As [`RingFile::producer`].
    ///
    /// # Safety
    /// As [`RingFile::producer`].
    pub unsafe fn consumer<T: Pod>(&self) -> Result<Consumer<T>, RingError> {
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.end(Side::Consumer) }.map(Consumer::new)
    }

    /// Opens one end.
    ///
    /// # Safety
    /// As [`RingFile::producer`].
    unsafe fn end<T: Pod>(&self, end: Side) -> Result<Arc<Shared<T>>, RingError> {
        let header = read_header(&self.file)?;
        let element = header.element as usize;
        if element != size_of::<T>() || align_of::<T>() > page_size() {
            return Err(RingError::OtherElement { found: element, requested: size_of::<T>() });
        }
        let capacity = usize::try_from(header.capacity).unwrap_or(0);
        let bytes = capacity * element;
        let os_error = |call| move |source| RingError::Os { call, bytes, source };
        let own = reopened(&self.file).map_err(os_error("open the file once more"))?;
        let claimed =
            os::try_ofd_lock(own.as_fd(), lock_byte(end)).map_err(|errno| os_error("lock")(errno.into()))?;
        if !claimed {
            let end = if end == Side::Producer { "producer" } else { "consumer" };
            return Err(RingError::InUse { end });
        }
        let ofd = OfdLock { file: own, end };
        let own = ofd.file.as_fd();
        let map = || -> Result<_, rustix::io::Errno> {
            let control = os::map_file(own, 0, page_size(), Access::ReadWrite, true)?;
            // SAFETY: the mapping just made, of that size, which the value now owns.
            let control = unsafe { Mapping::own(control, page_size()) };
            Ok((control, DoubleMapping::of_file(own, page_size() as u64, bytes)?))
        };
        let (control, memory) = map().map_err(|errno| os_error("map the file")(errno.into()))?;
        let indices = control.as_ptr().as_ptr().wrapping_add(INDICES).cast();
        let indices = NonNull::new(indices).unwrap_or(NonNull::dangling());
        os::register_membarrier(true);
        let location = Location::File(SideLock { ofd, _control: control });
        // SAFETY: 1. `read_header` checked size and capacity, and `T` is plain data. 2. the mapping
        // is in `location`. The caller promised that every other process that maps the file follows
        // the protocol.
        let shared = unsafe { Shared::of_file(memory, indices, location, capacity) };
        let indices = shared.indices();
        let end_state = if end == Side::Producer { &indices.producer.0 } else { &indices.consumer.0 };
        // of a process that died during a wait
        end_state.waiting.store(0, crate::util::sync::Ordering::Relaxed);
        end_state.set_state(EndState::OPEN);
        Ok(shared)
    }
}

impl AsFd for RingFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Returns the header of a new ring, and the bytes of its elements.
fn layout<T: Pod>(capacity: usize) -> Result<(Header, usize), RingError> {
    let count = rounded::<T>(capacity)?;
    let bad = |_| RingError::BadCapacity { capacity, size: size_of::<T>() };
    let header = Header {
        magic: MAGIC,
        version: VERSION,
        element: u32::try_from(size_of::<T>()).map_err(bad)?,
        capacity: count as u64,
        word: usize::BITS,
        page: u32::try_from(page_size()).map_err(bad)?,
    };
    Ok((header, count * size_of::<T>()))
}

fn init_file(file: &File, header: &Header, bytes: usize) -> Result<(), RingError> {
    let fail = |call| move |source| RingError::Os { call, bytes, source };
    let len = (page_size() + bytes) as u64;
    allocate_part(file, 0, len).map_err(fail("allocate the file"))?;
    file.write_all_at(bytemuck::bytes_of(header), 0).map_err(fail("write the header"))
}

/// Reads and checks the header by a call that cannot fault, even if the file was truncated.
fn read_header(file: &File) -> Result<Header, RingError> {
    let not = |what| RingError::NotARing { what };
    let mut header = Header::zeroed();
    file.read_exact_at(bytemuck::bytes_of_mut(&mut header), 0).map_err(|_| not("the file is too short"))?;
    if header.magic != MAGIC {
        return Err(not("the magic number is missing"));
    }
    if header.version != VERSION {
        return Err(not("its version is not supported"));
    }
    if header.word != usize::BITS || header.page as usize != page_size() {
        return Err(not("it was made on a machine of another word or page size"));
    }
    let (capacity, element) = (header.capacity, u64::from(header.element));
    let bytes = capacity.checked_mul(element).filter(|&bytes| bytes > 0 && bytes <= i64::MAX as u64 / 4);
    let bytes = bytes.filter(|bytes| capacity.is_power_of_two() && bytes.is_multiple_of(page_size() as u64));
    let bytes = bytes.ok_or(not("its capacity is damaged"))?;
    let len = file.metadata().map_err(|_| not("its length cannot be read"))?.len();
    if len < bytes + page_size() as u64 {
        return Err(not("the file is truncated"));
    }
    Ok(header)
}

/// Opens the file again, as an open file description of its own.
fn reopened(file: &File) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
