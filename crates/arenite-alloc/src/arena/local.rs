//! The arena of one thread: a bump, a limit, and counts.
//!
//! Rests on a [`Store`] for its memory. The fast path touches three words of this struct and nothing else; marks, chunks and
//! labels lie behind a cell that only the slow paths open.
#![expect(unsafe_code, reason = "hands out and takes back raw blocks")]

mod resource;

use super::adopted::{Adopted, AdoptedList};
use super::marks::{Mark, RestoreError, Segment};
use super::scope::{ArenaScope, ScopeGuard};
use super::store::{Chunk, Span, Store};
use super::{Chunked, DEFAULT_CHUNK, GRANULE, Reserved};
use arenite_core::{AllocCause, AllocError, Label, Resource, ResourceState};
use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::vec::Vec;

/// Numbers for arenas, so that a mark knows its own.
pub(crate) static ARENAS: AtomicU64 = AtomicU64::new(0);

/// An arena of one thread: blocks are bumped off one after the other and freed all at once.
///
/// [`Arena::new`] reserves addresses once and commits memory as it grows, so nothing moves; [`Arena::chunked`] takes chunks
/// from any upstream. `allocate` is O(1); `reset` and restoring a mark are O(1) whatever lies above (plus one call for each
/// value that was [adopted](Arena::adopt)), keep the memory, and cause no page fault in the next round;
/// [`Trim::trim`] gives memory back.
///
/// # Freeing
/// | how | needs | frees |
/// |---|---|---|
/// | [`reset`](Arena::reset) | `&mut` | everything |
/// | [`scope`](Arena::scope), [`scope_guard`](Arena::scope_guard) | `&mut` | what was allocated inside |
/// | [`restore_mut`](Arena::restore_mut) | `&mut` | what was allocated after the mark |
/// | [`restore`](Arena::restore) | `&`, and no live block above the mark | the same |
/// | dropping the last block | | that block |
///
/// # What runs `Drop`
/// An [`ArenaBox`](crate::ArenaBox) runs its value's destructor when it goes out of scope, like any box. A value given to
/// [`adopt`](Arena::adopt) is dropped by the arena when its memory is freed, newest first. A reference got by
/// [`ArenaBox::leak`](crate::ArenaBox::leak) runs nothing. Containers (`Vec<T, &Arena>`) drop their elements themselves.
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
pub struct Arena<S: Store = Reserved> {
    cursor: Cell<*mut u8>,
    limit: Cell<*mut u8>,
    /// Live blocks of the top segment.
    live: Cell<usize>,
    /// Where the top segment starts, in bytes in use.
    top: Cell<usize>,
    floor: Cell<*mut u8>,
    before: Cell<usize>,
    high: Cell<usize>,
    /// The top segment, but for its count.
    segment: Cell<Segment>,
    /// How many segments lie below the top one.
    depth: Cell<usize>,
    chunk: Cell<usize>,
    adopted: AdoptedList,
    number: u64,
    label: Label,
    cold: RefCell<Cold<S>>,
}

/// What only slow paths need.
#[derive(Debug)]
struct Cold<S> {
    store: S,
    /// The segments below the top one.
    below: Vec<Segment>,
    serials: u64,
}

// SAFETY: 1. the pointers are into memory that the store owns, which is `Send`. 2. adopted values are `Send` by the bound of
// `adopt`. 3. an arena can only be sent while nothing borrows it, and handles that keep no borrow (`Rc`) are not `Send`.
unsafe impl<S: Store + Send> Send for Arena<S> {}

impl Arena<Reserved> {
    /// An arena over one range of addresses, reserved when it is first used: 64 GiB, or as much as the process may map.
    #[must_use]
    pub fn new() -> Self {
        crate::ArenaOptions::new().build()
    }

    /// An arena that holds at most `bytes`.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        crate::ArenaOptions::new().capacity(bytes).build()
    }

    /// How much of the arena is in memory, and how much of that on huge pages, read from the kernel.
    ///
    /// # Errors
    /// [`std::io::Error`] if the kernel does not tell.
    pub fn huge_report(&self) -> std::io::Result<arenite_pages::HugeReport> {
        self.cold.borrow().store.huge_report()
    }
}

