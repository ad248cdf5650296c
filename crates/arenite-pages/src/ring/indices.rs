//! The two counters of a ring, and how an end that waits is woken.
//!
//! Rests on atomics alone and knows elements, not memory, so that `loom` can check every interleaving of it. Counters only
//! grow (and wrap with the word): `written - read` is what lies between. Whoever sleeps says so in a flag first, runs the
//! heavy half of a barrier, and looks once more; whoever moves a counter runs the light half and looks at the flag. So a
//! counter's move costs one store and one load, and no wake-up is lost.
#![cfg_attr(all(test, loom), expect(unsafe_code, reason = "a model stands for the memory of a ring"))]

use crate::util::sync::{AtomicU32, AtomicUsize, Ordering, heavy_barrier, light_barrier};

/// A cache line of its own, with the one that the processor fetches along with it.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

/// One end: its counter, which it alone moves.
#[derive(Debug, Default)]
pub(crate) struct Index(AtomicUsize);

/// What an end says of itself to the other, and rarely.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct EndState {
    /// 1 while this end sleeps, or is about to; the word it sleeps on.
    pub(crate) waiting: AtomicU32,
    /// 0 while nobody has taken this end yet, then [`EndState::OPEN`] or [`EndState::CLOSED`].
    state: AtomicU32,
}

impl EndState {
    /// Somebody has taken this end.
    pub(crate) const OPEN: u32 = 1;
    /// And has dropped it.
    pub(crate) const CLOSED: u32 = 2;

    pub(crate) fn state(&self) -> u32 {
        self.state.load(Ordering::Acquire)
    }

    pub(crate) fn set_state(&self, state: u32) {
        self.state.store(state, Ordering::Release);
    }
}

/// Both ends. All zeroes is a ring at its beginning, which is what fresh memory of a file holds.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Indices {
    written: CachePadded<Index>,
    read: CachePadded<Index>,
    pub(crate) producer: CachePadded<EndState>,
    pub(crate) consumer: CachePadded<EndState>,
}

impl Indices {
    /// Elements written so far; what they hold is seen by whoever asks.
    #[inline(always)]
    pub(crate) fn tail(&self) -> usize {
        self.written.0.0.load(Ordering::Acquire)
    }

    /// Elements read so far; whoever asks may write over them.
    #[inline(always)]
    pub(crate) fn head(&self) -> usize {
        self.read.0.0.load(Ordering::Acquire)
    }

    /// Moves the producer's counter. True: the consumer sleeps, and is this caller's to wake.
    #[inline(always)]
    pub(crate) fn publish_tail(&self, written: usize) -> bool {
        self.written.0.0.store(written, Ordering::Release);
        is_waiting(&self.consumer.0)
    }

    /// Moves the consumer's counter. True: the producer sleeps, and is this caller's to wake.
    #[inline(always)]
    pub(crate) fn publish_head(&self, read: usize) -> bool {
        self.read.0.0.store(read, Ordering::Release);
        is_waiting(&self.producer.0)
    }
}

#[inline(always)]
fn is_waiting(other: &EndState) -> bool {
    light_barrier();
    other.waiting.load(Ordering::Relaxed) != 0 && notify(other)
}

/// Takes the is_waiting's flag down; false where somebody else did.
#[cold]
pub(crate) fn notify(other: &EndState) -> bool {
    other.waiting.swap(0, Ordering::AcqRel) != 0
}

/// Says that this end is about to sleep. False: the kernel lacks the barrier, so a wake-up may be lost and the sleep must
/// be short. The caller looks once more before it sleeps, and takes the flag down with [`cancel_wait`] if it need not.
pub(crate) fn prepare_wait(own: &EndState, shared: bool) -> bool {
    own.waiting.store(1, Ordering::Relaxed);
    heavy_barrier(shared)
}

/// Takes this end's own flag down.
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
    fn loom_every_element_arrives_once_and_whole() {
        loom::model(|| {
            let ring = ring();
            let other = Arc::clone(&ring);
            let producer = thread::spawn(move || {
                for written in 0..3 {
                    while written - other.indices.head() == 2 {
                        thread::yield_now();
                    }
                    // SAFETY: the consumer has given this slot back.
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
            assert!(woken || !sleeps, "the consumer sleeps and nobody will wake it");
        });
    }
}
