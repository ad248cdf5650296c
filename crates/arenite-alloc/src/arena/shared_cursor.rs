//! The cursor of a shared arena: position and open frame in one word, and a count of live blocks
//! for each frame.
//!
//! The cursor consists of atomics alone and handles offsets, not memory, so that `loom` can check
//! every interleaving.
//!
//! Correctness, in short. An allocation increments the count of the frame in the word and then
//! moves the word. If the word changed meanwhile, the allocation decrements the count and retries.
//! A restore holds the lock, reads the word, then the counts, and moves the word back only if the
//! word is unchanged. An allocation whose count the restore missed would have moved the word.
//! Between its two steps the word can only grow, because everything that lowers it holds the lock.
//! `freeze` changes the word's generation, so that an allocation that saw the old limit must
//! retry.

use super::RestoreError;
use crate::util::sync::{AtomicU64, AtomicUsize, Mutex, Ordering, lock};

/// Maximum number of open frames; the first is the arena's root.
#[cfg(not(loom))]
pub(crate) const MAX_FRAMES: usize = 64;
#[cfg(loom)]
pub(crate) const MAX_FRAMES: usize = 3;

const OFFSET_BITS: u32 = 42;
const DEPTH_BITS: u32 = 6;
const OFFSET_MASK: u64 = (1 << OFFSET_BITS) - 1;
const DEPTH_MASK: u64 = (1 << DEPTH_BITS) - 1;
const GENERATION: u64 = 1 << (OFFSET_BITS + DEPTH_BITS);

/// Maximum offset that the word can hold: 4 TiB.
pub(crate) const MAX_OFFSET: usize = (1 << OFFSET_BITS) - 1;

/// Position, open frame and generation in one word.
#[derive(Clone, Copy)]
struct Word(u64);

impl Word {
    #[inline]
    fn offset(self) -> usize {
        // The mask leaves 42 bits, which a 64-bit `usize` holds; on smaller systems offsets are
        // smaller.
        usize::try_from(self.0 & OFFSET_MASK).unwrap_or(usize::MAX)
    }

    #[inline]
    fn depth(self) -> usize {
        usize::try_from((self.0 >> OFFSET_BITS) & DEPTH_MASK).unwrap_or(0)
    }

    #[inline]
    fn at(self, offset: usize, depth: usize) -> Self {
        let generation = self.0 & !(GENERATION - 1);
        Self(generation | (depth as u64) << OFFSET_BITS | offset as u64)
    }
}

#[derive(Debug)]
struct MarkFrame {
    start: AtomicUsize,
    live: AtomicUsize,
}

/// Serial numbers of the open frames, guarded by the lock that every lowering of the word holds.
#[derive(Debug)]
pub(crate) struct Serials {
    open: [u64; MAX_FRAMES],
    next: u64,
}

/// A position that many threads move.
#[derive(Debug)]
pub(crate) struct SharedCursor {
    word: AtomicU64,
    limit: AtomicUsize,
    frames: [MarkFrame; MAX_FRAMES],
    serials: Mutex<Serials>,
    /// Lowest frame that may be restored to. While a scope is open, the frames below belong to its
    /// outside.
    inside: AtomicUsize,
    high: AtomicUsize,
}

