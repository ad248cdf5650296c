//! The blocks of one slab that other threads freed: one bit each.
//!
//! A thread that frees a block of another thread's slab sets its bit and does not touch the block.
//! The block's memory stays in the cache of its last user. The owner takes all bits of a word at
//! once and adds the blocks to its free list. A list through the blocks, as most heaps have it
//! (mimalloc: `xthread_free`), costs two transfers of a cache line per block between cores. A bit
//! that is already set reveals a double free.

use crate::util::sync::{AtomicU64, Ordering};

/// Blocks per remote-free word.
pub(crate) const WORD_BITS: usize = 64;
/// Words per bit of [`RemoteFreeBits`]. A slab of the smallest blocks has 128 words.
const WORDS_PER_GROUP: usize = 2;

/// The summary of a slab's remote-free words: a bit per group of words that may have bits. The
/// words themselves are passed to each method. Zero: no group.
#[derive(Debug, Default)]
pub(crate) struct RemoteFreeBits(AtomicU64);

/// The result of setting the bits of freed blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PushResult {
    /// Bits that were set before: double frees.
    pub(crate) already_set: u64,
    /// Whether this push made the word and the whole summary non-empty, so that the caller must
    /// notify the owner.
    pub(crate) must_notify: bool,
}

impl RemoteFreeBits {
    /// Sets the bits of freed blocks in one word of `words`, the remote-free words of the slab.
    /// Wait-free.
    #[inline]
    pub(crate) fn push(&self, words: &[AtomicU64], word: usize, bits: u64) -> PushResult {
        let before = words[word].fetch_or(bits, Ordering::Release);
        // The group bit follows the word's bits. An owner that finds the group bit thus finds the
        // bits. An owner that took the bits before the group bit was set needs no group bit.
        let must_notify =
            before == 0 && self.0.fetch_or(1 << (word / WORDS_PER_GROUP), Ordering::Release) == 0;
        PushResult { already_set: before & bits, must_notify }
    }

    /// Returns whether the summary has no group. A word between the two steps of a push does not
    /// count.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Drains all words: `visit` gets the first block of each word and its bits, from the last word
    /// to the first. `scan_all` includes words without a group bit. A child of `fork` has such
    /// words if another thread of the parent was between the two steps of `push`.
    pub(crate) fn drain(&self, words: &[AtomicU64], scan_all: bool, mut visit: impl FnMut(usize, u64)) {
        let summary = self.0.swap(0, Ordering::Acquire);
        let mut groups = if scan_all { u64::MAX } else { summary };
        while let Some(group) = groups.checked_ilog2() {
            groups ^= 1 << group;
            let first = group as usize * WORDS_PER_GROUP;
            for word in (first.min(words.len())..(first + WORDS_PER_GROUP).min(words.len())).rev() {
                if words[word].load(Ordering::Relaxed) != 0 {
                    visit(word * WORD_BITS, words[word].swap(0, Ordering::Acquire));
                }
            }
        }
    }

    /// Returns the number of freed blocks.
    pub(crate) fn count(&self, words: &[AtomicU64]) -> u32 {
        let mut groups = self.0.load(Ordering::Relaxed);
        let mut count = 0;
        while let Some(group) = groups.checked_ilog2() {
            groups ^= 1 << group;
            let first = group as usize * WORDS_PER_GROUP;
            let words = words.iter().skip(first).take(WORDS_PER_GROUP);
            count += words.map(|word| word.load(Ordering::Relaxed).count_ones()).sum::<u32>();
        }
        count
    }
}

#[cfg(test)]
fn push_one(remote: &RemoteFreeBits, words: &[AtomicU64], block: usize) -> PushResult {
    remote.push(words, block / WORD_BITS, 1 << (block % WORD_BITS))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn remote_free_reports_a_block_freed_twice() {
        let (remote, words) = (RemoteFreeBits::default(), [const { AtomicU64::new(0) }; 5]);
        for block in [0, 63, 64, 200, 319] {
            assert_eq!(
                push_one(&remote, &words, block),
                PushResult { already_set: 0, must_notify: block == 0 }
            );
            assert_ne!(push_one(&remote, &words, block).already_set, 0);
        }
        assert_eq!(
            remote.push(&words, 3, 1 << 8 | 1 << 9),
            PushResult { already_set: 1 << 8, must_notify: false }
        );
        assert_eq!(remote.count(&words), 6);
        let mut taken = Vec::new();
        remote.drain(&words, false, |first, bits| {
            taken.extend((0..WORD_BITS).filter(|bit| bits >> bit & 1 == 1).map(|bit| first + bit));
        });
        taken.sort_unstable();
        assert_eq!(taken, [0, 63, 64, 200, 201, 319]);
        assert!(remote.is_empty() && remote.count(&words) == 0);
        assert!(push_one(&remote, &words, 200).must_notify);
        // the state of a thread between the two steps of `push`
        remote.0.store(0, Ordering::Relaxed);
        assert!(push_one(&remote, &words, 201).already_set == 0 && remote.is_empty());
        remote.drain(&words, false, |_, _| unreachable!("no group bit is set"));
        let mut found = 0;
        remote.drain(&words, true, |first, bits| found += u32::from(first == 192) * bits.count_ones());
        assert_eq!(found, 2);
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    fn taken(remote: &RemoteFreeBits, words: &[AtomicU64], into: &mut Vec<usize>) {
        remote.drain(words, false, |first, bits| {
            into.extend((0..WORD_BITS).filter(|bit| bits >> bit & 1 == 1).map(|bit| first + bit));
        });
    }

    fn model(given: [[usize; 2]; 2]) {
        loom::model(move || {
            let shared = Arc::new((RemoteFreeBits(AtomicU64::new(0)), [0, 0, 0].map(AtomicU64::new)));
            let threads = given.map(|blocks| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    blocks.map(|block| assert_eq!(push_one(&shared.0, &shared.1, block).already_set, 0))
                })
            });
            let mut all = Vec::new();
            taken(&shared.0, &shared.1, &mut all);
            threads.map(|thread| thread.join().unwrap());
            assert_eq!(shared.0.count(&shared.1) as usize + all.len(), 4);
            taken(&shared.0, &shared.1, &mut all);
            all.sort_unstable();
            let mut expected = given.concat();
            expected.sort_unstable();
            assert_eq!(all, expected);
        });
    }

    /// An owner that scans only after a notification finds every block in the end.
    #[test]
    fn loom_notified_owner_drains_every_block() {
        loom::model(|| {
            let shared = Arc::new((
                RemoteFreeBits(AtomicU64::new(0)),
                [0, 0, 0].map(AtomicU64::new),
                AtomicU64::new(0),
            ));
            let threads = [1, 130].map(|block| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    if push_one(&shared.0, &shared.1, block).must_notify {
                        shared.2.fetch_add(1, Ordering::Release);
                    }
                })
            });
            let (mut all, mut seen) = (Vec::new(), 0);
            let mut look = || {
                let told = shared.2.load(Ordering::Acquire);
                if told != seen {
                    seen = told;
                    // as an owner does: no exchange for an empty word
                    if !shared.0.is_empty() {
                        taken(&shared.0, &shared.1, &mut all);
                    }
                }
            };
            look();
            threads.map(|thread| thread.join().unwrap());
            look();
            all.sort_unstable();
            assert_eq!(all, [1, 130]);
        });
    }

    #[test]
    fn loom_blocks_of_one_word_are_drained_once_and_counted() {
        model([[0, 1], [2, 3]]);
    }

    #[test]
    fn loom_blocks_of_two_groups_are_drained_once_and_counted() {
        model([[0, 70], [1, 130]]);
    }
}
