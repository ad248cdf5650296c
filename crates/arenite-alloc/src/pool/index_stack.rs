//! A lock-free stack of free slots, which also records the state of every slot.
//!
//! The stack consists of atomics alone and handles slots, not memory, so that `loom` can check
//! every interleaving. It is Treiber's stack ("Systems programming: coping with parallelism", IBM
//! RJ 5118, 1986) with a tag against ABA. A slot's link holds the next slot, or the size and
//! alignment with which the slot is allocated.

use crate::util::sync::{AtomicU64, AtomicUsize, Ordering};

/// A bit that is set in the link of an allocated slot; the other bits are its [`SlotState`].
const ALLOCATED_BIT: u64 = 1 << 63;
/// A bit that is set as well if the slot was allocated through the unchecked API (`Resource`).
const OWNED_BIT: u64 = 1 << 62;
/// Position of the logarithm of the alignment in an allocated slot's link; the size lies below.
const ALIGN_SHIFT: u32 = 56;
/// Link of a slot that is being pushed. No slot has this id.
const MOVING: u64 = ALLOCATED_BIT - 1;
/// Maximum size that a link can hold, in bytes.
pub(crate) const MAX_SIZE: usize = (1 << ALIGN_SHIFT) - 1;
/// Maximum number of slots of a stack.
pub(crate) const MAX_SLOTS: usize = (u32::MAX - 1) as usize;

/// State of an allocated slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotState {
    /// Whether the slot was allocated through the unchecked API, whose owner frees it there.
    pub(crate) owned: bool,
    pub(crate) size: usize,
    pub(crate) align: usize,
}

impl SlotState {
    fn link(self) -> u64 {
        let owned = if self.owned { OWNED_BIT } else { 0 };
        ALLOCATED_BIT | owned | u64::from(self.align.trailing_zeros() & 63) << ALIGN_SHIFT | self.size as u64
    }

    /// Reads the link of a slot. Returns `None` if the slot is free.
    fn from_link(link: u64) -> Option<Self> {
        if link & ALLOCATED_BIT == 0 {
            return None;
        }
        let size = usize::try_from(link & ((1 << ALIGN_SHIFT) - 1)).unwrap_or(usize::MAX);
        Some(Self { owned: link & OWNED_BIT != 0, size, align: 1 << ((link >> ALIGN_SHIFT) & 63) })
    }
}

/// Reason why a slot was not freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StackError {
    /// The slot is not allocated, or not through this API.
    NotLive,
    /// The slot was allocated with this state.
    Differs(SlotState),
}

#[derive(Debug)]
pub(crate) struct IndexStack {
    /// Tag and top slot plus one (0: empty).
    head: AtomicU64,
    free: AtomicUsize,
}

fn unpack_head(head: u64) -> (u32, Option<usize>) {
    let [a, b, c, d, e, f, g, h] = head.to_le_bytes();
    let top = u32::from_le_bytes([a, b, c, d]);
    let tag = u32::from_le_bytes([e, f, g, h]);
    (tag, top.checked_sub(1).and_then(|slot| usize::try_from(slot).ok()))
}

fn pack_head(tag: u32, next: u64) -> u64 {
    u64::from(tag) << 32 | next & u64::from(u32::MAX)
}

/// Returns the link value that identifies `slot`.
fn slot_id(slot: usize) -> u64 {
    slot as u64 + 1
}

/// Returns whether the slot of `link` is allocated.
pub(crate) fn is_allocated(link: &AtomicU64) -> bool {
    link.load(Ordering::Relaxed) & ALLOCATED_BIT != 0
}

impl IndexStack {
    pub(crate) fn new() -> Self {
        Self { head: AtomicU64::new(0), free: AtomicUsize::new(0) }
    }

    /// Returns the number of slots on the stack.
    pub(crate) fn len(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }

