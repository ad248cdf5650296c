//! A lock-free stack of slots, which is also the register of which slots are lent.
//!
//! Rests on atomics alone and knows slots, not memory, so that `loom` can check every interleaving of it. It is Treiber's
//! stack ("Systems programming: coping with parallelism", IBM RJ 5118, 1986) with a tag against ABA; a slot's link says
//! either which slot comes after it, or that it is lent and with what size.

use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Set in the link of a lent slot; the rest is the size it was lent with.
const LENT: u32 = 1 << 31;
/// The link of a slot that is on its way onto the stack.
const MOVING: u32 = LENT - 1;
/// The largest size that a link can carry.
pub(crate) const MAX_SIZE: usize = (LENT - 1) as usize;
/// The most slots that a stack can carry.
pub(crate) const MAX_SLOTS: usize = (MOVING - 1) as usize;

/// Why a slot was not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It is not lent.
    NotLive,
    /// It was lent with this size.
    Size(usize),
}

#[derive(Debug)]
pub(crate) struct IndexStack {
    /// Tag and top slot plus one (0: empty).
    head: AtomicU64,
    free: AtomicUsize,
}

fn unpack(head: u64) -> (u32, Option<usize>) {
    let [a, b, c, d, e, f, g, h] = head.to_le_bytes();
    let top = u32::from_le_bytes([a, b, c, d]);
    let tag = u32::from_le_bytes([e, f, g, h]);
    (tag, top.checked_sub(1).and_then(|slot| usize::try_from(slot).ok()))
}

fn pack(tag: u32, next: u32) -> u64 {
    u64::from(tag) << 32 | u64::from(next)
}

/// The link that names `slot`.
fn name(slot: usize) -> u32 {
    u32::try_from(slot + 1).unwrap_or(0)
}

/// The link of a slot lent with `size`.
fn lent(size: usize) -> u32 {
    LENT | u32::try_from(size).unwrap_or(MOVING)
}

/// Whether the slot of `link` is lent.
pub(crate) fn is_lent(link: &AtomicU32) -> bool {
    link.load(Ordering::Relaxed) & LENT != 0
}

impl IndexStack {
    pub(crate) fn new() -> Self {
        Self { head: AtomicU64::new(0), free: AtomicUsize::new(0) }
    }

    /// How many slots are on the stack.
    pub(crate) fn len(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }

    /// Takes the newest slot off and registers it as lent with `size`.
    #[inline]
    pub(crate) fn pop(&self, links: &[AtomicU32], size: usize) -> Option<usize> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let (tag, top) = unpack(head);
            let slot = top?;
            // If another thread takes this slot meanwhile, the link read here is of no use, and the tag has moved on.
            let next = links[slot].load(Ordering::Relaxed);
            let new = pack(tag.wrapping_add(1), next);
            match self.head.compare_exchange_weak(head, new, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => {
                    self.free.fetch_sub(1, Ordering::Relaxed);
                    links[slot].store(lent(size), Ordering::Relaxed);
                    return Some(slot);
                }
                Err(now) => head = now,
            }
        }
    }

    /// Registers a slot that was never on the stack as lent with `size`.
    #[inline]
    pub(crate) fn enter(&self, links: &[AtomicU32], slot: usize, size: usize) {
        links[slot].store(lent(size), Ordering::Relaxed);
    }

    /// Takes a slot back, if it is lent and (where `size` is given) was lent with that size.
    #[inline]
    pub(crate) fn push(&self, links: &[AtomicU32], slot: usize, size: Option<usize>) -> Result<(), NotTaken> {
        let link = links[slot].load(Ordering::Relaxed);
        if link & LENT == 0 {
            return Err(NotTaken::NotLive);
        }
        let lent_size = usize::try_from(link & !LENT).unwrap_or(usize::MAX);
        if size.is_some_and(|size| size != lent_size) {
            return Err(NotTaken::Size(lent_size));
        }
        // Of two threads that give the same slot back, one wins here.
        if links[slot].compare_exchange(link, MOVING, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Err(NotTaken::NotLive);
        }
        self.free.fetch_add(1, Ordering::Relaxed);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let (tag, top) = unpack(head);
            links[slot].store(top.map_or(0, name), Ordering::Relaxed);
            let new = pack(tag.wrapping_add(1), name(slot));
            // Release: whoever pops the slot sees its link, and what its last user wrote.
            match self.head.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => head = now,
            }
        }
    }

    /// Registers another size for a lent slot; `false` if it was not lent with `old`.
    pub(crate) fn resize(&self, links: &[AtomicU32], slot: usize, old: usize, new: usize) -> Result<(), NotTaken> {
        let swap = links[slot].compare_exchange(lent(old), lent(new), Ordering::Relaxed, Ordering::Relaxed);
        match swap {
            Ok(_) => Ok(()),
            Err(link) if link & LENT == 0 => Err(NotTaken::NotLive),
            Err(link) => Err(NotTaken::Size(usize::try_from(link & !LENT).unwrap_or(usize::MAX))),
        }
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    fn two() -> Arc<(IndexStack, [AtomicU32; 2])> {
        let pair = Arc::new((IndexStack::new(), [AtomicU32::new(0), AtomicU32::new(0)]));
        pair.0.enter(&pair.1, 0, 8);
        pair.0.enter(&pair.1, 1, 8);
        pair
    }

    #[test]
    fn loom_two_threads_never_get_the_same_slot() {
        loom::model(|| {
            let pair = two();
            assert_eq!(pair.0.push(&pair.1, 0, Some(8)), Ok(()));
            assert_eq!(pair.0.push(&pair.1, 1, None), Ok(()));
            let other = Arc::clone(&pair);
            let handle = thread::spawn(move || other.0.pop(&other.1, 4));
            let mine = pair.0.pop(&pair.1, 4);
            let theirs = handle.join().unwrap();
            assert!(mine.is_some() && theirs.is_some() && mine != theirs);
            assert_eq!(pair.0.pop(&pair.1, 4), None);
        });
    }

    #[test]
    fn loom_a_slot_given_back_twice_at_once_is_taken_back_once() {
        loom::model(|| {
            let pair = two();
            let other = Arc::clone(&pair);
            let handle = thread::spawn(move || other.0.push(&other.1, 0, Some(8)));
            let mine = pair.0.push(&pair.1, 0, Some(8));
            let theirs = handle.join().unwrap();
            assert!(mine.is_ok() != theirs.is_ok());
            assert_eq!(pair.0.len(), 1);
        });
    }

    #[test]
    fn loom_reuse_between_a_read_and_its_exchange_is_noticed() {
        loom::model(|| {
            let pair = two();
            assert_eq!(pair.0.push(&pair.1, 0, None), Ok(()));
            let other = Arc::clone(&pair);
            let handle = thread::spawn(move || {
                let slot = other.0.pop(&other.1, 8)?;
                other.0.push(&other.1, slot, None).ok()
            });
            let mine = pair.0.pop(&pair.1, 8);
            let cycled = handle.join().unwrap();
            assert!(mine.is_some() || cycled.is_some());
            let left = pair.0.pop(&pair.1, 8);
            assert!(mine.is_none() || left.is_none(), "one slot, two owners");
        });
    }
}