impl Default for Arena<Reserved> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: Resource> Arena<Chunked<R>> {
    /// An arena that takes chunks of 64 MiB from `upstream`, larger ones for larger blocks.
    #[must_use]
    pub fn chunked(upstream: R) -> Self {
        Self::chunked_by(upstream, DEFAULT_CHUNK)
    }

    /// An arena that takes chunks of `chunk_size` bytes from `upstream`, larger ones for larger blocks.
    #[must_use]
    pub fn chunked_by(upstream: R, chunk_size: usize) -> Self {
        Self::over(Chunked::new(upstream, chunk_size), Label::new("arena"))
    }

    /// What the state of the upstream is.
    pub fn upstream_state(&self) -> ResourceState {
        self.cold.borrow().store.upstream().state()
    }
}

impl<S: Store> Arena<S> {
    pub(crate) fn over(store: S, label: Label) -> Self {
        Self {
            cursor: Cell::new(Span::EMPTY.floor),
            limit: Cell::new(Span::EMPTY.limit),
            live: Cell::new(0),
            top: Cell::new(0),
            floor: Cell::new(Span::EMPTY.floor),
            before: Cell::new(0),
            high: Cell::new(0),
            segment: Cell::new(Segment::root(0)),
            depth: Cell::new(0),
            chunk: Cell::new(0),
            adopted: AdoptedList::new(),
            number: ARENAS.fetch_add(1, Relaxed),
            label,
            cold: RefCell::new(Cold { store, below: Vec::new(), serials: 1 }),
        }
    }

    /// The same arena under another name in errors and reports.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// The arena's name.
    pub const fn label(&self) -> Label {
        self.label
    }

    /// Bytes below the position, padding included.
    #[inline]
    pub fn in_use(&self) -> usize {
        self.before.get() + (self.cursor.get().addr() - self.floor.get().addr())
    }

