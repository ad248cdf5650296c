//! The end of a ring at which elements go in.
//!
//! Rests on `Shared`. It keeps a copy of the consumer's counter and reads the counter itself only where the copy says
//! that there is no room. The lines that will be written soon are asked for ([`ahead`]).
#![expect(unsafe_code, reason = "writes elements into slots that the consumer has released")]

use super::indices::Indices;
use super::location::Side;
use super::shared::Shared;
use super::{WaitError, prefetch};
use bytemuck::Pod;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

/// The one producer of a ring. Wait-free; may move to another thread, is used by one at a time.
///
/// ```
/// let (mut producer, mut consumer) = arenite_pages::ring_buffer::<String>(100)?;
/// let sender = std::thread::spawn(move || producer.send("hello".to_owned()));
/// assert_eq!(consumer.recv().as_deref(), Ok("hello"));
/// assert!(sender.join().unwrap().is_ok());
/// assert!(consumer.recv().is_err()); // the producer is gone
/// # Ok::<(), arenite_pages::RingError>(())
/// ```
///
/// What goes in with a short life does not come out with a long one:
///
/// ```compile_fail
/// let (producer, mut consumer) = arenite_pages::ring_buffer::<&'static str>(100).unwrap();
/// let text = String::from("short-lived");
/// let mut producer: arenite_pages::Producer<&str> = producer;
/// producer.push(&text).unwrap();
/// drop(text);
/// println!("{}", consumer.pop().unwrap());
/// ```
pub struct Producer<T> {
    base: NonNull<T>,
    mask: usize,
    written: usize,
    /// The consumer's counter as it was last seen: never beyond what it is.
    read: usize,
    /// How many elements ahead lines are asked for; the capacity, where none are.
    ahead: usize,
    /// The counters, which `shared` keeps alive.
    indices: NonNull<Indices>,
    shared: Arc<Shared<T>>,
}

// SAFETY: the pointer is that of `shared`, which may move; elements go to another thread, so they must be `Send`.
unsafe impl<T: Send> Send for Producer<T> {}
// SAFETY: a shared borrow reads atomics alone.
unsafe impl<T: Send> Sync for Producer<T> {}

impl<T> Producer<T> {
    /// The end of `shared` that nobody else has.
    pub(crate) fn new(shared: Arc<Shared<T>>) -> Self {
        let (written, read) = (shared.indices().tail(), shared.indices().head());
        let capacity = shared.capacity();
        Self {
            base: shared.base(),
            mask: capacity - 1,
            written,
            read,
            ahead: prefetch::prefetch_distance(size_of::<T>(), capacity),
            indices: NonNull::from(shared.indices()),
            shared,
        }
    }

    /// The number of elements that the ring has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.mask + 1
    }

    /// The number of elements that there is room for now; the consumer may make more at any time.
    #[must_use]
    pub fn free_slots(&self) -> usize {
        self.free_hint(self.indices().head())
    }

    /// Whether the consumer was dropped: nobody will ever read what is pushed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed(Side::Consumer)
    }

    /// Room as a counter of the consumer's says it. A counter from another process is not believed beyond the ring.
    #[inline(always)]
    fn free_hint(&self, read: usize) -> usize {
        self.capacity().saturating_sub(self.written.wrapping_sub(read))
    }

    /// Whether there is room for `count`, by the copy or, where that says no, by the counter.
    #[inline(always)]
    fn has_free(&mut self, count: usize) -> bool {
        if self.free_hint(self.read) >= count {
            return true;
        }
        self.read = self.indices().head();
        self.free_hint(self.read) >= count
    }

    #[inline(always)]
    fn indices(&self) -> &Indices {
        // SAFETY: `shared` keeps them until this end is gone; all of them is atomics.
        unsafe { self.indices.as_ref() }
    }

    #[inline(always)]
    fn slot(&self) -> *mut T {
        self.base.as_ptr().wrapping_add(self.written & self.mask)
    }

    #[inline(always)]
    fn publish(&mut self, count: usize) {
        let from = self.written;
        self.written = self.written.wrapping_add(count);
        if self.indices().publish_tail(self.written) {
            self.shared.wake(Side::Consumer);
        }
        // those ahead of what was just written, where the consumer has given them back: each line once
        if self.free_hint(self.read) >= self.ahead {
            let start = self.base.as_ptr().wrapping_add(from.wrapping_add(self.ahead) & self.mask);
            prefetch::prefetch(start.cast(), count * size_of::<T>());
        }
    }

    /// Puts one element in. O(1).
    ///
    /// # Errors
    /// The element, where there is no room.
    #[inline]
    pub fn push(&mut self, element: T) -> Result<(), T> {
        if !self.has_free(1) {
            return Err(element);
        }
        // SAFETY: the slot lies in the mapping, aligned; there is room, so the consumer has given it back.
        unsafe { self.slot().write(element) };
        self.publish(1);
        Ok(())
    }

    /// Slots for exactly `count` elements in a row; `None` where there is no room for them. Nothing is in the ring before
    /// they are committed.
    ///
    /// ```
    /// let (mut producer, mut consumer) = arenite_pages::ring_buffer::<u8>(4096)?;
    /// let mut slots = producer.reserve(100).unwrap();
    /// slots.as_mut_slice()[..3].copy_from_slice(b"abc");
    /// slots.commit(3);
    /// assert_eq!(consumer.peek(), b"abc");
    /// # Ok::<(), arenite_pages::RingError>(())
    /// ```
    #[inline]
    pub fn reserve(&mut self, count: usize) -> Option<WriteSlots<'_, T>> {
        (count <= self.capacity() && self.has_free(count)).then_some(WriteSlots { producer: self, count })
    }

    /// Waits until there is room for `count` elements; forever without a `timeout`. Sleeps; costs the consumer a call to
    /// the kernel for each time it wakes this end.
    ///
    /// # Errors
    /// [`WaitError`]: the time is over, the consumer is gone or dead, or `count` is above the capacity.
    pub fn wait_free(&mut self, count: usize, timeout: Option<Duration>) -> Result<(), WaitError> {
        let capacity = self.capacity();
        if count > capacity {
            return Err(WaitError::TooMany { requested: count, capacity });
        }
        let shared = Arc::clone(&self.shared);
        shared.wait(Side::Producer, timeout, || self.has_free(count))
    }

    /// Puts one element in, and waits for room as long as it takes.
    ///
    /// # Errors
    /// The element, where the consumer is gone or dead.
    pub fn send(&mut self, element: T) -> Result<(), T> {
        let mut element = element;
        loop {
            if self.is_closed() {
                return Err(element);
            }
            element = match self.push(element) {
                Ok(()) => return Ok(()),
                Err(element) => element,
            };
            if self.wait_free(1, None).is_err() {
                return Err(element);
            }
        }
    }
}

