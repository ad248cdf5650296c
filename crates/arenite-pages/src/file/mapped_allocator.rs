//! An allocator whose blocks lie in a file.
//!
//! The file is mapped into one reserved range as it grows, so no block ever moves. Two sorted
//! tables list live and free ranges. First fit from the lowest address, with coalescing; the same
//! order of allocations yields the same offsets. For few and large blocks: allocation and
//! deallocation are O(blocks).
#![expect(unsafe_code, reason = "hands out parts of a mapped file")]

use super::atomic_file::allocate_part;
use super::mapped_file::{alloc_failed, check_length, length, options};
use super::vec_map::VecMap;
use super::{FileError, LockedFile, Mapping};
use crate::os::bus_error::Watched;
use crate::os::{self, Access};
use crate::page_size;
use crate::scalar::zeroed;
use crate::util::nofault_copy;
use arenite_core::{AllocError, AllocErrorKind, Label, MemoryAllocator, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An allocator whose blocks lie in a file. The blocks may exceed memory, and the kernel writes
/// them to the file. Shared between threads, under one lock.
///
/// The file grows with the allocations and keeps its length; fresh blocks contain its bytes. Disk
/// space is allocated with a block, so a full device is an error there and not a signal later.
///
/// **While this value lives, no other code may write to the file or truncate it.** The values in
/// its blocks would change under their owner, which Rust does not allow. The file is locked
/// (`flock`) against other mappings by this crate, but no lock stops a program that opened it
/// otherwise. Only this constructor of the crate is safe to call and relies on such a promise; see
/// SECURITY.md. [`MappedArray`](crate::MappedArray) does not need it.
///
/// ```
/// use arenite_core::{Block, Resource};
/// use arenite_pages::MemoryMappedAllocator;
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("large_array.dat");
/// let mapped = MemoryMappedAllocator::new(&path, true)?;
/// let block = Block::zeroed_in(core::alloc::Layout::new::<[f64; 1000]>(), &mapped)?;
/// mapped.sync()?; // what was written is in the file
/// drop(block);
/// assert!(std::fs::metadata(&path)?.len() >= 8000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MemoryMappedAllocator {
    // in the order of their drops: the handler must forget the OS pages before they are unmapped
    watched: Watched,
    mapping: Mapping,
    file: LockedFile,
    path: PathBuf,
    writable: bool,
    /// The file's length when it was opened: bytes before it may not be zero, and `trim` never
    /// truncates below it.
    original: usize,
    blocks: Mutex<Blocks>,
}

/// Address space for a file without a limit of its own.
const DEFAULT_CAPACITY: usize = 1 << 38;
const MIN_CAPACITY: usize = 1 << 26;
/// Alignment and granularity of blocks: a cache line.
const ALIGN: usize = 64;
const LABEL: Label = Label::new("mapped file");

/// Live and free ranges of the file. Offsets and sizes are in bytes.
#[derive(Debug)]
struct Blocks {
    live: VecMap<Layout>,
    /// Free ranges by their start, disjoint: at most one more than blocks, and the capacity
    /// suffices for as many.
    free: VecMap<usize>,
    /// Mapped bytes of the file, a multiple of the OS page.
    mapped: usize,
    /// Lower bound of the length of the file in bytes.
    len: usize,
    /// The file is zero from here on: no block was allocated there, and the file was shorter when
    /// it was opened.
    fresh: usize,
    in_use: usize,
    peak: usize,
    /// Requested bytes in use, without padding, for the checked API (`MemoryAllocator`).
    requested: usize,
    peak_requested: usize,
}

impl MemoryMappedAllocator {
    /// Opens the file at `path`, or makes it if it does not exist and `writable` is true. A file
    /// that is not writable can be read ([`MemoryMappedAllocator::read`]), and every allocation
    /// fails.
    ///
    /// # Errors
    /// [`FileError`] if the file cannot be opened or made, is no ordinary file, is locked, or
    /// cannot be mapped.
    pub fn new(path: impl AsRef<Path>, writable: bool) -> Result<Self, FileError> {
        Self::with_capacity(path, writable, DEFAULT_CAPACITY)
    }

