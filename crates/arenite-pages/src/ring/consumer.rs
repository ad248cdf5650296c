//! The end of a ring at which elements come out.
//!
//! Rests on `Shared`. It keeps a copy of the producer's counter and reads the counter itself only where the copy says
//! that there is too little.
#![expect(unsafe_code, reason = "reads elements from slots that the producer has published")]

use super::WaitError;
use super::indices::Indices;
use super::location::Side;
use super::shared::Shared;
use core::fmt;
use core::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is plenty for one look at the producer's counter, in bytes: the price of the look is shared among that many.
const BATCH_BYTES: usize = 2048;
/// How long a consumer that has caught up with a stream waits before it looks again: a few trips of a cache line between
/// distant cores.
const RETRY_DELAY: Duration = Duration::from_nanos(500);
/// The most signs of a stream that it may want to see before it waits once more.
const MAX_BACKOFF: u16 = 1023;

/// The one consumer of a ring. Wait-free; may move to another thread, is used by one at a time.
///
/// Where it has caught up with a stream of elements, a call that finds little may look a second time half a microsecond later: fewer
/// looks at the producer's counter make both ends faster. Elements that come one at a time, each after the one before was
/// taken, are not held up, but the first one after a stream may be.
///
/// ```
/// let (mut producer, mut consumer) = arenite_pages::ring_buffer::<f32>(1024)?;
/// producer.push_slice(&[1.0, 2.0, 3.0]);
/// let sum: f32 = consumer.peek().iter().sum(); // read in place
/// consumer.release(2);
/// assert_eq!((sum, consumer.pop(), consumer.pop()), (6.0, Some(3.0), None));
/// # Ok::<(), arenite_pages::RingError>(())
/// ```
pub struct Consumer<T> {
    base: NonNull<T>,
    mask: usize,
    read: usize,
    /// The producer's counter as it was last seen: never beyond what it is, nor beyond the ring.
    written: usize,
    /// Where this end was when it last found too little.
    last_empty: usize,
    /// How many signs of a stream it wants to see before it waits for more.
    required_signs: u16,
    /// How many it wanted after the last wait: twice as many after each that was in vain.
    backoff: u16,
    /// The counters, which `shared` keeps alive.
    indices: NonNull<Indices>,
    shared: Arc<Shared<T>>,
}

// SAFETY: the pointer is that of `shared`, which may move; elements come from another thread, so they must be `Send`.
unsafe impl<T: Send> Send for Consumer<T> {}
// SAFETY: a shared borrow reads atomics alone.
unsafe impl<T: Send> Sync for Consumer<T> {}

impl<T> Consumer<T> {
    /// The end of `shared` that nobody else has.
    pub(crate) fn new(shared: Arc<Shared<T>>) -> Self {
        let read = shared.indices().head();
        let mask = shared.capacity() - 1;
        let indices = NonNull::from(shared.indices());
        Self {
            base: shared.base(),
            mask,
            read,
            written: read,
            last_empty: read,
            required_signs: 1,
            backoff: 0,
            indices,
            shared,
        }
    }

