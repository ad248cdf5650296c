//! The arena of one thread: a bump pointer, a limit, and counters.
//!
//! The fast path touches three words of this struct. Only the slow paths use the source of chunks
//! and the list of frames.
#![expect(unsafe_code, reason = "allocates and frees raw blocks")]

mod freeing;
mod resource;

use super::adopted::AdoptedList;
use super::chunk_source::{BumpRange, Chunk, ChunkSource, GRANULE};
use super::chunked::{Chunked, DEFAULT_CHUNK_BYTES};
use super::marks::MarkFrame;
use super::reserved_range::{HugePages, ReservedRange};
use arenite_core::{AllocError, AllocErrorKind, Label, Resource};
use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::vec::Vec;

const LABEL: Label = Label::new("arena");

/// Id of the next arena, by which a mark finds its own.
pub(crate) static NEXT_ARENA_ID: AtomicU64 = AtomicU64::new(0);

/// An arena of one thread: blocks are bump-allocated and freed all at once.
///
/// [`Arena::new`] reserves addresses once and commits memory as it grows, so nothing moves;
/// [`Arena::chunked`] allocates chunks of any upstream. `allocate` is O(1). `reset` and restoring
/// a mark are O(1) plus one call for each value with [a destructor](Arena::alloc_with_drop). They
/// keep the memory, so the next round causes no page fault;
/// [`Trim::trim`](arenite_core::Trim::trim) releases it.
///
/// # Freeing
/// | how | needs | frees |
/// |---|---|---|
/// | [`reset`](Arena::reset) | `&mut` | everything |
/// | [`scope`](Arena::scope), [`scope_guard`](Arena::scope_guard) | `&mut` | the scope's blocks |
/// | [`restore_mut`](Arena::restore_mut) | `&mut` | the blocks allocated after the mark |
/// | [`restore`](Arena::restore) | `&`, no live block above the mark | as `restore_mut` |
/// | dropping the last block | | that block |
///
/// # Destructors
/// An [`ArenaBox`](crate::ArenaBox) runs its value's destructor at the end of its scope, like any
/// box. A value of [`alloc_with_drop`](Arena::alloc_with_drop) is dropped by the arena when its
/// memory is freed, newest first. A reference from [`ArenaBox::leak`](crate::ArenaBox::leak) runs
/// no destructor. Containers (`Vec<T, &Arena>`) drop their elements themselves.
///
/// ```
/// use arenite_alloc::Arena;
/// use allocator_api2::vec::Vec;
/// let arena = Arena::new();
/// let weights = arena.alloc_slice_copy(&[0.5f32, 0.25])?;
/// let mark = arena.mark()?;
/// let mut activations = Vec::new_in(&arena);
/// activations.extend(weights.iter().map(|w| w * 2.0));
/// assert!(arena.restore(mark).is_err()); // one block above the mark is alive
/// drop(activations);
/// arena.restore(mark)?;
/// assert_eq!(weights, &[0.5, 0.25]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Arena<S: ChunkSource = ReservedRange> {
    cursor: Cell<*mut u8>,
    limit: Cell<*mut u8>,
    /// Number of live blocks of the top frame.
    live: Cell<usize>,
    /// Start of the top frame, in bytes in use.
    top: Cell<usize>,
    floor: Cell<*mut u8>,
    before: Cell<usize>,
    /// Peak of the bytes in use in earlier chunks.
    high: Cell<usize>,
    /// Highest address that the cursor moved down from in the current chunk; 0 if it never did.
    highest: Cell<usize>,
    /// The top frame, except for its count.
    frame: Cell<MarkFrame>,
    /// Number of frames below the top one.
    depth: Cell<usize>,
    chunk: Cell<usize>,
    adopted: AdoptedList,
    id: u64,
    label: Label,
    source: S,
    /// The frames below the top one. Never borrowed while code of the user runs.
    below: RefCell<Vec<MarkFrame>>,
    /// Serial number of the next frame.
    serials: Cell<u64>,
}

// SAFETY: 1. the pointers are into memory that the source owns, which is `Send`. 2. adopted values
// are `Send` by the bound of `alloc_with_drop`. 3. an arena can only be sent while nothing borrows
// it, and handles that keep no borrow (`Rc`) are not `Send`.
unsafe impl<S: ChunkSource + Send> Send for Arena<S> {}

