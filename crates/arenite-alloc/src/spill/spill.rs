//! The buffers, in memory and on disk.
//!
//! One lock is enough: buffers are large and few, and moving one takes longer than any wait for
//! the lock.
#![expect(unsafe_code, reason = "reads and writes blocks of its upstream")]

use super::error::SpillError;
use super::free_extents::FreeExtents;
use crate::Heap;
use crate::util::with_layout;
use arenite_core::{AllocError, AllocErrorKind, AllocResult, Bytes, Label, Resource, ResourceState, Trim};
use arenite_pages::Scalar;
use core::alloc::Layout;
use core::fmt::{self, Write as _};
use core::ptr::NonNull;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Alignment of every buffer, in bytes.
const ALIGN: usize = 64;

/// Large buffers of numbers. The least recently used ones are evicted to a file when memory is
/// short, and paged in when they are used.
///
/// A spill is also a [`Resource`], whose blocks stay in memory; buffers are evicted for them.
/// Buffers are evicted on [`Trim`] (a pressure monitor calls it), above the limit, and when the
/// upstream fails. The file has no name; the system removes it with the process. Any thread may
/// use any buffer; one buffer moves at a time.
///
/// ```
/// use arenite_alloc::Spill;
/// use arenite_core::Trim;
/// let spill = Spill::new("caches").with_limit(1 << 20);
/// let mut caches = Vec::new();
/// for number in 0..4 {
///     let mut cache = spill.allocate_buffer::<u64>(65_536)?; // 512 KiB: two fit in memory
///     cache.write()?.fill(number);
///     caches.push(cache);
/// }
/// for (number, cache) in caches.iter().enumerate() {
///     assert!(cache.read()?.iter().all(|&value| value == number as u64));
/// }
/// assert!(spill.stats().resident <= 1 << 20 && spill.stats().spilled >= 1 << 20);
/// spill.trim(0);
/// assert_eq!(spill.stats().resident, 0);
/// # Ok::<(), arenite_alloc::SpillError>(())
/// ```
pub struct Spill<R: Resource = Heap> {
    upstream: R,
    dir: Arc<Path>,
    limit: usize,
    label: Label,
    state: Mutex<State>,
}

/// Usage and counters of a spill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpillStats {
    /// Bytes of buffers in memory.
    pub resident: usize,
    /// Bytes of pinned buffers, which are in memory.
    pub pinned: usize,
    /// Bytes of buffers that are in the file only.
    pub spilled: usize,
    /// Number of buffers written to the file.
    pub writes: u64,
    /// Number of buffers read back from the file.
    pub reads: u64,
}

struct State {
    slots: Vec<Option<Slot>>,
    vacant: Vec<usize>,
    file: Option<File>,
    free_extents: FreeExtents,
    tick: u64,
    /// Bytes in memory, or about to be, that belong to no buffer or block yet.
    pending_bytes: usize,
    /// Number of blocks that stay in memory.
    blocks: usize,
    /// Maximum of the bytes in memory.
    peak: usize,
    stats: SpillStats,
}

struct Slot {
    layout: Layout,
    /// Address in memory, if the buffer is there.
    block: Option<NonNull<u8>>,
    /// File offset of an up-to-date copy, if there is one.
    on_disk: Option<u64>,
    used: u64,
    pins: u64,
}

// SAFETY: the slots own the blocks, which are used under the lock or while pinned.
unsafe impl Send for State {}

impl Spill {
    /// Makes a spill with a heap of its own; its file lies in the system's directory for temporary
    /// files.
    pub fn new(name: impl Into<Label>) -> Self {
        Self::with_upstream(name, Heap::new())
    }
}

impl<R: Resource> Spill<R> {
    /// Makes a spill whose buffers in memory come from `upstream`.
    pub fn with_upstream(name: impl Into<Label>, upstream: R) -> Self {
        let state = State {
            slots: Vec::new(),
            vacant: Vec::new(),
            file: None,
            free_extents: FreeExtents::default(),
            tick: 0,
            pending_bytes: 0,
            blocks: 0,
            peak: 0,
            stats: SpillStats::default(),
        };
        Self {
            upstream,
            dir: std::env::temp_dir().into(),
            limit: usize::MAX,
            label: name.into(),
            state: Mutex::new(state),
        }
    }