    /// The number of elements that the ring has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.mask + 1
    }

    /// The number of elements that are there now; the producer may add more at any time.
    #[must_use]
    pub fn len(&self) -> usize {
        self.load_tail().wrapping_sub(self.read)
    }

    /// Whether nothing is there now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the producer was dropped: what is there now is all that will come.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed(Side::Producer)
    }

    /// The producer's counter, not beyond the ring: one from another process is not load_tail.
    #[inline(always)]
    fn load_tail(&self) -> usize {
        let written = self.indices().tail();
        let there = written.wrapping_sub(self.read);
        if there <= self.mask + 1 { written } else { self.read }
    }

    /// Whether `count` are there, by the copy or, where that says no, by the counter.
    #[inline(always)]
    fn has_at_least(&mut self, count: usize) -> bool {
        self.written.wrapping_sub(self.read) >= count || self.refresh_tail(count)
    }

    /// Reads the counter.
    #[inline(always)]
    fn refresh_tail(&mut self, count: usize) -> bool {
        self.written = self.load_tail();
        let plenty = count.saturating_mul(2).max(BATCH_BYTES / size_of::<T>());
        self.written.wrapping_sub(self.read) >= plenty || self.refresh_tail_slow(count)
    }

    /// The look that found little or nothing.
    ///
    /// Each look takes the counter's cache line from the producer, who must fetch it back to go on: a consumer that keeps up
    /// with a stream looks often, finds little each time, and slows both down. To find more than was asked for is a end_state of a
    /// stream; in one, a consumer that has caught up waits a moment and looks again. The first element after none is not held
    /// up, and where nothing comes while it waits (the elements come in bursts, or from this thread), it soon waits no more.
    #[cold]
    #[inline(never)]
    fn refresh_tail_slow(&mut self, count: usize) -> bool {
        let there = self.written.wrapping_sub(self.read);
        let many = |there: usize| there / 2 >= count;
        if many(there) {
            self.required_signs = self.required_signs.saturating_sub(1);
        }
        let mut now = there;
        if self.required_signs == 0 && self.last_empty != self.read {
            let start = Instant::now();
            while start.elapsed() < RETRY_DELAY {
                core::hint::spin_loop();
            }
            // never fewer than before, whatever another process writes there
            now = self.load_tail().wrapping_sub(self.read).max(there);
            self.written = self.read.wrapping_add(now);
            let in_vain = now == there || !many(now);
            self.backoff = if in_vain { (2 * self.backoff + 1).min(MAX_BACKOFF) } else { 0 };
            self.required_signs = self.backoff;
        }
        if now < count {
            self.last_empty = self.read;
        }
        now >= count
    }

    #[inline(always)]
    fn indices(&self) -> &Indices {
        // SAFETY: `shared` keeps them until this end is gone; all of them is atomics.
        unsafe { self.indices.as_ref() }
    }

    #[inline(always)]
    fn slot(&self) -> *mut T {
        self.base.as_ptr().wrapping_add(self.read & self.mask)
    }

    #[inline(always)]
    fn advance(&mut self, count: usize) {
        self.read = self.read.wrapping_add(count);
        if self.indices().publish_head(self.read) {
            self.shared.wake(Side::Producer);
        }
    }

    /// Takes one element; `None` where there is none. O(1).
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if !self.has_at_least(1) {
            return None;
        }
        // SAFETY: the producer published this slot and does not touch it before it is given back, which is done once.
        let element = unsafe { self.slot().read() };
        self.advance(1);
        Some(element)
    }

    /// All that is there now, in one slice. It stays in the ring until it is released.
    #[inline]
    pub fn peek(&mut self) -> &[T] {
        self.written = self.load_tail();
        self.slots(self.written.wrapping_sub(self.read))
    }

    /// The first `count` elements, in one slice; `None` where fewer are there.
    #[inline]
    pub fn peek_exact(&mut self, count: usize) -> Option<&[T]> {
        self.has_at_least(count).then(|| self.slots(count))
    }

    #[inline(always)]
    fn slots(&self, count: usize) -> &[T] {
        // SAFETY: `count` is no more than the producer has published beyond `read`; in the double mapping they are in a row
        // and aligned, and the producer leaves them alone until this consumer, which is borrowed, gives them back.
        unsafe { core::slice::from_raw_parts(self.slot(), count) }
    }

    /// Drops the first `count` elements and gives their slots back; as many as are there, where that is less. How many.
    #[inline]
    pub fn release(&mut self, count: usize) -> usize {
        let count = if self.has_at_least(count) { count } else { self.written.wrapping_sub(self.read) };
        let gone = core::ptr::slice_from_raw_parts_mut(self.slot(), count);
        let back = ReleaseOnDrop { consumer: self, count };
        if core::mem::needs_drop::<T>() {
            // SAFETY: the elements were published and are this end's own; `back` moves the counter beyond them afterwards,
            // also where a destructor panics, so nobody drops them again.
            unsafe { core::ptr::drop_in_place(gone) };
        }
        drop(back);
        count
    }

    /// Waits until `count` elements are there; forever without a `timeout`. Sleeps; costs the producer a call to the
    /// kernel for each time it wakes this end.
    ///
    /// # Errors
    /// [`WaitError`]: the time is over, the producer is gone or dead and has left fewer, or `count` is above the capacity.
    pub fn wait_ready(&mut self, count: usize, timeout: Option<Duration>) -> Result<(), WaitError> {
        let capacity = self.capacity();
        if count > capacity {
            return Err(WaitError::TooMany { requested: count, capacity });
        }
        let shared = Arc::clone(&self.shared);
        shared.wait(Side::Consumer, timeout, || self.has_at_least(count))
    }

    /// Takes one element, and waits for it as long as it takes.
    ///
    /// # Errors
    /// [`WaitError`]: the producer is gone or dead, and nothing is left.
    pub fn recv(&mut self) -> Result<T, WaitError> {
        loop {
            if let Some(element) = self.pop() {
                return Ok(element);
            }
            self.wait_ready(1, None)?;
        }
    }
}