    /// Opens the file at `path` for at most `capacity` bytes (fewer if the process may not have as
    /// many addresses).
    ///
    /// # Errors
    /// As [`MemoryMappedAllocator::new`].
    pub fn with_capacity(path: impl AsRef<Path>, writable: bool, capacity: usize) -> Result<Self, FileError> {
        let path = path.as_ref();
        let named = || path.to_path_buf();
        let opened = options(writable).create(writable).truncate(false).open(path);
        let file = opened.map_err(|source| match source.kind() {
            std::io::ErrorKind::IsADirectory => FileError::NotAFile { path: named() },
            _ => FileError::Open { path: named(), source },
        })?;
        if !file.metadata().is_ok_and(|found| found.is_file()) {
            return Err(FileError::NotAFile { path: named() });
        }
        let file = LockedFile::new(file, path, writable)?;
        let fail = |source| FileError::Os { path: named(), call: "map", source };
        let too_long = || fail(std::io::ErrorKind::FileTooLarge.into());
        let original = usize::try_from(length(&file, path)?).map_err(|_| too_long())?;
        let rounded = original.checked_next_multiple_of(page_size()).ok_or_else(too_long)?;
        let mut size =
            capacity.clamp(page_size(), DEFAULT_CAPACITY).next_multiple_of(page_size()).max(rounded);
        let base = loop {
            match os::reserve(size) {
                Ok(base) => break base,
                Err(_) if size / 2 >= rounded.max(MIN_CAPACITY) => {
                    size = (size / 2).next_multiple_of(page_size())
                }
                Err(errno) => return Err(fail(errno.into())),
            }
        };
        let watched = Watched::new(base, size);
        // SAFETY: the reservation just made, in full.
        let mapping = unsafe { Mapping::own(base, size) };
        let blocks = Blocks {
            live: VecMap::new(),
            free: VecMap::single(0, size),
            mapped: 0,
            len: original,
            // the rest of the last OS page shows bytes of the page cache
            fresh: rounded,
            in_use: 0,
            peak: 0,
            requested: 0,
            peak_requested: 0,
        };
        let blocks = Mutex::new(blocks);
        let mapped = Self { watched, mapping, file, path: named(), writable, original, blocks };
        if original > 0 {
            mapped.map_up_to(&mut mapped.lock(), original).map_err(|errno| fail(errno.into()))?;
        }
        Ok(mapped)
    }