impl SharedCursor {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            limit: AtomicUsize::new(0),
            frames: core::array::from_fn(|_| MarkFrame {
                start: AtomicUsize::new(0),
                live: AtomicUsize::new(0),
            }),
            serials: Mutex::new(Serials { open: [0; MAX_FRAMES], next: 1 }),
            inside: AtomicUsize::new(0),
            high: AtomicUsize::new(0),
        }
    }

    /// Restricts restores to frames from `depth` on; 0 lifts the restriction.
    pub(crate) fn seal(&mut self, depth: usize) {
        self.inside.store(depth, Ordering::Relaxed);
    }

    #[inline]
    fn load(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    #[inline]
    fn swap(&self, old: Word, new: Word) -> bool {
        self.word.compare_exchange_weak(old.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    pub(crate) fn offset(&self) -> usize {
        self.load().offset()
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Acquire)
    }

    /// Lets allocations end up to `limit`. The caller has committed the memory up to there.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Release);
    }

    /// Stops every allocation until `set_limit` is called again. Returns the position below which
    /// blocks may lie.
    pub(crate) fn freeze(&self) -> usize {
        self.set_limit(0);
        loop {
            let word = self.load();
            if self.swap(word, Word(word.0.wrapping_add(GENERATION))) {
                return word.offset();
            }
        }
    }

    /// Allocates the bytes that `fit` finds at or above an offset. Returns their start, or `None`
    /// if they exceed the limit.
    #[inline]
    pub(crate) fn bump(&self, fit: impl Fn(usize) -> Option<(usize, usize)>) -> Option<usize> {
        loop {
            let word = self.load();
            let (start, end) = fit(word.offset())?;
            // Read after the word: a thread that sees the word of after a `freeze` sees its limit.
            if end > self.limit() {
                return None;
            }
            let live = &self.frames[word.depth()].live;
            live.fetch_add(1, Ordering::AcqRel);
            if self.swap(word, word.at(end, word.depth())) {
                return Some(start);
            }
            live.fetch_sub(1, Ordering::Release);
        }
    }

    /// Frees a block that starts at `offset`.
    #[inline]
    pub(crate) fn release(&self, offset: usize) {
        let mut depth = self.load().depth();
        // The block's own frame cannot end while it lives, and every frame above starts above it.
        // So the first frame that starts at or below it is its own.
        while depth > 0 && self.frames[depth].start.load(Ordering::Relaxed) > offset {
            depth -= 1;
        }
        let before = self.frames[depth].live.fetch_sub(1, Ordering::Release);
        debug_assert!(before > 0, "more blocks freed than allocated");
    }

    /// Moves the end of the block `[start, end)` to `new_end`, if it is the last one and of the top
    /// frame.
    pub(crate) fn extend(&self, start: usize, end: usize, new_end: usize) -> bool {
        let word = self.load();
        let top = self.frames[word.depth()].start.load(Ordering::Relaxed);
        word.offset() == end
            && start >= top
            && new_end <= self.limit()
            && self
                .word
                .compare_exchange(
                    word.0,
                    word.at(new_end, word.depth()).0,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok()
    }

    /// Opens a frame at the position. Returns its depth and serial number, or `None` if too many
    /// are open.
    pub(crate) fn mark(&self) -> Option<(usize, u64)> {
        let mut serials = lock(&self.serials);
        loop {
            let word = self.load();
            let top = &self.frames[word.depth()];
            let inside = word.depth() >= self.inside.load(Ordering::Relaxed);
            let empty = top.live.load(Ordering::Acquire) == 0;
            if inside && empty && top.start.load(Ordering::Relaxed) == word.offset() {
                return Some((word.depth(), serials.open[word.depth()]));
            }
            let depth = word.depth() + 1;
            let frame = self.frames.get(depth)?;
            frame.start.store(word.offset(), Ordering::Relaxed);
            if self.swap(word, word.at(word.offset(), depth)) {
                serials.open[depth] = serials.next;
                serials.next += 1;
                return Some((depth, serials.open[depth]));
            }
        }
    }

    /// Moves back to the start of frame `depth`, if it still has the number `serial` and no block
    /// in or above it is live.
    pub(crate) fn restore(&self, depth: usize, serial: u64) -> Result<(), RestoreError> {
        let serials = lock(&self.serials);
        loop {
            let word = self.load();
            if depth > word.depth() || serials.open[depth] != serial {
                return Err(RestoreError::StaleMark);
            }
            if depth < self.inside.load(Ordering::Relaxed) {
                return Err(RestoreError::OutsideScope);
            }
            let open = &self.frames[depth..=word.depth()];
            let count: usize = open.iter().map(|frame| frame.live.load(Ordering::Acquire)).sum();
            if count > 0 {
                return Err(RestoreError::BlocksAlive { count });
            }
            let start = open[0].start.load(Ordering::Relaxed);
            if self.swap(word, word.at(start, depth)) {
                self.high.fetch_max(word.offset(), Ordering::Relaxed);
                return Ok(());
            }
        }
    }

    /// Returns the start of frame `depth`, if it still has the number `serial`.
    pub(crate) fn start_of(&self, depth: usize, serial: u64) -> Result<usize, RestoreError> {
        let serials = lock(&self.serials);
        if depth > self.load().depth() || serials.open[depth] != serial {
            return Err(RestoreError::StaleMark);
        }
        Ok(self.frames[depth].start.load(Ordering::Relaxed))
    }

    /// Moves back to `offset` in frame `depth` with `live` blocks. Blocks above are not borrowed,
    /// because access is exclusive.
    pub(crate) fn reset_to(&mut self, offset: usize, depth: usize, live: usize) {
        let word = self.load();
        self.high.fetch_max(word.offset(), Ordering::Relaxed);
        for frame in &self.frames[depth + 1..] {
            frame.live.store(0, Ordering::Relaxed);
        }
        self.frames[depth].live.store(live, Ordering::Relaxed);
        self.word.store(word.at(offset, depth).0, Ordering::Release);
    }

    /// Makes every mark stale and the cursor empty.
    pub(crate) fn reset(&mut self) {
        self.reset_to(0, 0, 0);
        let mut serials = lock(&self.serials);
        serials.open[0] = serials.next;
        serials.next += 1;
    }

    /// Returns the depth of the top frame and its number of live blocks.
    pub(crate) fn top(&self) -> (usize, usize) {
        let depth = self.load().depth();
        (depth, self.frames[depth].live.load(Ordering::Acquire))
    }

    pub(crate) fn live(&self) -> usize {
        let depth = self.load().depth();
        self.frames[..=depth].iter().map(|frame| frame.live.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn peak(&self) -> usize {
        self.high.load(Ordering::Relaxed).max(self.offset())
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    fn eight(offset: usize) -> Option<(usize, usize)> {
        Some((offset, offset + 8))
    }

    #[test]
    fn loom_two_threads_never_allocate_the_same_bytes() {
        loom::model(|| {
            let cursor = Arc::new(SharedCursor::new());
            cursor.set_limit(64);
            let other = Arc::clone(&cursor);
            let handle = thread::spawn(move || other.bump(eight));
            let mine = cursor.bump(eight);
            let theirs = handle.join().unwrap();
            assert!(mine.is_some() && theirs.is_some() && mine != theirs);
            assert_eq!((cursor.offset(), cursor.live()), (16, 2));
        });
    }

    #[test]
    fn loom_restore_never_frees_a_live_block() {
        loom::model(|| {
            let cursor = Arc::new(SharedCursor::new());
            cursor.set_limit(64);
            let kept = cursor.bump(eight).unwrap();
            let (depth, serial) = cursor.mark().unwrap();
            let other = Arc::clone(&cursor);
            let handle = thread::spawn(move || other.bump(eight).unwrap());
            let restored = cursor.restore(depth, serial);
            let theirs = handle.join().unwrap();
            // In both cases the other thread's block is above the mark, live, and below the
            // position.
            assert!(theirs >= kept + 8 && cursor.offset() >= theirs + 8);
            assert!(matches!(restored, Ok(()) | Err(RestoreError::BlocksAlive { count: 1 })));
            assert_eq!(cursor.restore(depth, serial), Err(RestoreError::BlocksAlive { count: 1 }));
            cursor.release(theirs);
            assert_eq!(cursor.restore(depth, serial), Ok(()));
            assert_eq!((cursor.offset(), cursor.live()), (8, 1));
        });
    }

    #[test]
    fn loom_a_block_is_counted_in_its_own_frame_while_marks_change() {
        loom::model(|| {
            let cursor = Arc::new(SharedCursor::new());
            cursor.set_limit(64);
            let below = cursor.bump(eight).unwrap();
            let other = Arc::clone(&cursor);
            let handle = thread::spawn(move || other.release(below));
            let (depth, serial) = cursor.mark().unwrap();
            let above = cursor.bump(eight).unwrap();
            cursor.release(above);
            assert_eq!(cursor.restore(depth, serial), Ok(()));
            handle.join().unwrap();
            assert_eq!(cursor.live(), 0);
        });
    }

    #[test]
    fn loom_nothing_is_allocated_above_the_limit_after_a_freeze() {
        loom::model(|| {
            let cursor = Arc::new(SharedCursor::new());
            cursor.set_limit(16);
            let other = Arc::clone(&cursor);
            let handle = thread::spawn(move || other.bump(eight));
            let position = cursor.freeze();
            // As in a trim: everything above `position` is decommitted.
            cursor.set_limit(position);
            if let Some(start) = handle.join().unwrap() {
                assert!(start + 8 <= position);
            }
        });
    }
}
