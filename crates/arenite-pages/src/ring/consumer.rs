//! The reading end of a ring.
//!
//! The consumer caches the producer's index, and reads the index itself only if the cached one
//! shows too few elements.
#![expect(unsafe_code, reason = "reads elements from slots that the producer has published")]

use super::WaitError;
use super::indices::Indices;
use super::location::Side;
use super::shared::Shared;
use core::fmt;
use core::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Number of new bytes that make one load of the producer's index worth its cost.
const BATCH_BYTES: usize = 2048;
/// Time that a consumer at the end of a stream waits before it loads the index again. The wait
/// lasts as long as a few transfers of a cache line between distant cores.
const RETRY_DELAY: Duration = Duration::from_nanos(500);
/// Maximum number of signs of a stream before the next wait.
const MAX_BACKOFF: u16 = 1023;

/// The single consumer of a ring. Wait-free; may move to another thread, and is used by one at a
/// time.
///
/// At the end of a stream of elements, a call that finds few may load the index again half a
/// microsecond later. Fewer loads of the producer's index make both ends faster. Single elements,
/// each sent after the one before was popped, are not delayed, but the first one after a stream
/// may be.
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
    head: usize,
    /// The cached index of the producer: at most its value, and within the ring.
    tail: usize,
    /// The consumer's index when it last found too few elements.
    last_empty: usize,
    /// Number of signs of a stream before the next wait.
    required_signs: u16,
    /// `required_signs` after the last wait: doubled after each wait without effect.
    backoff: u16,
    /// The indices, which `shared` owns.
    indices: NonNull<Indices>,
    shared: Arc<Shared<T>>,
}

// SAFETY: the pointer is that of `shared`, which may move; elements come from another thread, so
// they must be `Send`.
unsafe impl<T: Send> Send for Consumer<T> {}
// SAFETY: a shared borrow only reads atomics.
unsafe impl<T: Send> Sync for Consumer<T> {}

impl<T> Consumer<T> {
    /// Makes the only consumer of `shared`.
    pub(crate) fn new(shared: Arc<Shared<T>>) -> Self {
        let head = shared.indices().head();
        let mask = shared.capacity() - 1;
        let indices = NonNull::from(shared.indices());
        Self {
            base: shared.base(),
            mask,
            head,
            tail: head,
            last_empty: head,
            required_signs: 1,
            backoff: 0,
            indices,
            shared,
        }
    }