    fn lock(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Maps the file up to `end`.
    fn map_up_to(&self, blocks: &mut Blocks, end: usize) -> Result<(), rustix::io::Errno> {
        let end = end.next_multiple_of(page_size());
        if end <= blocks.mapped {
            return Ok(());
        }
        let access = if self.writable { Access::ReadWrite } else { Access::Read };
        let (at, size) = (self.at(blocks.mapped), end - blocks.mapped);
        // SAFETY: a part of this value's own reservation, beyond the mapped bytes: no code uses it.
        unsafe { os::map_file_at(at, self.file.as_fd(), blocks.mapped as u64, size, access) }?;
        blocks.mapped = end;
        Ok(())
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        debug_assert!(offset < self.mapping.len());
        let base = self.mapping.as_ptr();
        NonNull::new(base.as_ptr().wrapping_add(offset)).unwrap_or(base)
    }

    /// Writes the changes to the file and waits for the device.
    ///
    /// # Errors
    /// [`FileError::Truncated`] if the file became shorter; [`FileError::Os`] if the device fails.
    pub fn sync(&self) -> Result<(), FileError> {
        let mapped = self.lock().mapped;
        let fail = |source| FileError::Os { path: self.path.clone(), call: "write", source };
        if mapped > 0 && self.writable {
            // SAFETY: the mapped part of this value's own range.
            unsafe { os::sync_mapping(self.mapping.as_ptr(), mapped) }.map_err(|errno| fail(errno.into()))?;
            self.file.sync_all().map_err(fail)?;
        }
        self.check()
    }

    /// Checks that the file is not shorter than its contents need.
    ///
    /// # Errors
    /// [`FileError::Truncated`]; [`FileError::Damaged`] if an OS page was lost.
    pub fn check(&self) -> Result<(), FileError> {
        let blocks = self.lock(); // held, so that no trim makes it shorter meanwhile
        let found = length(&self.file, &self.path)?;
        check_length(&self.path, blocks.len as u64, found, self.watched.is_damaged())
    }

    /// Copies `count` bytes of the file from `offset`; cannot fault.
    ///
    /// # Errors
    /// [`FileError::OutOfRange`] beyond the mapped bytes; [`FileError::Truncated`].
    pub fn read(&self, offset: usize, count: usize) -> Result<Vec<u8>, FileError> {
        let len = self.lock().len;
        if offset.checked_add(count).is_none_or(|end| end > len) {
            return Err(FileError::OutOfRange { path: self.path.clone(), offset, count, len });
        }
        let mut bytes = zeroed(count).ok_or_else(|| alloc_failed(&self.path))?;
        let done = nofault_copy::read_process(self.at(0).addr().get() + offset, &mut bytes);
        let fail = |source| FileError::Os { path: self.path.clone(), call: "read", source };
        let done = done.map_err(|errno| fail(errno.into()))?;
        self.check()?;
        if done < count {
            return Err(FileError::Damaged { path: self.path.clone() });
        }
        Ok(bytes)
    }

    fn state_of(&self, blocks: &Blocks) -> ResourceState {
        ResourceState {
            in_use: blocks.in_use,
            held: blocks.mapped,
            peak: blocks.peak,
            live_blocks: blocks.live.len(),
            largest_free: blocks.free.iter().map(|(_, &len)| len).max(),
            limit: Some(self.mapping.len()),
        }
    }

    fn alloc_block(&self, blocks: &mut Blocks, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let alloc_error =
            |blocks: &Blocks, cause| AllocError::new(cause, layout, self.state_of(blocks), LABEL);
        if !self.writable {
            return Err(alloc_error(blocks, AllocErrorKind::ReadOnly));
        }
        let size = round_layout(layout).ok_or_else(|| alloc_error(blocks, AllocErrorKind::BadLayout))?;
        let base = self.mapping.as_ptr().addr().get();
        let live = blocks.live.len();
        if !blocks.live.try_reserve(live + 1) || !blocks.free.try_reserve(live + 2) {
            return Err(alloc_error(blocks, AllocErrorKind::Exhausted { errno: 0 }));
        }
        let fit = |(start, &len): (usize, &usize)| {
            let at = (base + start).checked_next_multiple_of(layout.align().max(ALIGN))? - base;
            (at.checked_add(size)? <= start + len).then_some((start, len, at))
        };
        let found = blocks.free.iter().find_map(fit);
        let (start, len, at) = found.ok_or_else(|| alloc_error(blocks, AllocErrorKind::CapacityReached))?;
        let end = at + size;
        // a hole in a file that existed has no disk space yet, like the bytes beyond its end
        let beyond = end > blocks.len.min(blocks.mapped);
        if beyond || at < self.original {
            let long = if beyond { end.next_multiple_of(page_size()) } else { end };
            let allocated = allocate_part(&self.file, at.min(blocks.len) as u64, long as u64);
            allocated.map_err(|error| {
                alloc_error(blocks, AllocErrorKind::Exhausted { errno: error.raw_os_error().unwrap_or(0) })
            })?;
            blocks.len = blocks.len.max(long);
            self.map_up_to(blocks, end).map_err(|errno| {
                alloc_error(blocks, AllocErrorKind::Exhausted { errno: errno.raw_os_error() })
            })?;
        }
        blocks.free.remove(start);
        for (start, end) in [(start, at), (end, start + len)] {
            if start < end {
                blocks.free.insert(start, end - start);
            }
        }
        blocks.live.insert(at, layout);
        blocks.fresh = blocks.fresh.max(end);
        blocks.in_use += size;
        blocks.peak = blocks.peak.max(blocks.in_use);
        blocks.requested += layout.size();
        blocks.peak_requested = blocks.peak_requested.max(blocks.requested);
        Ok(NonNull::slice_from_raw_parts(self.at(at), size))
    }

    /// Returns the offset and layout of the live block at `address`, or the reason why there is
    /// none.
    fn live_block(&self, blocks: &Blocks, address: usize) -> Result<(usize, Layout), AllocErrorKind> {
        let at = address.wrapping_sub(self.mapping.as_ptr().addr().get());
        if at >= self.mapping.len() {
            return Err(AllocErrorKind::InvalidPointer);
        }
        if let Some(live) = blocks.live.get(at) {
            return Ok((at, *live));
        }
        let before = blocks.live.predecessor(at);
        let inside = before.is_some_and(|(start, live)| at < start + round_layout(*live).unwrap_or(0));
        Err(if inside { AllocErrorKind::InteriorPointer } else { AllocErrorKind::DoubleFree })
    }

    /// Returns the offset of the live block at `address` if it has this layout.
    fn check_match(&self, blocks: &Blocks, address: usize, layout: Layout) -> Result<usize, AllocErrorKind> {
        let (at, live) = self.live_block(blocks, address)?;
        if layout == live {
            Ok(at)
        } else {
            Err(AllocErrorKind::Mismatch { size: live.size(), align: live.align() })
        }
    }

    /// Frees the live block at `at`.
    fn free_block(blocks: &mut Blocks, at: usize) {
        let Some(live) = blocks.live.get(at).copied() else { return };
        let size = round_layout(live).unwrap_or(0);
        blocks.live.remove(at);
        blocks.in_use -= size;
        blocks.requested -= live.size();
        let (mut start, mut end) = (at, at + size);
        if let Some((before, &len)) = blocks.free.predecessor(at)
            && before + len == start
        {
            blocks.free.remove(before);
            start = before;
        }
        if let Some(len) = blocks.free.remove(end) {
            end += len;
        }
        blocks.free.insert(start, end - start);
    }
}

/// Returns the size of a block of `layout`: a multiple of the cache line, at least one.
fn round_layout(layout: Layout) -> Option<usize> {
    layout.size().max(1).checked_next_multiple_of(ALIGN).filter(|&size| size <= isize::MAX.unsigned_abs())
}

// SAFETY: blocks are parts of one mapping that never moves, disjoint by the table (laws 1 to 4).
// They are unmapped only by the drop of the resource. No other code writes to the file while it is
// locked (see SECURITY.md on mapped files). `grow` and `shrink` are the provided ones (law 7).
unsafe impl Resource for MemoryMappedAllocator {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.alloc_block(&mut self.lock(), layout)
    }

