//! The arena that threads share.
//!
//! Allocating takes no lock (two atomic operations); marks, restores and growth do.
#![expect(unsafe_code, reason = "allocates and frees raw blocks")]

use super::adopted::{Adopted, AdoptedList};
use super::chunk_source::{ChunkSource, GRANULE};
use super::local::{NEXT_ARENA_ID, rounded};
use super::marks::{Mark, RestoreError};
use super::reserved_range::{HugePages, ReservedRange};
use super::shared_cursor::{MAX_OFFSET, SharedCursor};
use arenite_core::{
    AllocError, AllocErrorKind, AllocResult, Label, Owns, Resource, ResourceState, Trim, realloc_by_copy,
};
use core::alloc::Layout;
use core::cell::Cell;
use core::fmt;
use core::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An arena that many threads allocate from at once; see [`Arena`](crate::Arena).
///
/// `allocate` and `deallocate` are lock-free and O(1). A block freed by another thread is counted
/// in its own frame. At most 63 marks are open at once. [`SharedArena::restore`] may fail while
/// another thread is inside an allocation that then fails or lands below: try again.
///
/// ```
/// use arenite_alloc::SharedArena;
/// let arena = SharedArena::new();
/// std::thread::scope(|threads| {
///     for id in 0..2u64 {
///         let arena = &arena;
///         threads.spawn(move || arena.alloc(id).map(|value| assert_eq!(*value, id)));
///     }
/// });
/// assert_eq!(arena.in_use(), 16);
/// ```
pub struct SharedArena {
    cursor: SharedCursor,
    base: AtomicPtr<u8>,
    source: Mutex<ReservedRange>,
    adopted: Mutex<AdoptedList>,
    id: u64,
    label: Label,
}

impl Default for SharedArena {
    fn default() -> Self {
        Self::new()
    }
}

