//! The blocks of one slab that other threads gave back: a bit for each.
//!
//! Rests on atomic words. Any thread sets the bit of a block, the slab's owner takes all bits of a word at once. A block that is
//! given back is not touched, so its memory stays in the cache of whoever used it, and the owner, who has the whole word, puts
//! all of them on its list without waiting for one to tell of the next. (Lists through the blocks, as most heaps have them, cost
//! two transfers of a cache line a block where the two threads are on two cores, and the owner's are one after the other.)
//! A bit that is set already is a block that was given back twice.

use crate::sync::{AtomicU64, Ordering};

/// Bits of a word.
const WORD_BITS: usize = 64;
/// Words that one bit of [`Remote`] stands for: a slab of the smallest blocks has 128.
const WORDS_PER_GROUP: usize = 2;

/// Which words have bits. Zero is none.
#[derive(Debug, Default)]
pub(crate) struct RemoteFreeBits(AtomicU64);

/// What blocks that were given back met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PushResult {
    /// Those that were there before: given back twice.
    pub(crate) already_set: u64,
    /// Whether it is this one that is to tell the owner, as no other has, or will, since the owner took all.
    pub(crate) must_notify: bool,
}

impl RemoteFreeBits {
    /// Says that blocks of one word of `words` were given back. Wait-free. `words` are the slab's, with a bit for each of its blocks.
    #[inline]
    pub(crate) fn push(&self, words: &[AtomicU64], word: usize, bits: u64) -> PushResult {
        let before = words[word].fetch_or(bits, Ordering::Release);
        // Whoever finds the word empty says so, after the word has bits: the owner that takes them before needs not be told, and
        // one that takes none of them is told later.
        let must_notify =
            before == 0 && self.0.fetch_or(1 << (word / WORDS_PER_GROUP), Ordering::Release) == 0;
        PushResult { already_set: before & bits, must_notify }
    }

    /// Whether no block came back.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Takes all: `visit` is called with each word's first block and its bits, from the last word to the first. `thorough`: of the words
    /// that nobody told of, too; a child of `fork` has such, where another thread of its parent was about to.
    pub(crate) fn drain(&self, words: &[AtomicU64], scan_all: bool, mut visit: impl FnMut(usize, u64)) {
        let told = self.0.swap(0, Ordering::Acquire);
        let mut groups = if scan_all { u64::MAX } else { told };
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

    /// How many blocks came back.
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
    fn a_block_that_comes_back_twice_is_told_of() {
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
        // as if its thread had not come to the second half of it
        remote.0.store(0, Ordering::Relaxed);
        assert!(push_one(&remote, &words, 201).already_set == 0 && remote.is_empty());
        remote.drain(&words, false, |_, _| unreachable!("nobody told"));
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

    /// An owner that looks only where it was told that a first block came back misses none in the end.
    #[test]
    fn loom_who_is_told_of_the_first_block_finds_all() {
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
                    // as an owner does, without an exchange
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
    fn loom_blocks_of_one_word_given_back_by_two_threads_are_taken_once_and_counted() {
        model([[0, 1], [2, 3]]);
    }

    #[test]
    fn loom_blocks_of_two_words_and_two_groups_are_taken_once_and_counted() {
        model([[0, 70], [1, 130]]);
    }
}