    /// Writes zeroes only to bytes that the file had before: a large fresh block is not accessed.
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let mut blocks = self.lock();
        let fresh = blocks.fresh;
        let block = self.alloc_block(&mut blocks, layout)?;
        let at = block.cast::<u8>().addr().get() - self.mapping.as_ptr().addr().get();
        let used = fresh.saturating_sub(at).min(block.len());
        // SAFETY: the block is live, this call's alone, and at least that long.
        unsafe { block.cast::<u8>().write_bytes(0, used) };
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let mut blocks = self.lock();
        match self.live_block(&blocks, block.addr().get()) {
            Ok((at, live)) => {
                debug_assert!(
                    layout.align() == live.align() && layout.size() >= live.size(),
                    "{layout:?} for {live:?}"
                );
                Self::free_block(&mut blocks, at);
            }
            Err(cause) => debug_assert!(false, "{cause:?}"),
        }
    }

    fn state(&self) -> ResourceState {
        self.state_of(&self.lock())
    }
}

impl MemoryAllocator for MemoryMappedAllocator {
    type Error = AllocError;

    fn allocate(&self, size: usize, alignment: usize) -> Result<*mut u8, AllocError> {
        let layout =
            arenite_core::layout(size, alignment).map_err(|error| error.with_context(self.state(), LABEL))?;
        self.alloc_block(&mut self.lock(), layout).map(|block| block.cast::<u8>().as_ptr())
    }

    fn deallocate(&self, ptr: *mut u8, size: usize, alignment: usize) -> Result<(), AllocError> {
        let layout =
            arenite_core::layout(size, alignment).map_err(|error| error.with_context(self.state(), LABEL))?;
        let mut blocks = self.lock();
        let at = self.check_match(&blocks, ptr.addr(), layout);
        let at = at.map_err(|cause| AllocError::new(cause, layout, self.state_of(&blocks), LABEL))?;
        Self::free_block(&mut blocks, at);
        Ok(())
    }

    fn reallocate(
        &self,
        ptr: *mut u8,
        old_size: usize,
        new_size: usize,
        alignment: usize,
    ) -> Result<*mut u8, AllocError> {
        let layout = |size| {
            arenite_core::layout(size, alignment).map_err(|error| error.with_context(self.state(), LABEL))
        };
        let (old, new) = (layout(old_size)?, layout(new_size)?);
        let mut blocks = self.lock();
        let at = self.check_match(&blocks, ptr.addr(), old);
        let at = at.map_err(|cause| AllocError::new(cause, old, self.state_of(&blocks), LABEL))?;
        let moved = self.alloc_block(&mut blocks, new)?.cast::<u8>();
        // SAFETY: both blocks are live, at least that long, and disjoint. The old one is this
        // allocator's own: its pointer was looked up in the table instead of trusted.
        unsafe { moved.copy_from_nonoverlapping(self.at(at), old_size.min(new_size)) };
        Self::free_block(&mut blocks, at);
        Ok(moved.as_ptr())
    }

    fn allocated_size(&self) -> usize {
        self.lock().requested
    }

    fn peak_allocated(&self) -> usize {
        self.lock().peak_requested
    }

    fn reset_peak(&self) {
        let mut blocks = self.lock();
        (blocks.peak, blocks.peak_requested) = (blocks.in_use, blocks.requested);
    }
}

impl Trim for MemoryMappedAllocator {
    /// Truncates the file by the free range at its end, but never below its length at opening.
    fn trim(&self, target_held: usize) -> usize {
        let mut blocks = self.lock();
        let used = blocks.live.last().map_or(0, |(at, layout)| at + round_layout(*layout).unwrap_or(0));
        if !self.writable || target_held >= blocks.mapped {
            return 0;
        }
        let new_len = used.max(target_held).max(self.original).next_multiple_of(page_size());
        if new_len >= blocks.mapped {
            return 0;
        }
        let freed = blocks.mapped - new_len;
        // SAFETY: no live block lies beyond `new_len`, so no code uses that part of this value's
        // own range.
        if unsafe { os::reserve_at(self.at(new_len), freed, true) }.is_err() {
            return 0;
        }
        blocks.mapped = new_len;
        // a file that cannot be truncated keeps its bytes, so they are not fresh
        if self.file.set_len(new_len as u64).is_ok() {
            blocks.fresh = blocks.fresh.min(new_len);
            blocks.len = new_len;
        }
        freed
    }
}
