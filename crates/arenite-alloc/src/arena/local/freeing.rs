//! Freeing an arena: marks, restores, scopes, resets, and values with destructors.
//!
//! Each way of freeing moves the cursor back once. They differ in the proof that nothing above is
//! in use: a count, exclusive access, or the end of a scope.
#![expect(unsafe_code, reason = "moves adopted values into raw blocks")]

use super::{Arena, rounded};
use crate::arena::adopted::Adopted;
use crate::arena::chunk_source::ChunkSource;
use crate::arena::marks::{Mark, MarkFrame, RestoreError};
use crate::util::fallible_vec::try_with_spare;
use arenite_core::{AllocError, AllocErrorKind, Resource};
use core::alloc::Layout;

impl<S: ChunkSource> Arena<S> {
    /// Makes a mark at the position. O(1). Marks at one position with nothing allocated between are
    /// one mark.
    ///
    /// # Errors
    /// [`AllocErrorKind::TooManyMarks`] if there is no memory for the list of open marks.
    #[inline]
    pub fn mark(&self) -> Result<Mark, AllocError> {
        if self.live.get() != 0 || self.top.get() != self.in_use() {
            self.open_frame()?;
        }
        Ok(Mark { arena: self.id, depth: self.depth.get(), serial: self.frame.get().serial })
    }

    #[inline(never)]
    fn open_frame(&self) -> Result<(), AllocError> {
        let opened = try_with_spare(&self.below, |below| {
            below.push(MarkFrame { live: self.live.get(), ..self.frame.get() });
            self.depth.set(below.len());
            self.frame.set(MarkFrame { serial: self.next_serial(), ..self.position() });
            self.top.set(self.in_use());
            self.live.set(0);
        });
        opened.map_err(|_| self.alloc_error(AllocErrorKind::TooManyMarks, Layout::new::<()>()))
    }

    /// Frees everything allocated after `mark`, if none of it is live; `mark` stays valid. O(1).
    ///
    /// References from `alloc` and similar methods count as live as long as the arena is shared:
    /// free them with [`Arena::restore_mut`], a scope, or [`Arena::reset`].
    ///
    /// # Errors
    /// A [`RestoreError`] if blocks above the mark are live (how many), the mark is stale, or it
    /// belongs to another arena. The arena is unchanged.
    #[inline]
    pub fn restore(&self, mark: Mark) -> Result<(), RestoreError> {
        if self.is_top(mark) && self.live.get() == 0 {
            self.empty_top_frame();
            return Ok(());
        }
        self.restore_counted(mark)
    }

    #[inline(never)]
    fn restore_counted(&self, mark: Mark) -> Result<(), RestoreError> {
        let (frame, alive) = self.find(mark)?;
        if alive > 0 {
            return Err(RestoreError::BlocksAlive { count: alive });
        }
        self.restore_frame(mark.depth, frame);
        Ok(())
    }

    /// Frees everything allocated after `mark` and drops adopted values, newest first; `mark` stays
    /// valid.
    ///
    /// Exclusive access proves that nothing borrows from the arena, so no count is checked. O(1)
    /// plus the adopted values.
    ///
    /// # Errors
    /// [`RestoreError`]: the mark is stale or belongs to another arena. The arena is unchanged.
    ///
    /// # Panics
    /// If the destructor of an adopted value does; the arena is then unchanged except for that
    /// value.
    #[inline]
    pub fn restore_mut(&mut self, mark: Mark) -> Result<(), RestoreError> {
        if !self.is_top(mark) {
            return self.restore_lower(mark);
        }
        self.adopted.drop_down_to(self.top.get());
        self.empty_top_frame();
        Ok(())
    }

    /// Returns whether `mark` is the start of the top frame.
    #[inline]
    fn is_top(&self, mark: Mark) -> bool {
        mark.arena == self.id && mark.depth == self.depth.get() && mark.serial == self.frame.get().serial
    }

    /// Empties the top frame.
    #[inline]
    fn empty_top_frame(&self) {
        self.rewind(self.frame.get());
        self.live.set(0);
    }

    /// Restores a mark below the top frame.
    #[inline(never)]
    fn restore_lower(&mut self, mark: Mark) -> Result<(), RestoreError> {
        if mark.arena != self.id {
            return Err(RestoreError::ForeignMark);
        }
        let frame = *self.below.get_mut().get(mark.depth).ok_or(RestoreError::StaleMark)?;
        if frame.serial != mark.serial {
            return Err(RestoreError::StaleMark);
        }
        self.adopted.drop_down_to(frame.position);
        self.rewind(frame);
        self.live.set(0);
        self.below.get_mut().truncate(mark.depth);
        self.depth.set(mark.depth);
        self.frame.set(frame);
        self.top.set(frame.position);
        Ok(())
    }