    /// The chunks in the order in which the arena passes through them; one for a reserved range.
    pub fn chunks(&self) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        self.cold.borrow().store.chunks(self.cursor.get(), &mut |chunk| chunks.push(chunk));
        chunks
    }

    /// Where `layout` would start and end if it fits below the limit.
    #[inline(always)]
    fn fit(&self, layout: Layout) -> Option<(*mut u8, *mut u8)> {
        let cursor = self.cursor.get();
        let padding =
            if layout.align() > GRANULE { cursor.addr().wrapping_neg() & (layout.align() - 1) } else { 0 };
        // Neither sum overflows: a layout's size rounded up to its alignment is at most `isize::MAX`.
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
        // SAFETY: `start` lies below `limit`, in memory of the store's: not null.
        Some(unsafe { NonNull::new_unchecked(start) })
    }

    /// Allocates after asking the store for room.
    #[cold]
    #[inline(never)]
    fn grow_and_bump(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        // While the store is at work, the fast path is closed: an upstream that calls back finds no room here.
        let limit = self.limit.replace(self.cursor.get());
        let grown = match self.cold.try_borrow_mut() {
            Ok(mut cold) => cold
                .store
                .grow(self.cursor.get(), layout, self.label)
                .map(|span| (span, cold.store.current())),
            Err(_) => Err(AllocCause::Exhausted { errno: 0 }),
        };
        self.limit.set(limit);
        let (span, chunk) = grown.map_err(|cause| self.refuse(cause, layout))?;
        self.chunk.set(chunk);
        self.enter_span(span);
        self.bump(layout).ok_or_else(|| self.refuse(AllocCause::CapacityReached, layout))
    }

    #[cold]
    fn refuse(&self, cause: AllocCause, layout: Layout) -> AllocError {
        AllocError::new(cause, layout, self.state(), self.label)
    }

    /// Goes on in `span`: at the cursor where that lies in it, at its floor else.
    fn enter_span(&self, span: Span) {
        if span.floor != self.floor.get() || self.cursor.get().is_null() {
            self.cursor.set(span.floor);
            self.floor.set(span.floor);
            self.before.set(span.before);
        }
        self.limit.set(span.limit);
    }

    fn note_peak(&self) {
        if self.in_use() > self.high.get() {
            self.high.set(self.in_use());
        }
    }

    /// How far above the current chunk's floor `block` lies, if it lies below the cursor in that chunk.
    #[inline]
    fn offset_in_chunk(&self, block: NonNull<u8>) -> Option<usize> {
        let floor = self.floor.get().addr();
        let offset = block.addr().get().wrapping_sub(floor);
        (offset < self.cursor.get().addr() - floor).then_some(offset)
    }

    /// Whether `block`, of `size` bytes, ends at the cursor, in the current chunk and the top segment.
    #[inline]
    fn is_last(&self, block: NonNull<u8>, size: usize) -> bool {
        block.addr().get().wrapping_add(rounded(size)) == self.cursor.get().addr()
            && self.offset_in_chunk(block).is_some_and(|offset| self.before.get() + offset >= self.top.get())
    }

    /// The address `address` of the current chunk, as a pointer of the store's: a caller's pointer may be good for less.
    #[inline]
    fn in_chunk(&self, address: usize) -> *mut u8 {
        self.cursor.get().with_addr(address)
    }

    /// `block`, of the current chunk, as a pointer of the store's.
    #[inline]
    fn own(&self, block: NonNull<u8>) -> NonNull<u8> {
        NonNull::new(self.in_chunk(block.addr().get())).unwrap_or(block)
    }

    /// The bytes in use below `block`; `None` where that cannot be told, because the store is at work.
    #[inline]
    fn position_of(&self, block: NonNull<u8>) -> Option<usize> {
        match self.offset_in_chunk(block) {
            Some(offset) => Some(self.before.get() + offset),
            None => self.cold.try_borrow().ok()?.store.used_below(block.as_ptr()),
        }
    }

    /// Takes a block off the count of a segment below the top one. A block that cannot be found stays counted.
    #[cold]
    fn deallocate_below(&self, block: NonNull<u8>) {
        let Some(position) = self.position_of(block) else { return };
        let Ok(mut cold) = self.cold.try_borrow_mut() else { return };
        if position >= self.top.get() {
            self.live.set(self.live.get() - 1);
            return;
        }
        let index = cold.below.partition_point(|segment| segment.position <= position);
        if let Some(segment) = index.checked_sub(1).and_then(|index| cold.below.get_mut(index)) {
            debug_assert!(segment.live > 0, "more blocks given back than lent");
            segment.live -= 1;
        }
    }

    /// Takes a mark at the position. O(1); marks at one position with nothing allocated between are one mark.
    ///
    /// # Errors
    /// [`AllocCause::TooManyMarks`] if there is no memory for the list of open marks.
    #[inline]
    pub fn mark(&self) -> Result<Mark, AllocError> {
        if self.live.get() != 0 || self.top.get() != self.in_use() {
            self.open_segment()?;
        }
        Ok(Mark { arena: self.number, depth: self.depth.get(), serial: self.segment.get().serial })
    }

    #[inline(never)]
    fn open_segment(&self) -> Result<(), AllocError> {
        let Ok(mut cold) = self.cold.try_borrow_mut() else {
            return Err(self.refuse(AllocCause::TooManyMarks, Layout::new::<()>()));
        };
        if cold.below.try_reserve(1).is_err() {
            drop(cold);
            return Err(self.refuse(AllocCause::TooManyMarks, Layout::new::<()>()));
        }
        cold.below.push(Segment { live: self.live.get(), ..self.segment.get() });
        let serial = cold.serials;
        cold.serials += 1;
        self.depth.set(cold.below.len());
        self.segment.set(Segment { serial, ..self.position() });
        self.top.set(self.in_use());
        self.live.set(0);
        Ok(())
    }

    /// Frees everything allocated after `mark`, if nothing of it is alive; `mark` stays good. O(1).
    ///
    /// References from `alloc` and its kin count as alive for as long as the arena is shared: free them by
    /// [`Arena::restore_mut`], a scope, or [`Arena::reset`].
    ///
    /// # Errors
    /// [`RestoreError`]: blocks above the mark are alive (how many), the mark is stale, or another arena's. The arena is
    /// as it was.
    #[inline]
    pub fn restore(&self, mark: Mark) -> Result<(), RestoreError> {
        let (segment, alive) = self.find(mark)?;
        if alive > 0 {
            return Err(RestoreError::BlocksAlive { count: alive });
        }
        self.go_back(mark.depth, segment);
        Ok(())
    }

    /// Frees everything allocated after `mark`, dropping adopted values, newest first; `mark` stays good. Exclusive access
    /// proves that nothing borrows from the arena, so nothing is counted. O(1) plus the adopted values.
    ///
    /// # Errors
    /// [`RestoreError`]: the mark is stale or another arena's. The arena is as it was.
    ///
    /// # Panics
    /// If the destructor of an adopted value does; the arena is then as it was, less that value.
    #[inline]
    pub fn restore_mut(&mut self, mark: Mark) -> Result<(), RestoreError> {
        let (segment, _) = self.find(mark)?;
        self.adopted.drop_down_to(segment.position);
        self.go_back(mark.depth, segment);
        Ok(())
    }

    /// The segment that starts at `mark`, and how many blocks at or above it are alive.
    #[inline]
    fn find(&self, mark: Mark) -> Result<(Segment, usize), RestoreError> {
        if mark.arena != self.number {
            return Err(RestoreError::ForeignMark);
        }
        let (segment, below) = if mark.depth == self.depth.get() {
            (self.segment.get(), 0)
        } else {
            self.find_below(mark.depth)?
        };
        if segment.serial != mark.serial {
            return Err(RestoreError::StaleMark);
        }
        Ok((segment, below + self.live.get()))
    }

    /// The segment at `depth`, and how many blocks from there to the top segment are alive.
    #[cold]
    fn find_below(&self, depth: usize) -> Result<(Segment, usize), RestoreError> {
        let cold = self.cold.borrow();
        let open = cold.below.get(depth..).unwrap_or_default();
        let segment = *open.first().ok_or(RestoreError::StaleMark)?;
        Ok((segment, open.iter().map(|segment| segment.live).sum()))
    }

    /// Makes `segment`, at `depth`, the empty top segment.
    #[inline]
    fn go_back(&self, depth: usize, segment: Segment) {
        self.rewind(segment);
        self.live.set(0);
        if depth != self.depth.get() || segment.serial != self.segment.get().serial {
            self.cold.borrow_mut().below.truncate(depth);
            self.depth.set(depth);
            self.segment.set(segment);
            self.top.set(segment.position);
        }
    }

    /// Moves the cursor back to where `segment` starts.
    #[inline]
    fn rewind(&self, segment: Segment) {
        self.note_peak();
        if segment.chunk == self.chunk.get() && !segment.cursor.is_null() {
            self.cursor.set(segment.cursor);
        } else {
            self.rewind_chunk(segment);
        }
    }

    #[cold]
    fn rewind_chunk(&self, segment: Segment) {
        let span = self.cold.borrow_mut().store.rewind(segment.chunk);
        self.floor.set(span.floor);
        self.before.set(span.before);
        self.limit.set(span.limit);
        self.chunk.set(segment.chunk);
        self.cursor.set(if segment.cursor.is_null() { span.floor } else { segment.cursor });
    }

    /// Frees everything, dropping adopted values, newest first. Keeps the memory; every mark is stale afterwards. O(1) plus
    /// the adopted values.
    ///
    /// # Panics
    /// As [`Arena::restore_mut`].
    #[inline]
    pub fn reset(&mut self) {
        self.adopted.drop_down_to(0);
        let cold = self.cold.get_mut();
        let cursor = if self.chunk.get() == 0 { self.floor.get() } else { core::ptr::null_mut() };
        let root = Segment { cursor, ..Segment::root(cold.serials) };
        cold.serials += 1;
        self.go_back(0, root);
    }

    /// Runs `body` with a scope: what it allocates lives until it returns, what was allocated in an outer scope stays
    /// usable inside, and nothing allocated inside can leave.
    ///
    /// ```
    /// use arenite_alloc::Arena;
    /// let mut arena = Arena::new();
    /// let sum = arena.scope(|outer| {
    ///     let mut total = outer.alloc(0)?;
    ///     for step in 0..3 {
    ///         outer.scope(|inner| {
    ///             let part = inner.alloc(step)?;
    ///             *total += *part;
    ///             Ok::<(), arenite_core::AllocError>(())
    ///         })?;
    ///     }
    ///     Ok::<i32, arenite_core::AllocError>(*total)
    /// })?;
    /// assert_eq!(sum, 3);
    /// assert_eq!(arena.in_use(), 0);
    /// # Ok::<(), arenite_core::AllocError>(())
    /// ```
    ///
    /// Nothing allocated inside gets out:
    /// ```compile_fail
    /// let mut arena = arenite_alloc::Arena::new();
    /// let escaped = arena.scope(|scope| scope.alloc(1));
    /// ```
    #[inline]
    pub fn scope<T>(&mut self, body: impl for<'s> FnOnce(&mut ArenaScope<'s, S>) -> T) -> T {
        let mut guard = self.scope_guard();
        body(&mut guard.scope())
    }

    /// A scope that ends when the guard is dropped, for where a closure is in the way.
    #[inline]
    pub fn scope_guard(&mut self) -> ScopeGuard<'_, S> {
        ScopeGuard::enter(self)
    }

    /// What a scope must put back.
    #[inline]
    pub(crate) fn position(&self) -> Segment {
        Segment {
            position: self.in_use(),
            chunk: self.chunk.get(),
            cursor: self.cursor.get(),
            live: self.live.get(),
            serial: 0,
        }
    }

    /// Ends a scope that began at `position`: nothing allocated since is borrowed any more.
    #[inline]
    pub(crate) fn leave(&self, position: Segment) {
        self.adopted.drop_down_to(position.position);
        self.rewind(position);
        self.live.set(position.live);
    }

    /// Moves `value` into the arena, which drops it when its memory is freed ([`Arena::reset`], [`Arena::restore_mut`], the
    /// end of the arena), newest first.
    ///
    /// The value is `'static`, because its destructor runs when other values of the arena are gone already.
    ///
    /// # Errors
    /// [`AllocError`]; the value is then dropped.
    #[expect(clippy::mut_from_ref, reason = "each call lends a block of its own")]
    pub fn adopt<T: Send + 'static>(&self, value: T) -> Result<&mut T, AllocError> {
        let block = self.allocate(Layout::new::<Adopted<T>>())?.cast::<Adopted<T>>();
        let position = self.in_use() - rounded(size_of::<Adopted<T>>());
        // SAFETY: the block is fresh, of `Adopted<T>`'s layout, and stays until this list has dropped it: every way of
        // freeing it runs `drop_down_to` first or refuses, as the block counts as alive.
        Ok(unsafe { self.adopted.push(block, value, position) })
    }

    pub(crate) fn live_blocks(&self) -> usize {
        let below: usize =
            self.cold.try_borrow().map_or(0, |cold| cold.below.iter().map(|segment| segment.live).sum());
        below + self.live.get()
    }
}

/// The bytes that a block of `size` takes: at least one granule, whole granules.
#[inline(always)]
pub(crate) const fn rounded(size: usize) -> usize {
    let size = if size == 0 { 1 } else { size };
    (size + (GRANULE - 1)) & !(GRANULE - 1)
}

impl<S: Store> Drop for Arena<S> {
    fn drop(&mut self) {
        self.adopted.drop_down_to(0);
    }
}

impl<S: Store> fmt::Debug for Arena<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Arena")
            .field("label", &self.label)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