    /// Sets the directory of the file.
    #[must_use]
    pub fn with_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = dir.into().into();
        self
    }

    /// Limits the bytes in memory to `bytes`, except for buffers that are pinned at the same time.
    #[must_use]
    pub const fn with_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Returns the directory of the file.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Allocates a buffer of `count` zeroes and returns the number of its slot.
    pub(super) fn allocate_slot<T: Scalar>(&self, count: usize) -> Result<usize, SpillError> {
        let layout = Layout::array::<T>(count).and_then(|layout| layout.align_to(ALIGN)).map_err(|_| {
            let size = count.saturating_mul(size_of::<T>());
            SpillError::Memory(AllocError::bad_layout(size, ALIGN, self.usage(), self.label))
        })?;
        let block = self.reserve_block(layout, false)?;
        // SAFETY: a fresh block of that size.
        unsafe { block.write_bytes(0, layout.size()) };
        let mut state = self.state();
        state.pending_bytes -= layout.size();
        if !state.reserve_slot() {
            drop(state);
            // SAFETY: allocated above, and belongs to no buffer.
            unsafe { self.release_block(block, layout) };
            let cause = AllocErrorKind::Exhausted { errno: 0 };
            return Err(SpillError::Memory(AllocError::new(cause, layout, self.usage(), self.label)));
        }
        let used = state.next_tick();
        let slot = Some(Slot { layout, block: Some(block), on_disk: None, used, pins: 0 });
        Ok(match state.vacant.pop() {
            Some(number) => {
                state.slots[number] = slot;
                number
            }
            None => {
                state.slots.push(slot);
                state.slots.len() - 1
            }
        })
    }

    /// Returns the usage and counters.
    #[must_use]
    pub fn stats(&self) -> SpillStats {
        self.state().stats
    }

    /// Returns the state: `in_use` counts pinned buffers and blocks, `held` the bytes in memory.
    fn usage(&self) -> ResourceState {
        let state = self.state();
        ResourceState {
            in_use: state.stats.pinned,
            held: state.stats.resident,
            peak: state.peak,
            live_blocks: state.slots.len() - state.vacant.len() + state.blocks,
            largest_free: None,
            limit: Some(self.limit).filter(|&limit| limit < usize::MAX),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The data behind the lock is consistent after every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Allocates a block in memory and evicts buffers if necessary.
    ///
    /// The lock is not held during the upstream's call, which may evict buffers itself. `pinned`:
    /// the block is for a pinned buffer, which may exceed the limit.
    fn reserve_block(&self, layout: Layout, pinned: bool) -> Result<NonNull<u8>, SpillError> {
        let size = layout.size();
        let over = || {
            SpillError::Memory(AllocError::new(
                AllocErrorKind::LimitReached,
                layout,
                self.usage(),
                self.label,
            ))
        };
        if size > self.limit && !pinned {
            return Err(over());
        }
        loop {
            let mut state = self.state();
            // The bytes count from here on, so that no two calls use the same headroom.
            state.stats.resident += size;
            state.pending_bytes += size;
            while state.stats.resident > self.limit {
                match self.evict_one(&mut state) {
                    Ok(true) => {}
                    Ok(false) if pinned => break,
                    not => {
                        state.stats.resident -= size;
                        state.pending_bytes -= size;
                        if not.is_ok() && state.pending_bytes > 0 {
                            // The pending bytes of other calls cannot be evicted yet; they may be
                            // soon.
                            drop(state);
                            std::thread::yield_now();
                            state = self.state();
                            state.stats.resident += size;
                            state.pending_bytes += size;
                            continue;
                        }
                        drop(state);
                        return Err(not.err().unwrap_or_else(over));
                    }
                }
            }
            drop(state);
            let error = match self.upstream.allocate(layout) {
                Ok(block) => {
                    let mut state = self.state();
                    state.peak = state.peak.max(state.stats.resident);
                    return Ok(block.cast());
                }
                Err(error) => error,
            };
            let mut state = self.state();
            state.stats.resident -= size;
            state.pending_bytes -= size;
            if !self.evict_one(&mut state)? {
                drop(state);
                return Err(SpillError::Memory(self.with_context(error, layout)));
            }
        }
    }

    /// Relabels an upstream's error as this spill's.
    fn with_context(&self, error: AllocError, layout: Layout) -> AllocError {
        with_layout(error, layout).with_context(self.usage(), self.label)
    }

    /// Frees a block that belongs to no buffer.
    ///
    /// # Safety
    /// The block came from `reserve_block` with this layout, and is not used afterwards.
    unsafe fn release_block(&self, block: NonNull<u8>, layout: Layout) {
        self.state().stats.resident -= layout.size();
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.upstream.deallocate(block, layout) };
    }

    /// Evicts the least recently used buffer to the file. Returns `false` if none can be evicted.
    fn evict_one(&self, state: &mut State) -> Result<bool, SpillError> {
        let coldest = state.slots.iter().enumerate().filter_map(|(number, slot)| {
            let slot = slot.as_ref()?;
            (slot.pins == 0 && slot.block.is_some()).then_some((slot.used, number))
        });
        let Some((_, number)) = coldest.min() else { return Ok(false) };
        let failed = |source| SpillError::File { dir: Arc::clone(&self.dir), source };
        if state.file.is_none() {
            state.file = Some(anonymous_file(&self.dir).map_err(failed)?);
        }
        let State { slots, file: Some(file), free_extents, stats, .. } = state else { return Ok(false) };
        let Some(Slot { layout, block, on_disk, .. }) = &mut slots[number] else { return Ok(false) };
        let Some(start) = *block else { return Ok(false) };
        let (size, len) = (layout.size(), layout.size() as u64);
        if on_disk.is_none() {
            let at = free_extents.allocate(len).ok_or_else(|| failed(io::ErrorKind::OutOfMemory.into()))?;
            // SAFETY: a live block of that size that no guard pins; the lock is held.
            let bytes = unsafe { core::slice::from_raw_parts(start.as_ptr(), size) };
            if let Err(source) = file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(bytes)) {
                free_extents.free(at, len);
                return Err(failed(source));
            }
            *on_disk = Some(at);
            stats.writes += 1;
        }
        *block = None;
        stats.resident -= size;
        stats.spilled += size;
        // SAFETY: allocated there with this layout; its bytes are in the file.
        unsafe { self.upstream.deallocate(start, *layout) };
        Ok(true)
    }

    /// Pins a buffer in memory until [`Spill::unpin`]. `dirty` invalidates its copy in the file.
    pub(super) fn pin(&self, number: usize, dirty: bool) -> Result<NonNull<u8>, SpillError> {
        let (layout, found) = {
            let mut state = self.state();
            let used = state.next_tick();
            let state = &mut *state;
            let Some(slot) = &mut state.slots[number] else { unreachable!("a buffer has its slot") };
            // Pinned: the buffer is not evicted from here on.
            slot.pins += 1;
            slot.used = used;
            if slot.pins == 1 {
                state.stats.pinned += slot.layout.size();
            }
            (slot.layout, slot.block)
        };
        let start = match found {
            Some(start) => start,
            None => self.page_in(number, layout).inspect_err(|_| self.unpin(number))?,
        };
        if dirty {
            let mut state = self.state();
            let state = &mut *state;
            if let Some(at) = state.slots[number].as_mut().and_then(|slot| slot.on_disk.take()) {
                state.free_extents.free(at, layout.size() as u64);
            }
        }
        Ok(start)
    }

    /// Reads a pinned buffer from the file into memory.
    fn page_in(&self, number: usize, layout: Layout) -> Result<NonNull<u8>, SpillError> {
        let start = self.reserve_block(layout, true)?;
        // SAFETY: a fresh block of that size.
        unsafe { start.write_bytes(0, layout.size()) };
        // SAFETY: initialized just now, and this call's alone.
        let bytes = unsafe { core::slice::from_raw_parts_mut(start.as_ptr(), layout.size()) };
        let mut state = self.state();
        state.pending_bytes -= layout.size();
        let found = &mut *state;
        let (there, on_disk) =
            found.slots[number].as_ref().map_or((None, None), |slot| (slot.block, slot.on_disk));
        // Another thread that pins the buffer may have been first.
        let done = match (there, on_disk, &mut found.file) {
            (Some(there), ..) => Ok(there),
            (None, Some(at), Some(file)) => {
                file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(bytes)).map(|()| start)
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        if let (Ok(_), None, Some(slot)) = (&done, there, &mut found.slots[number]) {
            slot.block = Some(start);
            found.stats.spilled -= layout.size();
            found.stats.reads += 1;
        }
        drop(state);
        if !done.as_ref().is_ok_and(|&done| done == start) {
            // SAFETY: allocated above, and not the buffer's block.
            unsafe { self.release_block(start, layout) };
        }
        done.map_err(|source| SpillError::File { dir: Arc::clone(&self.dir), source })
    }

    pub(super) fn unpin(&self, number: usize) {
        self.state().unpin(number);
    }

    /// Frees a buffer.
    pub(super) fn free(&self, number: usize) {
        let mut state = self.state();
        let Some(slot) = state.slots[number].take() else { return };
        state.vacant.push(number);
        let size = slot.layout.size();
        if slot.pins > 0 {
            // The program has forgotten (`mem::forget`) a guard of this buffer.
            state.stats.pinned -= size;
        }
        match slot.block {
            Some(_) => state.stats.resident -= size,
            None => state.stats.spilled -= size,
        }
        if let Some(at) = slot.on_disk {
            state.free_extents.free(at, size as u64);
        }
        // A shorter file frees disk space. If the call fails, a long file is still correct.
        let end = state.free_extents.end();
        if let Some(file) = &state.file
            && file.metadata().is_ok_and(|found| found.len() > end.saturating_mul(2).saturating_add(1 << 20))
        {
            let _shorter: io::Result<()> = file.set_len(end);
        }
        drop(state);
        if let Some(start) = slot.block {
            // SAFETY: allocated there with this layout, and its buffer is freed.
            unsafe { self.upstream.deallocate(start, slot.layout) };
        }
    }
}

