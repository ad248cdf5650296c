//! The two indices of a ring, and the wake-up of a waiting end.
//!
//! This file uses only atomics and no memory of elements, so that `loom` can check every
//! interleaving. Indices only grow (and wrap with the word): `tail - head` elements are in the
//! ring.
//!
//! A waiter sets its flag, runs the heavy half of a barrier, and checks the index again. A
//! publisher stores its index, runs the light half, and checks the flag. So publishing costs one
//! store and one load, and no wake-up is lost.
#![cfg_attr(all(test, loom), expect(unsafe_code, reason = "a model stands for the memory of a ring"))]

use crate::util::sync::{AtomicU32, AtomicUsize, Ordering, heavy_barrier, light_barrier};

/// A value in a cache line of its own, with the adjacent line that the processor prefetches.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

/// Index of one end, which only that end stores.
#[derive(Debug, Default)]
pub(crate) struct Index(AtomicUsize);

/// Rarely changing state of an end.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct EndState {
    /// 1 while this end sleeps or is about to; the futex word.
    pub(crate) waiting: AtomicU32,
    /// 0 before this end is opened, then [`EndState::OPEN`] or [`EndState::CLOSED`].
    state: AtomicU32,
}

impl EndState {
    /// The end is open.
    pub(crate) const OPEN: u32 = 1;
    /// The end was dropped.
    pub(crate) const CLOSED: u32 = 2;

    pub(crate) fn state(&self) -> u32 {
        self.state.load(Ordering::Acquire)
    }

    pub(crate) fn set_state(&self, state: u32) {
        self.state.store(state, Ordering::Release);
    }
}

/// Both ends. All zeroes is an empty ring, which is the content of a fresh file.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Indices {
    tail: CachePadded<Index>,
    head: CachePadded<Index>,
    pub(crate) producer: CachePadded<EndState>,
    pub(crate) consumer: CachePadded<EndState>,
}

impl Indices {
    /// Loads the number of elements written so far; their contents are visible (Acquire).
    #[inline(always)]
    pub(crate) fn tail(&self) -> usize {
        self.tail.0.0.load(Ordering::Acquire)
    }

    /// Loads the number of elements read so far; their slots may be overwritten (Acquire).
    #[inline(always)]
    pub(crate) fn head(&self) -> usize {
        self.head.0.0.load(Ordering::Acquire)
    }

    /// Stores the producer's index. Returns whether the consumer sleeps and the caller must wake
    /// it.
    #[inline(always)]
    pub(crate) fn publish_tail(&self, tail: usize) -> bool {
        self.tail.0.0.store(tail, Ordering::Release);
        take_waiter(&self.consumer.0)
    }

    /// Stores the consumer's index. Returns whether the producer sleeps and the caller must wake
    /// it.
    #[inline(always)]
    pub(crate) fn publish_head(&self, head: usize) -> bool {
        self.head.0.0.store(head, Ordering::Release);
        take_waiter(&self.producer.0)
    }
}

#[inline(always)]
fn take_waiter(other: &EndState) -> bool {
    light_barrier();
    other.waiting.load(Ordering::Relaxed) != 0 && must_wake(other)
}

/// Clears the waiter's flag. Returns `false` if it was clear.
#[cold]
pub(crate) fn must_wake(other: &EndState) -> bool {
    other.waiting.swap(0, Ordering::AcqRel) != 0
}

/// Sets this end's flag before a sleep. Returns `false` if the kernel lacks the barrier: a wake-up
/// may be lost, so the sleep must be short. The caller checks again before it sleeps, and calls
/// [`cancel_wait`] if it need not.
pub(crate) fn prepare_wait(own: &EndState, shared: bool) -> bool {
    own.waiting.store(1, Ordering::Relaxed);
    heavy_barrier(shared)
}

/// Clears this end's own flag.
pub(crate) fn cancel_wait(own: &EndState) {
    own.waiting.store(0, Ordering::Relaxed);
}

#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    struct Slots {
        indices: Indices,
        slots: [UnsafeCell<usize>; 2],
    }

    fn ring() -> Arc<Slots> {
        Arc::new(Slots { indices: Indices::default(), slots: [UnsafeCell::new(0), UnsafeCell::new(0)] })
    }

    #[test]
    fn loom_every_element_arrives_once_and_complete() {
        loom::model(|| {
            let ring = ring();
            let other = Arc::clone(&ring);
            let producer = thread::spawn(move || {
                for written in 0..3 {
                    while written - other.indices.head() == 2 {
                        thread::yield_now();
                    }
                    // SAFETY: the consumer has released this slot.
                    other.slots[written % 2].with_mut(|slot| unsafe { *slot = written + 10 });
                    let _asleep = other.indices.publish_tail(written + 1);
                }
            });
            for read in 0..3 {
                while ring.indices.tail() == read {
                    thread::yield_now();
                }
                // SAFETY: the producer has published this slot.
                assert_eq!(ring.slots[read % 2].with(|slot| unsafe { *slot }), read + 10);
                let _asleep = ring.indices.publish_head(read + 1);
            }
            producer.join().unwrap();
        });
    }

    #[test]
    fn loom_no_wake_up_is_lost() {
        loom::model(|| {
            let ring = ring();
            let other = Arc::clone(&ring);
            let producer = thread::spawn(move || other.indices.publish_tail(1));
            let own = &ring.indices.consumer.0;
            assert!(prepare_wait(own, false));
            let sleeps = ring.indices.tail() == 0;
            if !sleeps {
                cancel_wait(own);
            }
            let woken = producer.join().unwrap();
            assert!(woken || !sleeps, "the consumer sleeps, and no call wakes it");
        });
    }
}