impl Arena<ReservedRange> {
    /// Makes an arena over one range of addresses, reserved by the first allocation: 64 GiB, or as
    /// much as the process may map.
    #[must_use]
    pub fn new() -> Self {
        Self::from_source(ReservedRange::new(None, HugePages::Auto), LABEL)
    }

    /// Makes an arena of at most `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self::from_source(ReservedRange::new(Some(bytes), HugePages::Auto), LABEL)
    }

    /// Reads from the kernel how much of the arena is in memory, and how much of that on huge
    /// pages.
    ///
    /// # Errors
    /// [`std::io::Error`] if the kernel does not report it.
    pub fn huge_report(&self) -> std::io::Result<arenite_pages::HugePageUsage> {
        self.source.huge_report()
    }
}

impl Default for Arena<ReservedRange> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: Resource> Arena<Chunked<R>> {
    /// Makes an arena that allocates chunks of 64 MiB from `upstream`, larger ones for larger
    /// blocks.
    #[must_use]
    pub fn chunked(upstream: R) -> Self {
        Self::with_chunk_size(upstream, DEFAULT_CHUNK_BYTES)
    }

    /// Makes an arena that allocates chunks of `chunk_size` bytes from `upstream`, larger ones for
    /// larger blocks.
    #[must_use]
    pub fn with_chunk_size(upstream: R, chunk_size: usize) -> Self {
        Self::from_source(Chunked::new(upstream, chunk_size), LABEL)
    }
}

impl<S: ChunkSource> Arena<S> {
    pub(crate) fn from_source(source: S, label: Label) -> Self {
        Self {
            cursor: Cell::new(BumpRange::EMPTY.floor),
            limit: Cell::new(BumpRange::EMPTY.limit),
            live: Cell::new(0),
            top: Cell::new(0),
            floor: Cell::new(BumpRange::EMPTY.floor),
            before: Cell::new(0),
            high: Cell::new(0),
            highest: Cell::new(0),
            frame: Cell::new(MarkFrame::root(0)),
            depth: Cell::new(0),
            chunk: Cell::new(0),
            adopted: AdoptedList::new(),
            id: NEXT_ARENA_ID.fetch_add(1, Relaxed),
            label,
            source,
            below: RefCell::new(Vec::new()),
            serials: Cell::new(1),
        }
    }

    /// Sets the label in errors and reports.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// Returns the arena's label.
    pub const fn label(&self) -> Label {
        self.label
    }

    /// Returns the bytes below the position, padding included.
    #[inline]
    pub fn in_use(&self) -> usize {
        self.before.get() + (self.cursor.get().addr() - self.floor.get().addr())
    }

