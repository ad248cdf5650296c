//! The work of this thread: blocks and bytes allocated, words written, blocks freed, and the sum
//! of the words read.
//!
//! The tally counts only in builds with debug assertions, so that a release build times bodies
//! without it.

use std::cell::Cell;
use std::fmt;
use std::ops::AddAssign;

thread_local! {
    static TALLY: Cell<Tally> = const { Cell::new(Tally { blocks: 0, bytes: 0, words: 0, frees: 0, sum: 0 }) };
}

/// The counted work of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    blocks: usize,
    bytes: usize,
    words: usize,
    frees: usize,
    sum: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.bytes += other.bytes;
        self.words += other.words;
        self.frees += other.frees;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blocks, bytes, words, frees, sum } = self;
        write!(
            out,
            "{blocks} blocks, {bytes} bytes, {words} words written, {frees} frees, sum {sum} of the words read"
        )
    }
}

#[inline(always)]
fn change(by: impl FnOnce(&mut Tally)) {
    if cfg!(debug_assertions) {
        let mut tally = TALLY.get();
        by(&mut tally);
        TALLY.set(tally);
    }
}

/// Counts an allocated block of `bytes`.
#[inline(always)]
pub(crate) fn allocated(bytes: usize) {
    change(|tally| {
        tally.blocks += 1;
        tally.bytes += bytes;
    });
}

/// Counts a written word.
#[inline(always)]
pub(crate) fn wrote() {
    change(|tally| tally.words += 1);
}

/// Counts a freed block.
#[inline(always)]
pub(crate) fn freed() {
    change(|tally| tally.frees += 1);
}

/// Counts a block that was read and freed; `word` stands for its contents.
#[inline(always)]
pub(crate) fn read(word: u64) {
    change(|tally| {
        tally.frees += 1;
        tally.sum = tally.sum.wrapping_add(word);
    });
}

/// Resets the tally of this thread and returns its counts.
pub(crate) fn reset() -> Tally {
    TALLY.take()
}

/// Adds the counts of another thread.
pub(crate) fn add(other: Tally) {
    change(|tally| *tally += other);
}