impl State {
    /// Reserves list capacity for one more buffer, and for freeing it.
    fn reserve_slot(&mut self) -> bool {
        let max = self.slots.len() + 1;
        self.slots.try_reserve(1).is_ok() && self.vacant.try_reserve(max - self.vacant.len()).is_ok()
    }

    const fn next_tick(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }

    fn unpin(&mut self, number: usize) {
        if let Some(slot) = &mut self.slots[number] {
            slot.pins -= 1;
            if slot.pins == 0 {
                self.stats.pinned -= slot.layout.size();
            }
        }
    }
}

/// Opens a file without a name in a directory.
fn anonymous_file(dir: &Path) -> io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let (before, process) = (".arenite-spill-", std::process::id());
    // Two numbers have at most thirty digits and a dash.
    let (mut name, mut path) = (String::new(), PathBuf::new());
    let none = |_| io::Error::from(io::ErrorKind::OutOfMemory);
    name.try_reserve(before.len() + 31).map_err(none)?;
    path.try_reserve(dir.as_os_str().len() + before.len() + 32).map_err(none)?;
    write!(name, "{before}{process}-{number}").map_err(io::Error::other)?;
    path.push(dir);
    path.push(name);
    // The standard library copies long paths for system calls and aborts without memory for it.
    Vec::<u8>::new().try_reserve(path.as_os_str().len() + 1).map_err(none)?;
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

