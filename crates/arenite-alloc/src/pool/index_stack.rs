//! A lock-free stack of slots, which is also the register of which slots are lent.
//!
//! Rests on atomics alone and knows slots, not memory, so that `loom` can check every interleaving of it. It is Treiber's
//! stack ("Systems programming: coping with parallelism", IBM RJ 5118, 1986) with a tag against ABA; a slot's link says
//! either which slot comes after it, or that it is lent and with what size.

use crate::util::sync::{AtomicU64, AtomicUsize, Ordering};

/// Set in the link of a lent slot; the rest is what it was lent as.
const LENT: u64 = 1 << 63;
/// Set with it where the slot was lent through the fast door.
const OWNED: u64 = 1 << 62;
/// Where in a lent slot's link the logarithm of its alignment stands; below it stands its size.
const ALIGN_SHIFT: u32 = 56;
/// The link of a slot that is on its way onto the stack: no slot has this number.
const MOVING: u64 = LENT - 1;
/// The largest size that a link can carry.
pub(crate) const MAX_SIZE: usize = (1 << ALIGN_SHIFT) - 1;
/// The most slots that a stack can carry.
pub(crate) const MAX_SLOTS: usize = (u32::MAX - 1) as usize;

/// What a slot is lent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lent {
    /// Through the fast door, to an owner that gives it back there.
    pub(crate) owned: bool,
    pub(crate) size: usize,
    pub(crate) align: usize,
}

impl Lent {
    fn link(self) -> u64 {
        let owned = if self.owned { OWNED } else { 0 };
        LENT | owned | u64::from(self.align.trailing_zeros() & 63) << ALIGN_SHIFT | self.size as u64
    }

    /// Reads the link of a lent slot.
    fn of(link: u64) -> Option<Self> {
        if link & LENT == 0 {
            return None;
        }
        let size = usize::try_from(link & ((1 << ALIGN_SHIFT) - 1)).unwrap_or(usize::MAX);
        Some(Self { owned: link & OWNED != 0, size, align: 1 << ((link >> ALIGN_SHIFT) & 63) })
    }
}

/// Why a slot was not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It is not lent, or not through this door.
    NotLive,
    /// It was lent as this.
    Differs(Lent),
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

fn pack(tag: u32, next: u64) -> u64 {
    u64::from(tag) << 32 | next & u64::from(u32::MAX)
}

/// The link that names `slot`.
fn name(slot: usize) -> u64 {
    slot as u64 + 1
}

/// Whether the slot of `link` is lent.
pub(crate) fn is_lent(link: &AtomicU64) -> bool {
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

    /// Takes the newest slot off and registers what it is lent as.
    #[inline]
    pub(crate) fn pop(&self, links: &[AtomicU64], lent: Lent) -> Option<usize> {
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
                    links[slot].store(lent.link(), Ordering::Relaxed);
                    return Some(slot);
                }
                Err(now) => head = now,
            }
        }
    }

    /// Registers what a slot that was never on the stack is lent as.
    #[inline]
    pub(crate) fn enter(&self, links: &[AtomicU64], slot: usize, lent: Lent) {
        links[slot].store(lent.link(), Ordering::Relaxed);
    }

    /// Takes a slot back, if `accept` agrees to what it is lent as.
    #[inline]
    pub(crate) fn push(
        &self,
        links: &[AtomicU64],
        slot: usize,
        accept: impl FnOnce(Lent) -> Result<(), NotTaken>,
    ) -> Result<(), NotTaken> {
        let link = links[slot].load(Ordering::Relaxed);
        accept(Lent::of(link).ok_or(NotTaken::NotLive)?)?;
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

    /// Registers another size for a slot that is lent as `old`.
    pub(crate) fn resize(
        &self,
        links: &[AtomicU64],
        slot: usize,
        old: Lent,
        size: usize,
    ) -> Result<(), NotTaken> {
        let new = Lent { size, ..old };
        let swap = links[slot].compare_exchange(old.link(), new.link(), Ordering::Relaxed, Ordering::Relaxed);
        match swap.map_err(Lent::of) {
            Ok(_) => Ok(()),
            Err(Some(lent)) if !lent.owned => Err(NotTaken::Differs(lent)),
            Err(_) => Err(NotTaken::NotLive),
        }
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    const AS: Lent = Lent { owned: false, size: 8, align: 8 };

    fn any(_: Lent) -> Result<(), NotTaken> {
        Ok(())
    }

    fn two() -> Arc<(IndexStack, [AtomicU64; 2])> {
        let pair = Arc::new((IndexStack::new(), [AtomicU64::new(0), AtomicU64::new(0)]));
        pair.0.enter(&pair.1, 0, AS);
        pair.0.enter(&pair.1, 1, AS);
        pair
    }

    #[test]
    fn loom_two_threads_never_get_the_same_slot() {
        loom::model(|| {
            let pair = two();
            assert_eq!(pair.0.push(&pair.1, 0, any), Ok(()));
            assert_eq!(pair.0.push(&pair.1, 1, any), Ok(()));
            let other = Arc::clone(&pair);
            let handle = thread::spawn(move || other.0.pop(&other.1, AS));
            let mine = pair.0.pop(&pair.1, AS);
            let theirs = handle.join().unwrap();
            assert!(mine.is_some() && theirs.is_some() && mine != theirs);
            assert_eq!(pair.0.pop(&pair.1, AS), None);
        });
    }

    #[test]
    fn loom_a_slot_given_back_twice_at_once_is_taken_back_once() {
        loom::model(|| {
            let pair = two();
            let other = Arc::clone(&pair);
            let handle = thread::spawn(move || other.0.push(&other.1, 0, any));
            let mine = pair.0.push(&pair.1, 0, any);
            let theirs = handle.join().unwrap();
            assert!(mine.is_ok() != theirs.is_ok());
            assert_eq!(pair.0.len(), 1);
        });
    }

    #[test]
    fn loom_reuse_between_a_read_and_its_exchange_is_noticed() {
        loom::model(|| {
            let pair = two();
            assert_eq!(pair.0.push(&pair.1, 0, any), Ok(()));
            let other = Arc::clone(&pair);
            let handle = thread::spawn(move || {
                let slot = other.0.pop(&other.1, AS)?;
                other.0.push(&other.1, slot, any).ok()
            });
            let mine = pair.0.pop(&pair.1, AS);
            let cycled = handle.join().unwrap();
            assert!(mine.is_some() || cycled.is_some());
            let left = pair.0.pop(&pair.1, AS);
            assert!(mine.is_none() || left.is_none(), "one slot, two owners");
        });
    }
}