impl SharedArena {
    /// Makes an arena over one range of addresses, reserved by the first allocation: 64 GiB, or as
    /// much as the process may map.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(None, HugePages::Auto, Label::new("arena"))
    }

    /// Makes an arena of at most `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self::with_options(Some(bytes), HugePages::Auto, Label::new("arena"))
    }

    pub(super) fn with_options(capacity: Option<usize>, huge: HugePages, label: Label) -> Self {
        let max = MAX_OFFSET & !(GRANULE - 1);
        let source = ReservedRange::new(capacity.map(|capacity| capacity.min(max)), huge);
        Self {
            cursor: SharedCursor::new(),
            base: AtomicPtr::new(core::ptr::null_mut()),
            source: Mutex::new(source),
            adopted: Mutex::new(AdoptedList::new()),
            id: NEXT_ARENA_ID.fetch_add(1, Ordering::Relaxed),
            label,
        }
    }

    /// Sets the label in errors and reports.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// Returns the bytes below the position, padding included.
    pub fn in_use(&self) -> usize {
        self.cursor.offset()
    }

    fn source(&self) -> MutexGuard<'_, ReservedRange> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn adopted(&self) -> MutexGuard<'_, AdoptedList> {
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the start and end of `layout` above `offset`.
    #[inline]
    fn fit(base: *mut u8, layout: Layout, offset: usize) -> Option<(usize, usize)> {
        let padding = base.addr().wrapping_add(offset).wrapping_neg() & (layout.align() - 1);
        let start = offset + padding;
        start.checked_add(rounded(layout.size())).map(|end| (start, end))
    }

    #[inline]
    fn bump(&self, layout: Layout) -> Option<NonNull<u8>> {
        let base = self.base.load(Ordering::Acquire);
        if base.is_null() {
            return None;
        }
        let start = self.cursor.bump(|offset| Self::fit(base, layout, offset))?;
        NonNull::new(base.wrapping_add(start))
    }

    /// Grows the source and allocates, again if other threads used the memory first.
    #[cold]
    #[inline(never)]
    fn grow_and_bump(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        loop {
            let grown = {
                let source = self.source();
                let base = self.base.load(Ordering::Relaxed);
                let cursor = if base.is_null() { base } else { base.wrapping_add(self.cursor.offset()) };
                source.grow(&Cell::new(cursor), layout, self.label).map(|range| {
                    self.base.store(range.floor, Ordering::Release);
                    let len = range.limit.addr() - range.floor.addr();
                    self.cursor.set_limit(len.min(MAX_OFFSET));
                })
            };
            grown.map_err(|cause| self.alloc_error(cause, layout))?;
            if let Some(start) = self.bump(layout) {
                return Ok(start);
            }
        }
    }

    #[cold]
    fn alloc_error(&self, cause: AllocErrorKind, layout: Layout) -> AllocError {
        AllocError::new(cause, layout, self.state(), self.label)
    }

    fn offset_of(&self, block: NonNull<u8>) -> usize {
        block.addr().get().wrapping_sub(self.base.load(Ordering::Relaxed).addr())
    }

    /// Makes a mark at the position; see [`Arena::mark`](crate::Arena::mark).
    ///
    /// # Errors
    /// [`AllocErrorKind::TooManyMarks`] if 63 are open.
    pub fn mark(&self) -> Result<Mark, AllocError> {
        let Some((depth, serial)) = self.cursor.mark() else {
            return Err(self.alloc_error(AllocErrorKind::TooManyMarks, Layout::new::<()>()));
        };
        Ok(Mark { arena: self.id, depth, serial })
    }

    /// Frees everything allocated after `mark`, if none of it is live; see
    /// [`Arena::restore`](crate::Arena::restore).
    ///
    /// # Errors
    /// [`RestoreError`]; the arena is unchanged.
    pub fn restore(&self, mark: Mark) -> Result<(), RestoreError> {
        self.check_owner(mark)?;
        self.cursor.restore(mark.depth, mark.serial)
    }

    /// Frees everything allocated after `mark`; see
    /// [`Arena::restore_mut`](crate::Arena::restore_mut).
    ///
    /// # Errors
    /// [`RestoreError`]: the mark is stale or belongs to another arena.
    ///
    /// # Panics
    /// If the destructor of an adopted value does.
    pub fn restore_mut(&mut self, mark: Mark) -> Result<(), RestoreError> {
        self.check_owner(mark)?;
        let start = self.cursor.start_of(mark.depth, mark.serial)?;
        self.adopted().drop_down_to(start);
        self.cursor.reset_to(start, mark.depth, 0);
        Ok(())
    }

    fn check_owner(&self, mark: Mark) -> Result<(), RestoreError> {
        if mark.arena == self.id { Ok(()) } else { Err(RestoreError::ForeignMark) }
    }

    /// Frees everything and keeps the memory; see [`Arena::reset`](crate::Arena::reset).
    ///
    /// # Panics
    /// If the destructor of an adopted value does.
    pub fn reset(&mut self) {
        self.adopted().drop_down_to(0);
        self.cursor.reset();
    }

    /// Runs `body`, whose threads may share the arena, and frees the blocks allocated meanwhile.
    ///
    /// ```
    /// let mut arena = arenite_alloc::SharedArena::new();
    /// let sum = arena.scope(|scope| {
    ///     scope.alloc_slice_copy(&[1, 2, 3]).map(|values| values.iter().sum::<i32>())
    /// })?;
    /// assert_eq!((sum, arena.in_use()), (6, 0));
    /// # Ok::<(), arenite_core::AllocError>(())
    /// ```
    pub fn scope<T>(&mut self, body: impl for<'s> FnOnce(&'s Self) -> T) -> T {
        let (depth, live) = self.cursor.top();
        let offset = self.cursor.offset();
        self.cursor.seal(depth + 1);
        let leave = RestoreOnDrop { arena: self, offset, depth, live };
        body(leave.arena)
    }

    /// Moves `value` into the arena, which drops it when its memory is freed; see
    /// [`Arena::alloc_with_drop`](crate::Arena::alloc_with_drop).
    ///
    /// # Errors
    /// [`AllocError`]; the value is then dropped.
    #[expect(clippy::mut_from_ref, reason = "each call returns its own block")]
    pub fn alloc_with_drop<T: Send + 'static>(&self, value: T) -> Result<&mut T, AllocError> {
        // Locked over both steps, so that the list is in the order of positions.
        let adopted = self.adopted();
        let block = self.allocate(Layout::new::<Adopted<T>>())?.cast::<Adopted<T>>();
        let position = self.offset_of(block.cast());
        // SAFETY: the block is fresh and of `Adopted<T>`'s layout. The block stays until this list
        // has dropped the value: every way of freeing runs `drop_down_to` first or fails, because
        // the block counts as live.
        Ok(unsafe { adopted.push(block, value, position) })
    }
}

