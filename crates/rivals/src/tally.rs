//! The tally of work: blocks lent, bytes asked, words written, blocks freed, and what was read, by this thread.
//!
//! Rests on a thread-local, and counts only in builds with debug assertions: a release build times bodies without it.

use std::cell::Cell;
use std::fmt;
use std::ops::AddAssign;

thread_local! {
    static TALLY: Cell<Tally> = const { Cell::new(Tally { blocks: 0, bytes: 0, words: 0, frees: 0, sum: 0 }) };
}

/// What a body did.
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
            "{blocks} blocks, {bytes} bytes, {words} words written, {frees} frees, {sum} the sum of what was read"
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

/// Counts a block of `bytes`.
#[inline(always)]
pub(crate) fn lent(bytes: usize) {
    change(|tally| {
        tally.blocks += 1;
        tally.bytes += bytes;
    });
}

/// Counts a word written.
#[inline(always)]
pub(crate) fn wrote() {
    change(|tally| tally.words += 1);
}

/// Counts a block given back by the body.
#[inline(always)]
pub(crate) fn freed() {
    change(|tally| tally.frees += 1);
}

/// Counts a block that was read and given back; `word` stands for what it held.
#[inline(always)]
pub(crate) fn read(word: u64) {
    change(|tally| {
        tally.frees += 1;
        tally.sum = tally.sum.wrapping_add(word);
    });
}

/// What was counted on this thread since the last call.
pub(crate) fn take() -> Tally {
    TALLY.take()
}

/// Counts what another thread counted.
pub(crate) fn add(other: Tally) {
    change(|tally| *tally += other);
}