    /// Returns the capacity of the ring in elements.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.mask + 1
    }

    /// Returns the number of elements in the ring now; the producer may add more at any time.
    #[must_use]
    pub fn len(&self) -> usize {
        self.load_tail().wrapping_sub(self.head)
    }

    /// Returns whether the ring is empty now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether the producer was dropped: no more elements will arrive.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed(Side::Producer)
    }

    /// Loads the producer's index. A value beyond the ring, which another process could store,
    /// counts as an empty ring.
    #[inline(always)]
    fn load_tail(&self) -> usize {
        let tail = self.indices().tail();
        let there = tail.wrapping_sub(self.head);
        if there <= self.mask + 1 { tail } else { self.head }
    }

    /// Returns whether `count` elements are available, by the cached index or, if that is too low,
    /// by the index.
    #[inline(always)]
    fn has_at_least(&mut self, count: usize) -> bool {
        self.tail.wrapping_sub(self.head) >= count || self.refresh_tail(count)
    }

    /// Loads the index. Returns whether `count` elements are available.
    #[inline(always)]
    fn refresh_tail(&mut self, count: usize) -> bool {
        self.tail = self.load_tail();
        let batch = count.saturating_mul(2).max(BATCH_BYTES / size_of::<T>());
        self.tail.wrapping_sub(self.head) >= batch || self.refresh_tail_slow(count)
    }

    /// Handles a load of the index that found few elements.
    ///
    /// Each load takes the index's cache line from the producer, which must fetch it back. A
    /// consumer at the end of a stream loads often, finds few elements each time, and slows both
    /// ends down.
    ///
    /// More elements than requested are a sign of a stream. In a stream, a consumer that finds few
    /// elements waits a moment and loads again. The first element after an empty ring is not
    /// delayed. If nothing arrives during the waits (bursts, or elements from this thread), the
    /// consumer soon stops waiting.
    #[cold]
    #[inline(never)]
    fn refresh_tail_slow(&mut self, count: usize) -> bool {
        let there = self.tail.wrapping_sub(self.head);
        let many = |there: usize| there / 2 >= count;
        if many(there) {
            self.required_signs = self.required_signs.saturating_sub(1);
        }
        let mut now = there;
        if self.required_signs == 0 && self.last_empty != self.head {
            let start = Instant::now();
            while start.elapsed() < RETRY_DELAY {
                core::hint::spin_loop();
            }
            // never fewer than before, whatever another process stores there
            now = self.load_tail().wrapping_sub(self.head).max(there);
            self.tail = self.head.wrapping_add(now);
            let in_vain = now == there || !many(now);
            self.backoff = if in_vain { (2 * self.backoff + 1).min(MAX_BACKOFF) } else { 0 };
            self.required_signs = self.backoff;
        }
        if now < count {
            self.last_empty = self.head;
        }
        now >= count
    }

    #[inline(always)]
    fn indices(&self) -> &Indices {
        // SAFETY: `shared` owns them until this end is dropped; all of them are atomics.
        unsafe { self.indices.as_ref() }
    }

    #[inline(always)]
    fn slot(&self) -> *mut T {
        self.base.as_ptr().wrapping_add(self.head & self.mask)
    }

    #[inline(always)]
    fn advance(&mut self, count: usize) {
        self.head = self.head.wrapping_add(count);
        if self.indices().publish_head(self.head) {
            self.shared.wake(Side::Producer);
        }
    }

    /// Pops one element, or returns `None` if the ring is empty. O(1).
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if !self.has_at_least(1) {
            return None;
        }
        // SAFETY: the producer published this slot and does not touch it before it is released,
        // which is done once.
        let element = unsafe { self.slot().read() };
        self.advance(1);
        Some(element)
    }

    /// Returns all elements in the ring now, in one slice. They stay in the ring until they are
    /// released.
    #[inline]
    pub fn peek(&mut self) -> &[T] {
        self.tail = self.load_tail();
        self.slots(self.tail.wrapping_sub(self.head))
    }

    /// Returns the first `count` elements in one slice, or `None` if there are fewer.
    #[inline]
    pub fn peek_exact(&mut self, count: usize) -> Option<&[T]> {
        self.has_at_least(count).then(|| self.slots(count))
    }

    #[inline(always)]
    fn slots(&self, count: usize) -> &[T] {
        // SAFETY: `count` is no more than the producer has published beyond `head`. In the double
        // mapping the elements are contiguous and aligned. The producer does not touch them until
        // this consumer, which is borrowed, releases them.
        unsafe { core::slice::from_raw_parts(self.slot(), count) }
    }

    /// Drops the first `count` elements, or as many as there are, and releases their slots. Returns
    /// the number.
    #[inline]
    pub fn release(&mut self, count: usize) -> usize {
        let count = if self.has_at_least(count) { count } else { self.tail.wrapping_sub(self.head) };
        let released = core::ptr::slice_from_raw_parts_mut(self.slot(), count);
        let back = ReleaseOnDrop { consumer: self, count };
        if core::mem::needs_drop::<T>() {
            // SAFETY: the elements were published and are this end's own; `back` advances the index
            // beyond them afterwards, also if a destructor panics, so they are dropped once.
            unsafe { core::ptr::drop_in_place(released) };
        }
        drop(back);
        count
    }

    /// Waits until `count` elements are available; for ever without a `timeout`. Sleeps, and costs
    /// the producer a system call for each wake-up.
    ///
    /// # Errors
    /// [`WaitError`] after the timeout, if the producer is closed or dead and left fewer elements,
    /// or if `count` exceeds the capacity.
    pub fn wait_ready(&mut self, count: usize, timeout: Option<Duration>) -> Result<(), WaitError> {
        let capacity = self.capacity();
        if count > capacity {
            return Err(WaitError::TooMany { requested: count, capacity });
        }
        let shared = Arc::clone(&self.shared);
        shared.wait(Side::Consumer, timeout, || self.has_at_least(count))
    }

    /// Pops one element, and waits for it without a timeout.
    ///
    /// # Errors
    /// [`WaitError`] if the producer is closed or dead, and the ring is empty.
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
    /// Copies as many elements to `into` as there are, and returns the number. One copy.
    #[inline]
    pub fn pop_slice(&mut self, into: &mut [T]) -> usize {
        let count =
            if self.has_at_least(into.len()) { into.len() } else { self.tail.wrapping_sub(self.head) };
        self.copy_out(&mut into[..count]);
        count
    }

    /// Copies elements to all of `into`. Returns `false`, and copies nothing, if there are fewer.
    /// One copy.
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

/// Releases slots on drop, also during a panic.
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
    fn single_elements_are_never_delayed() {
        let (mut producer, mut consumer) = ring_buffer::<u64>(512).unwrap();
        for number in 0..1000 {
            producer.push(number).unwrap();
            assert_eq!((consumer.pop(), consumer.pop()), (Some(number), None));
        }
        assert_eq!((consumer.required_signs, consumer.backoff), (1, 0), "single elements count as a stream");
    }

    #[test]
    fn consumer_stops_waiting_for_bursts() {
        let (mut producer, mut consumer) = ring_buffer::<u64>(512).unwrap();
        let mut waits = 0;
        for _ in 0..3000 {
            assert_eq!(producer.push_slice(&[1, 2, 3, 4]), 4);
            let before = consumer.required_signs;
            for number in 1..=4 {
                assert_eq!(consumer.pop(), Some(number));
            }
            waits += u32::from(before <= 1); // one load per burst, which is a sign
        }
        assert_eq!(consumer.backoff, MAX_BACKOFF);
        assert!((10..=12).contains(&waits), "{waits} waits of half a microsecond in 3,000 bursts");
    }

    #[test]
    fn stream_from_another_thread_is_complete_and_ordered() {
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