    /// Returns the chunks in the order of use; one for a reserved range.
    pub fn chunks(&self) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        // The allocator runs before the visit: it may itself use the arena.
        while chunks.capacity() < self.source.chunk_count() {
            chunks.reserve(self.source.chunk_count());
        }
        self.source.chunks(self.cursor.get(), &mut |chunk| chunks.push(chunk));
        chunks
    }

    /// Returns the start and end of `layout`, or `None` if it does not fit below the limit.
    #[inline(always)]
    fn fit(&self, layout: Layout) -> Option<(*mut u8, *mut u8)> {
        let cursor = self.cursor.get();
        let padding =
            if layout.align() > GRANULE { cursor.addr().wrapping_neg() & (layout.align() - 1) } else { 0 };
        // Neither sum overflows: a layout's size rounded up to its alignment is at most
        // `isize::MAX`.
        let need = padding + rounded(layout.size());
        if need > self.limit.get().addr() - cursor.addr() {
            return None;
        }
        Some((cursor.wrapping_add(padding), cursor.wrapping_add(need)))
    }

    #[inline(always)]
    fn bump(&self, layout: Layout) -> Option<NonNull<u8>> {
        let (start, end) = self.fit(layout)?;
        self.cursor.set(end);
        self.live.set(self.live.get() + 1);
        // SAFETY: `start` lies below `limit`, in memory of the source: not null.
        Some(unsafe { NonNull::new_unchecked(start) })
    }

    /// Grows the source and allocates.
    #[cold]
    #[inline(never)]
    fn grow_and_bump(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let grown = self.source.grow(&self.cursor, layout, self.label);
        let range = grown.map_err(|cause| self.alloc_error(cause, layout))?;
        self.chunk.set(self.source.current());
        self.set_bump_range(range);
        self.bump(layout).ok_or_else(|| self.alloc_error(AllocErrorKind::CapacityReached, layout))
    }

    #[cold]
    fn alloc_error(&self, cause: AllocErrorKind, layout: Layout) -> AllocError {
        AllocError::new(cause, layout, self.state(), self.label)
    }

    /// Continues in `range`: at the cursor if it lies there, or else at the floor.
    fn set_bump_range(&self, range: BumpRange) {
        if range.floor != self.floor.get() || self.cursor.get().is_null() {
            self.update_peak();
            self.cursor.set(range.floor);
            self.floor.set(range.floor);
            self.before.set(range.before);
        }
        self.limit.set(range.limit);
    }

    /// Records the cursor before it moves down.
    #[inline]
    fn record_high(&self) {
        let cursor = self.cursor.get().addr();
        if cursor > self.highest.get() {
            self.highest.set(cursor);
        }
    }

    /// Returns the peak of the bytes in use.
    fn peak(&self) -> usize {
        let highest = self.highest.get().max(self.cursor.get().addr());
        self.high.get().max(self.before.get() + (highest - self.floor.get().addr()))
    }

    /// Saves the peak before the current chunk changes.
    fn update_peak(&self) {
        self.high.set(self.peak());
        self.highest.set(0);
    }

    /// Returns the offset of `block` from the current chunk's floor, or `None` if it does not lie
    /// below the cursor there.
    #[inline]
    fn offset_in_chunk(&self, block: NonNull<u8>) -> Option<usize> {
        let floor = self.floor.get().addr();
        let offset = block.addr().get().wrapping_sub(floor);
        (offset < self.cursor.get().addr() - floor).then_some(offset)
    }

    /// Returns whether `block`, of `size` bytes, ends at the cursor, in the current chunk and the
    /// top frame.
    #[inline]
    fn is_last(&self, block: NonNull<u8>, size: usize) -> bool {
        block.addr().get().wrapping_add(rounded(size)) == self.cursor.get().addr()
            && self.offset_in_chunk(block).is_some_and(|offset| self.before.get() + offset >= self.top.get())
    }

    /// Returns `address` in the current chunk with the source's provenance. The caller's pointer
    /// may have less.
    #[inline]
    fn ptr_in_chunk(&self, address: usize) -> *mut u8 {
        self.cursor.get().with_addr(address)
    }

    /// Returns `block`, in the current chunk, with the source's provenance.
    #[inline]
    fn with_own_provenance(&self, block: NonNull<u8>) -> NonNull<u8> {
        NonNull::new(self.ptr_in_chunk(block.addr().get())).unwrap_or(block)
    }

    /// Returns the bytes in use below `block`, or `None` if it is not in the arena.
    #[inline]
    fn position_of(&self, block: NonNull<u8>) -> Option<usize> {
        match self.offset_in_chunk(block) {
            Some(offset) => Some(self.before.get() + offset),
            None => self.source.position_in_earlier_chunk(block.as_ptr()),
        }
    }

    /// Decrements the count of a frame below the top one. A block that is not found stays counted.
    #[cold]
    fn deallocate_below(&self, block: NonNull<u8>) {
        let Some(position) = self.position_of(block) else { return };
        if position >= self.top.get() {
            self.live.set(self.live.get() - 1);
            return;
        }
        let mut below = self.below.borrow_mut();
        let index = below.partition_point(|frame| frame.position <= position);
        if let Some(frame) = index.checked_sub(1).and_then(|index| below.get_mut(index)) {
            debug_assert!(frame.live > 0, "more blocks freed than allocated");
            frame.live -= 1;
        }
    }

    pub(crate) fn live_blocks(&self) -> usize {
        self.below.borrow().iter().map(|frame| frame.live).sum::<usize>() + self.live.get()
    }
}

/// Returns the bytes that a block of `size` bytes takes: at least one granule, in whole granules.
#[inline(always)]
pub(crate) const fn rounded(size: usize) -> usize {
    let size = if size == 0 { 1 } else { size };
    (size + (GRANULE - 1)) & !(GRANULE - 1)
}

impl<S: ChunkSource> Drop for Arena<S> {
    fn drop(&mut self) {
        self.adopted.drop_down_to(0);
    }
}

impl<S: ChunkSource> fmt::Debug for Arena<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Arena")
            .field("label", &self.label)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