    /// Returns the frame that starts at `mark`, and the number of live blocks from there on.
    #[inline]
    fn find(&self, mark: Mark) -> Result<(MarkFrame, usize), RestoreError> {
        if mark.arena != self.id {
            return Err(RestoreError::ForeignMark);
        }
        let (frame, below) =
            if mark.depth == self.depth.get() { (self.frame.get(), 0) } else { self.find_below(mark.depth)? };
        if frame.serial != mark.serial {
            return Err(RestoreError::StaleMark);
        }
        Ok((frame, below + self.live.get()))
    }

    /// Returns the frame at `depth`, and the number of live blocks from there up to the top frame.
    #[cold]
    fn find_below(&self, depth: usize) -> Result<(MarkFrame, usize), RestoreError> {
        let below = self.below.borrow();
        let open = below.get(depth..).unwrap_or_default();
        let frame = *open.first().ok_or(RestoreError::StaleMark)?;
        Ok((frame, open.iter().map(|frame| frame.live).sum()))
    }

    /// Makes `frame`, at `depth`, the empty top frame.
    #[inline]
    fn restore_frame(&self, depth: usize, frame: MarkFrame) {
        self.rewind(frame);
        self.live.set(0);
        if depth != self.depth.get() || frame.serial != self.frame.get().serial {
            self.below.borrow_mut().truncate(depth);
            self.depth.set(depth);
            self.frame.set(frame);
            self.top.set(frame.position);
        }
    }

    /// Moves the cursor back to the start of `frame`.
    #[inline]
    fn rewind(&self, frame: MarkFrame) {
        self.record_high();
        if frame.chunk == self.chunk.get() && !frame.cursor.is_null() {
            self.cursor.set(frame.cursor);
        } else {
            self.rewind_chunk(frame);
        }
    }

    #[cold]
    fn rewind_chunk(&self, frame: MarkFrame) {
        let range = self.source.rewind(frame.chunk);
        self.update_peak();
        self.floor.set(range.floor);
        self.before.set(range.before);
        self.limit.set(range.limit);
        self.chunk.set(frame.chunk);
        self.cursor.set(if frame.cursor.is_null() { range.floor } else { frame.cursor });
    }

    /// Frees everything and drops adopted values, newest first. Keeps the memory; every mark
    /// becomes stale. O(1) plus the adopted values.
    ///
    /// # Panics
    /// As [`Arena::restore_mut`].
    #[inline]
    pub fn reset(&mut self) {
        self.adopted.drop_down_to(0);
        let cursor = if self.chunk.get() == 0 { self.floor.get() } else { core::ptr::null_mut() };
        let root = MarkFrame { cursor, ..MarkFrame::root(self.next_serial()) };
        self.restore_frame(0, root);
    }

    /// Returns the serial number of a new frame.
    fn next_serial(&self) -> u64 {
        let serial = self.serials.get();
        self.serials.set(serial + 1);
        serial
    }

    /// Returns the state that the end of a scope restores.
    #[inline]
    pub(crate) fn position(&self) -> MarkFrame {
        MarkFrame {
            position: self.in_use(),
            chunk: self.chunk.get(),
            cursor: self.cursor.get(),
            live: self.live.get(),
            serial: 0,
        }
    }

    /// Ends a scope that started at `position`: nothing allocated since is borrowed any more.
    #[inline]
    pub(crate) fn leave_scope(&self, position: MarkFrame) {
        self.adopted.drop_down_to(position.position);
        self.rewind(position);
        self.live.set(position.live);
    }

    /// Moves `value` into the arena, which drops it when its memory is freed ([`Arena::reset`],
    /// [`Arena::restore_mut`], the end of the arena), newest first.
    ///
    /// The value is `'static`, because its destructor may run after other values of the arena are
    /// gone.
    ///
    /// # Errors
    /// [`AllocError`]; the value is then dropped.
    #[expect(clippy::mut_from_ref, reason = "each call returns its own block")]
    pub fn alloc_with_drop<T: Send + 'static>(&self, value: T) -> Result<&mut T, AllocError> {
        let block = self.allocate(Layout::new::<Adopted<T>>())?.cast::<Adopted<T>>();
        let position = self.in_use() - rounded(size_of::<Adopted<T>>());
        // SAFETY: the block is fresh and of `Adopted<T>`'s layout. The block stays until this list
        // has dropped the value: every way of freeing runs `drop_down_to` first or fails, because
        // the block counts as live.
        Ok(unsafe { self.adopted.push(block, value, position) })
    }
}
