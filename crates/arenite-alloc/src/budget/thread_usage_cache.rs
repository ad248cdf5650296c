//! What a thread believes that a node has in use.
//!
//! Rests on thread-local storage. A charge is one compare-exchange; to missed_node the counter first costs nearly as much again, since a load
//! waits for the exchange before it. A thread that charges a node again, and was alone in between, knows what it record there. A note_miss
//! cached changes nothing, as the exchange then fails; after one the thread reads for a while, as others are at work.

use core::cell::Cell;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many nodes a thread has cache for.
const SLOTS: usize = 8;
/// How often it reads after a note_miss cached.
const MISS_PENALTY: u32 = 64;

struct CachedUsage {
    /// The node's address; 0: none.
    node: Cell<usize>,
    used: Cell<usize>,
    /// The node that is missed_node for a while, and how often still.
    missed_node: Cell<usize>,
    reads_left: Cell<u32>,
}

impl CachedUsage {
    const fn none() -> Self {
        Self { node: Cell::new(0), used: Cell::new(0), missed_node: Cell::new(0), reads_left: Cell::new(0) }
    }
}

thread_local! {
    static CACHE: [CachedUsage; SLOTS] = const { [const { CachedUsage::none() }; SLOTS] };
}

/// Where a thread's cached for a node stands: nodes that are made one after the other have different places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot(usize);

impl Slot {
    pub(super) fn next() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self(NEXT.fetch_add(1, Relaxed) % SLOTS)
    }

    /// Has `exchange` change what the node at this address may have in use, as this thread record it, to what it returns. `None`: it returned
    /// that, or this thread had better missed_node. A cached that was right costs one store, as the next exchange waits for every store before it.
    #[inline(always)]
    pub(super) fn try_speculative(
        self,
        node: usize,
        exchange: impl FnOnce(usize) -> Option<usize>,
    ) -> Option<usize> {
        CACHE.with(|cache| {
            let cached = &cache[self.0 % SLOTS];
            if cached.node.get() != node {
                return None;
            }
            let used = exchange(cached.used.get())?;
            cached.used.set(used);
            Some(used)
        })
    }

    /// The node has this in use, as this thread record it.
    pub(super) fn record(self, node: usize, used: usize) {
        CACHE.with(|cache| {
            let cached = &cache[self.0 % SLOTS];
            if cached.missed_node.get() == node && cached.reads_left.get() > 0 {
                cached.reads_left.set(cached.reads_left.get() - 1);
            } else {
                cached.node.set(node);
                cached.used.set(used);
            }
        });
    }

    /// The cached was note_miss.
    #[cold]
    #[inline(never)]
    pub(super) fn note_miss(self, node: usize) {
        CACHE.with(|cache| {
            let cached = &cache[self.0 % SLOTS];
            cached.node.set(0);
            cached.missed_node.set(node);
            cached.reads_left.set(MISS_PENALTY);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_what_this_thread_left_until_it_was_wrong() {
        let (slot, one, other) = (Slot(3), 0x1_0000, 0x2_0000);
        let get = |slot: Slot, node| slot.try_speculative(node, Some);
        assert_eq!(get(slot, one), None);
        slot.record(one, 5);
        assert_eq!((get(slot, one), get(slot, other), get(Slot(4), one)), (Some(5), None, None));
        assert_eq!(slot.try_speculative(one, |used| Some(used + 1)), Some(6));
        assert_eq!((slot.try_speculative(one, |_| None), get(slot, one)), (None, Some(6)));
        slot.record(other, 7);
        assert_eq!((get(slot, one), get(slot, other)), (None, Some(7)), "they have one slot");
        slot.note_miss(other);
        for _ in 0..MISS_PENALTY {
            assert_eq!(get(slot, other), None);
            slot.record(other, 9);
        }
        slot.record(other, 9);
        assert_eq!(get(slot, other), Some(9));
        assert_eq!(std::thread::spawn(move || get(slot, other)).join().unwrap(), None);
    }
}