/// A guard that ends a scope of a shared arena, also when its body panics.
struct RestoreOnDrop<'a> {
    arena: &'a mut SharedArena,
    offset: usize,
    depth: usize,
    live: usize,
}

impl Drop for RestoreOnDrop<'_> {
    fn drop(&mut self) {
        // First, so that a destructor that panics leaves no scope open.
        self.arena.cursor.seal(0);
        self.arena.adopted().drop_down_to(self.offset);
        self.arena.cursor.reset_to(self.offset, self.depth, self.live);
    }
}

// SAFETY: 1. `fit` aligns the start; `SharedCursor::bump` keeps the end below the limit, which is
// committed (or frozen before it is decommitted). 2. the word moves up with every block, and down
// only in `restore`, when no block above is counted, and through `&mut self`. 3. the range does
// not move with the arena. 4. `rounded` takes at least a granule.
unsafe impl Resource for SharedArena {
    #[inline]
    fn allocate(&self, layout: Layout) -> AllocResult {
        let start = match self.bump(layout) {
            Some(start) => start,
            None => self.grow_and_bump(layout)?,
        };
        Ok(NonNull::slice_from_raw_parts(start, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, _layout: Layout) {
        self.cursor.release(self.offset_of(block));
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        let start = self.offset_of(block);
        let (end, new_end) = (start + rounded(old.size()), start.saturating_add(rounded(new.size())));
        let aligned = block.addr().get().is_multiple_of(new.align());
        if aligned && (end == new_end || self.cursor.extend(start, end, new_end)) {
            // Made from the arena's own pointer: the caller's provenance may cover no more than the
            // old size.
            let own = self.base.load(Ordering::Relaxed).wrapping_add(start);
            return Ok(NonNull::slice_from_raw_parts(NonNull::new(own).unwrap_or(block), new.size()));
        }
        // SAFETY: the caller's promises, with `old.size()` the smaller size.
        unsafe { realloc_by_copy(self, block, old, new, old.size()) }
    }

    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        if block.addr().get().is_multiple_of(new.align()) {
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        // SAFETY: the caller's promises, with `new.size()` the smaller size.
        unsafe { realloc_by_copy(self, block, old, new, new.size()) }
    }

    fn state(&self) -> ResourceState {
        let source = self.source();
        let in_use = self.cursor.offset();
        ResourceState {
            in_use,
            held: source.held().max(in_use),
            peak: self.cursor.peak(),
            live_blocks: self.cursor.live(),
            largest_free: Some(self.cursor.limit().saturating_sub(in_use)),
            limit: source.capacity(),
        }
    }
}

// SAFETY: every block lies in the range, and no other resource's block does.
unsafe impl Owns for SharedArena {
    fn owns(&self, block: NonNull<u8>) -> bool {
        !self.base.load(Ordering::Acquire).is_null() && self.offset_of(block) < self.cursor.offset()
    }
}

impl Trim for SharedArena {
    /// Decommits the memory above the position; allocations wait meanwhile.
    fn trim(&self, target_held: usize) -> usize {
        let source = self.source();
        let base = self.base.load(Ordering::Acquire);
        if base.is_null() {
            return 0;
        }
        let position = self.cursor.freeze();
        let (released, range) = source.trim(&Cell::new(base.wrapping_add(position)), target_held);
        self.cursor.set_limit((range.limit.addr() - range.floor.addr()).min(MAX_OFFSET));
        released
    }
}

impl Drop for SharedArena {
    fn drop(&mut self) {
        self.adopted().drop_down_to(0);
    }
}

impl fmt::Debug for SharedArena {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SharedArena")
            .field("label", &self.label)
            .field("in_use", &self.in_use())
            .finish_non_exhaustive()
    }
}