impl<R: Resource> Spill<R> {
    /// Evicts buffers until at most `target_held` bytes are in memory. Returns the evicted bytes.
    ///
    /// The call ends early if the file cannot be written; the rest stays in memory. [`Trim`] trims
    /// the upstream as well.
    pub fn evict_to(&self, target_held: usize) -> usize {
        let mut state = self.state();
        let before = state.stats.resident;
        while state.stats.resident > target_held && self.evict_one(&mut state).is_ok_and(|went| went) {}
        before - state.stats.resident
    }
}

impl<R: Resource + Trim> Trim for Spill<R> {
    fn trim(&self, target_held: usize) -> usize {
        let released = self.evict_to(target_held);
        if released > 0 {
            self.upstream.trim(0);
        }
        released
    }
}

// SAFETY: blocks are the upstream's, which keeps the laws; evicting buffers before a second call
// changes none of them.
unsafe impl<R: Resource> Resource for Spill<R> {
    /// Allocates a block that stays in memory, and evicts buffers if necessary.
    fn allocate(&self, layout: Layout) -> AllocResult {
        let block = self.reserve_block(layout, false).map_err(|error| match error {
            SpillError::Memory(error) => error,
            SpillError::File { source, .. } => {
                let errno = source.raw_os_error().unwrap_or(0);
                AllocError::new(AllocErrorKind::Exhausted { errno }, layout, self.usage(), self.label)
            }
        })?;
        let mut state = self.state();
        state.pending_bytes -= layout.size();
        state.stats.pinned += layout.size();
        state.blocks += 1;
        drop(state);
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let mut state = self.state();
        state.stats.pinned -= layout.size();
        state.blocks -= 1;
        drop(state);
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.release_block(block, layout) };
    }

    fn state(&self) -> ResourceState {
        self.usage()
    }
}

impl<R: Resource> fmt::Debug for Spill<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.stats();
        out.debug_struct("Spill")
            .field("label", &self.label)
            .field("resident", &Bytes(stats.resident))
            .field("spilled", &Bytes(stats.spilled))
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}