impl<T: Copy> Consumer<T> {
    /// Fills as much of `into` as there are elements, and says how much. One copy.
    #[inline]
    pub fn pop_slice(&mut self, into: &mut [T]) -> usize {
        let count =
            if self.has_at_least(into.len()) { into.len() } else { self.written.wrapping_sub(self.read) };
        self.copy_out(&mut into[..count]);
        count
    }

    /// Fills all of `into`, or nothing: false where there are fewer elements. One copy.
    #[inline]
    pub fn pop_exact(&mut self, into: &mut [T]) -> bool {
        let enough = self.has_at_least(into.len());
        if enough {
            self.copy_out(into);
        }
        enough
    }

    #[inline(always)]
    fn copy_out(&mut self, into: &mut [T]) {
        into.copy_from_slice(self.slots(into.len()));
        self.advance(into.len());
    }
}

/// Gives slots back when it goes, whatever way that happens.
struct ReleaseOnDrop<'c, T> {
    consumer: &'c mut Consumer<T>,
    count: usize,
}

impl<T> Drop for ReleaseOnDrop<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.consumer.advance(self.count);
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.shared.close(Side::Consumer);
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("Consumer");
        out.field("capacity", &self.capacity()).field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring_buffer;

    #[test]
    fn one_element_at_a_time_is_never_held_up() {
        let (mut producer, mut consumer) = ring_buffer::<u64>(512).unwrap();
        for number in 0..1000 {
            producer.push(number).unwrap();
            assert_eq!((consumer.pop(), consumer.pop()), (Some(number), None));
        }
        assert_eq!((consumer.required_signs, consumer.backoff), (1, 0), "it took that for a stream");
    }

    #[test]
    fn bursts_are_soon_no_longer_waited_for() {
        let (mut producer, mut consumer) = ring_buffer::<u64>(512).unwrap();
        let mut waits = 0;
        for _ in 0..3000 {
            assert_eq!(producer.push_slice(&[1, 2, 3, 4]), 4);
            let before = consumer.required_signs;
            for number in 1..=4 {
                assert_eq!(consumer.pop(), Some(number));
            }
            waits += u32::from(before <= 1); // one look a burst, which is a sign
        }
        assert_eq!(consumer.backoff, MAX_BACKOFF);
        assert!((10..=12).contains(&waits), "{waits} waits of half a microsecond in 3,000 bursts");
    }

    #[test]
    fn a_stream_from_another_thread_comes_whole_and_in_order() {
        for size in [1, 7, 64, 200] {
            let (mut producer, mut consumer) = ring_buffer::<u32>(1024).unwrap();
            let all = 200_000 / size * size;
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    let numbers: Vec<u32> = (0..u32::try_from(all).unwrap()).collect();
                    for message in numbers.chunks(size) {
                        while !producer.push_all(message) {
                            core::hint::spin_loop();
                        }
                    }
                });
                let mut message = vec![0; size];
                for first in (0..u32::try_from(all).unwrap()).step_by(size) {
                    while !consumer.pop_exact(&mut message) {
                        core::hint::spin_loop();
                    }
                    assert!(
                        message.iter().zip(first..).all(|(&got, sent)| got == sent),
                        "{message:?} at {first}"
                    );
                }
            });
            assert!(consumer.is_empty() && consumer.is_closed());
        }
    }
}