    /// Pops the newest slot and records its state.
    #[inline]
    pub(crate) fn pop(&self, links: &[AtomicU64], state: SlotState) -> Option<usize> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let (tag, top) = unpack_head(head);
            let slot = top?;
            // If another thread pops this slot meanwhile, the link read here is stale, but the tag
            // has changed.
            let next = links[slot].load(Ordering::Relaxed);
            let new = pack_head(tag.wrapping_add(1), next);
            match self.head.compare_exchange_weak(head, new, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => {
                    self.free.fetch_sub(1, Ordering::Relaxed);
                    links[slot].store(state.link(), Ordering::Relaxed);
                    return Some(slot);
                }
                Err(now) => head = now,
            }
        }
    }

    /// Records the state of a slot that was never on the stack.
    #[inline]
    pub(crate) fn init_link(&self, links: &[AtomicU64], slot: usize, state: SlotState) {
        links[slot].store(state.link(), Ordering::Relaxed);
    }

    /// Pushes a slot if `accept` allows it for the slot's state.
    #[inline]
    pub(crate) fn push(
        &self,
        links: &[AtomicU64],
        slot: usize,
        accept: impl FnOnce(SlotState) -> Result<(), StackError>,
    ) -> Result<(), StackError> {
        let link = links[slot].load(Ordering::Relaxed);
        accept(SlotState::from_link(link).ok_or(StackError::NotLive)?)?;
        // If two threads free the same slot, the exchange of one fails here.
        if links[slot].compare_exchange(link, MOVING, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Err(StackError::NotLive);
        }
        self.free.fetch_add(1, Ordering::Relaxed);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let (tag, top) = unpack_head(head);
            links[slot].store(top.map_or(0, slot_id), Ordering::Relaxed);
            let new = pack_head(tag.wrapping_add(1), slot_id(slot));
            // Release: the thread that pops the slot sees its link and the writes of its last user.
            match self.head.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => head = now,
            }
        }
    }

    /// Records another size for a slot whose state is `old`.
    pub(crate) fn resize(
        &self,
        links: &[AtomicU64],
        slot: usize,
        old: SlotState,
        size: usize,
    ) -> Result<(), StackError> {
        let new = SlotState { size, ..old };
        let swap = links[slot].compare_exchange(old.link(), new.link(), Ordering::Relaxed, Ordering::Relaxed);
        match swap.map_err(SlotState::from_link) {
            Ok(_) => Ok(()),
            Err(Some(state)) if !state.owned => Err(StackError::Differs(state)),
            Err(_) => Err(StackError::NotLive),
        }
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    const STATE: SlotState = SlotState { owned: false, size: 8, align: 8 };

    fn any(_: SlotState) -> Result<(), StackError> {
        Ok(())
    }

    fn two() -> Arc<(IndexStack, [AtomicU64; 2])> {
        let pair = Arc::new((IndexStack::new(), [AtomicU64::new(0), AtomicU64::new(0)]));
        pair.0.init_link(&pair.1, 0, STATE);
        pair.0.init_link(&pair.1, 1, STATE);
        pair
    }

    #[test]
    fn loom_two_threads_never_allocate_the_same_slot() {
        loom::model(|| {
            let pair = two();
            assert_eq!(pair.0.push(&pair.1, 0, any), Ok(()));
            assert_eq!(pair.0.push(&pair.1, 1, any), Ok(()));
            let other = Arc::clone(&pair);
            let handle = thread::spawn(move || other.0.pop(&other.1, STATE));
            let mine = pair.0.pop(&pair.1, STATE);
            let theirs = handle.join().unwrap();
            assert!(mine.is_some() && theirs.is_some() && mine != theirs);
            assert_eq!(pair.0.pop(&pair.1, STATE), None);
        });
    }

    #[test]
    fn loom_a_slot_freed_twice_at_once_is_freed_once() {
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
                let slot = other.0.pop(&other.1, STATE)?;
                other.0.push(&other.1, slot, any).ok()
            });
            let mine = pair.0.pop(&pair.1, STATE);
            let cycled = handle.join().unwrap();
            assert!(mine.is_some() || cycled.is_some());
            let left = pair.0.pop(&pair.1, STATE);
            assert!(mine.is_none() || left.is_none(), "one slot, two owners");
        });
    }
}
