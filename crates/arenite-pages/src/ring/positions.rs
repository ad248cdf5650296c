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
pub(crate) struct Line<T>(pub(crate) T);

/// One end: its counter, which it alone moves.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicUsize);

/// What an end says of itself to the other, and rarely.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Sign {
    /// 1 while this end sleeps, or is about to; the word it sleeps on.
    pub(crate) asleep: AtomicU32,
    /// 0 while nobody has taken this end yet, then [`Sign::HERE`] or [`Sign::GONE`].
    presence: AtomicU32,
}

impl Sign {
    /// Somebody has taken this end.
    pub(crate) const HERE: u32 = 1;
    /// And has dropped it.
    pub(crate) const GONE: u32 = 2;

    pub(crate) fn presence(&self) -> u32 {
        self.presence.load(Ordering::Acquire)
    }

    pub(crate) fn set_presence(&self, presence: u32) {
        self.presence.store(presence, Ordering::Release);
    }
}

/// Both ends. All zeroes is a ring at its beginning, which is what fresh memory of a file holds.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Positions {
    written: Line<Counter>,
    read: Line<Counter>,
    pub(crate) producer: Line<Sign>,
    pub(crate) consumer: Line<Sign>,
}

impl Positions {
    /// Elements written so far; what they hold is seen by whoever asks.
    #[inline(always)]
    pub(crate) fn written(&self) -> usize {
        self.written.0.0.load(Ordering::Acquire)
    }

    /// Elements read so far; whoever asks may write over them.
    #[inline(always)]
    pub(crate) fn read(&self) -> usize {
        self.read.0.0.load(Ordering::Acquire)
    }

    /// Moves the producer's counter. True: the consumer sleeps, and is this caller's to wake.
    #[inline(always)]
    pub(crate) fn publish(&self, written: usize) -> bool {
        self.written.0.0.store(written, Ordering::Release);
        sleeper(&self.consumer.0)
    }

    /// Moves the consumer's counter. True: the producer sleeps, and is this caller's to wake.
    #[inline(always)]
    pub(crate) fn release(&self, read: usize) -> bool {
        self.read.0.0.store(read, Ordering::Release);
        sleeper(&self.producer.0)
    }
}

#[inline(always)]
fn sleeper(other: &Sign) -> bool {
    light_barrier();
    other.asleep.load(Ordering::Relaxed) != 0 && wake_up(other)
}

/// Takes the sleeper's flag down; false where somebody else did.
#[cold]
pub(crate) fn wake_up(other: &Sign) -> bool {
    other.asleep.swap(0, Ordering::AcqRel) != 0
}

/// Says that this end is about to sleep. False: the kernel lacks the barrier, so a wake-up may be lost and the sleep must
/// be short. The caller looks once more before it sleeps, and takes the flag down with [`stay_awake`] if it need not.
pub(crate) fn lie_down(own: &Sign, shared: bool) -> bool {
    own.asleep.store(1, Ordering::Relaxed);
    heavy_barrier(shared)
}

/// Takes this end's own flag down.
pub(crate) fn stay_awake(own: &Sign) {
    own.asleep.store(0, Ordering::Relaxed);
}

#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    struct Slots {
        positions: Positions,
        slots: [UnsafeCell<usize>; 2],
    }

    fn ring() -> Arc<Slots> {
        Arc::new(Slots { positions: Positions::default(), slots: [UnsafeCell::new(0), UnsafeCell::new(0)] })
    }

    #[test]
    fn loom_every_element_arrives_once_and_whole() {
        loom::model(|| {
            let ring = ring();
            let other = Arc::clone(&ring);
            let producer = thread::spawn(move || {
                for written in 0..3 {
                    while written - other.positions.read() == 2 {
                        thread::yield_now();
                    }
                    // SAFETY: the consumer has given this slot back.
                    other.slots[written % 2].with_mut(|slot| unsafe { *slot = written + 10 });
                    let _asleep = other.positions.publish(written + 1);
                }
            });
            for read in 0..3 {
                while ring.positions.written() == read {
                    thread::yield_now();
                }
                // SAFETY: the producer has published this slot.
                assert_eq!(ring.slots[read % 2].with(|slot| unsafe { *slot }), read + 10);
                let _asleep = ring.positions.release(read + 1);
            }
            producer.join().unwrap();
        });
    }

    #[test]
    fn loom_no_wake_up_is_lost() {
        loom::model(|| {
            let ring = ring();
            let other = Arc::clone(&ring);
            let producer = thread::spawn(move || other.positions.publish(1));
            let own = &ring.positions.consumer.0;
            assert!(lie_down(own, false));
            let sleeps = ring.positions.written() == 0;
            if !sleeps {
                stay_awake(own);
            }
            let woken = producer.join().unwrap();
            assert!(woken || !sleeps, "the consumer sleeps and nobody will wake it");
        });
    }
}