impl<T: Copy> Producer<T> {
    /// Puts as many of `elements` in as there is room for, and says how many. One copy.
    #[inline]
    pub fn push_slice(&mut self, elements: &[T]) -> usize {
        let count = if self.has_free(elements.len()) { elements.len() } else { self.free_hint(self.read) };
        self.put(&elements[..count]);
        count
    }

    /// Puts all of `elements` in, or none: false where there is no room for all. One copy.
    #[inline]
    pub fn push_all(&mut self, elements: &[T]) -> bool {
        let fits = self.has_free(elements.len());
        if fits {
            self.put(elements);
        }
        fits
    }

    #[inline(always)]
    fn put(&mut self, elements: &[T]) {
        let count = elements.len();
        debug_assert!(count <= self.free_hint(self.read));
        // SAFETY: 1. the source is a slice of that length. 2. there is room, so the consumer has given these slots back, and
        // in the double mapping they are in a row and aligned. 3. nobody else sees the slots, so they do not overlap.
        unsafe { core::ptr::copy_nonoverlapping(elements.as_ptr(), self.slot(), count) };
        self.publish(count);
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.shared.close(Side::Producer);
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("Producer");
        out.field("capacity", &self.capacity()).field("free", &self.free_slots()).finish_non_exhaustive()
    }
}

/// Slots in a row that are the producer's until it commits them; dropped without that, they stay free.
#[derive(Debug)]
pub struct WriteSlots<'p, T> {
    producer: &'p mut Producer<T>,
    count: usize,
}

impl<T> WriteSlots<'_, T> {
    /// The slots, whatever is in them.
    #[inline]
    pub fn as_uninit(&mut self) -> &mut [MaybeUninit<T>] {
        let slot = self.producer.slot().cast();
        // SAFETY: `reserve` found room for that many, so they are the producer's alone, in a row and aligned; anything is a
        // valid `MaybeUninit`; the producer is borrowed for as long.
        unsafe { core::slice::from_raw_parts_mut(slot, self.count) }
    }

    /// Puts the first `count` slots into the ring, at most those that were reserved.
    ///
    /// # Safety
    /// The first `count` slots were written.
    #[inline]
    pub unsafe fn commit_init(self, count: usize) {
        debug_assert!(count <= self.count);
        self.producer.publish(count.min(self.count));
    }
}

impl<T: Pod> WriteSlots<'_, T> {
    /// The slots, with what is in them: zeroes, older elements, or what an earlier ring of this process left.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        let slot = self.producer.slot();
        // SAFETY: as for `as_uninit`; the memory began as zeroes, or as bytes of which nothing is known, and any are a valid `T`.
        unsafe { core::slice::from_raw_parts_mut(slot, self.count) }
    }

    /// Puts the first `count` slots into the ring, at most those that were reserved, with what is in them.
    #[inline]
    pub fn commit(self, count: usize) {
        self.producer.publish(count.min(self.count));
    }
}
