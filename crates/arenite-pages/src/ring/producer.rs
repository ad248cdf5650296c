//! The writing end of a ring.
//!
//! The producer caches the consumer's index, and loads the index itself only if the cached one
//! shows no free slots. It prefetches the lines that it will write next.
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

/// The single producer of a ring. Wait-free; may move to another thread, and is used by one at a
/// time.
///
/// ```
/// let (mut producer, mut consumer) = arenite_pages::ring_buffer::<String>(100)?;
/// let sender = std::thread::spawn(move || producer.send("hello".to_owned()));
/// assert_eq!(consumer.recv().as_deref(), Ok("hello"));
/// assert!(sender.join().unwrap().is_ok());
/// assert!(consumer.recv().is_err()); // the producer was dropped
/// # Ok::<(), arenite_pages::RingError>(())
/// ```
///
/// Elements with a short lifetime cannot become elements with a longer one:
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
    tail: usize,
    /// The cached index of the consumer: at most its value.
    head: usize,
    /// Prefetch distance in elements; the capacity without prefetching.
    prefetch_ahead: usize,
    /// The indices, which `shared` owns.
    indices: NonNull<Indices>,
    shared: Arc<Shared<T>>,
}

// SAFETY: the pointer is that of `shared`, which may move; elements go to another thread, so they
// must be `Send`.
unsafe impl<T: Send> Send for Producer<T> {}
// SAFETY: a shared borrow only reads atomics.
unsafe impl<T: Send> Sync for Producer<T> {}

impl<T> Producer<T> {
    /// Makes the only producer of `shared`.
    pub(crate) fn new(shared: Arc<Shared<T>>) -> Self {
        let (tail, head) = (shared.indices().tail(), shared.indices().head());
        let capacity = shared.capacity();
        Self {
            base: shared.base(),
            mask: capacity - 1,
            tail,
            head,
            prefetch_ahead: prefetch::prefetch_distance(size_of::<T>(), capacity),
            indices: NonNull::from(shared.indices()),
            shared,
        }
    }

    /// Returns the capacity of the ring in elements.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.mask + 1
    }

    /// Returns the number of free slots now; the consumer may release more at any time.
    #[must_use]
    pub fn free_slots(&self) -> usize {
        self.free_slots_at(self.indices().head())
    }

    /// Returns whether the consumer was dropped: pushed elements will not be read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed(Side::Consumer)
    }

    /// Returns the free slots for an index of the consumer. A value that another process stored
    /// never yields more than the capacity.
    #[inline(always)]
    fn free_slots_at(&self, head: usize) -> usize {
        self.capacity().saturating_sub(self.tail.wrapping_sub(head))
    }

    /// Returns whether `count` slots are free, by the cached index or, if that is too low, by the
    /// index.
    #[inline(always)]
    fn has_free(&mut self, count: usize) -> bool {
        if self.free_slots_at(self.head) >= count {
            return true;
        }
        self.head = self.indices().head();
        self.free_slots_at(self.head) >= count
    }

    #[inline(always)]
    fn indices(&self) -> &Indices {
        // SAFETY: `shared` owns them until this end is dropped; all of them are atomics.
        unsafe { self.indices.as_ref() }
    }

    #[inline(always)]
    fn slot(&self) -> *mut T {
        self.base.as_ptr().wrapping_add(self.tail & self.mask)
    }

    #[inline(always)]
    fn publish(&mut self, count: usize) {
        let from = self.tail;
        self.tail = self.tail.wrapping_add(count);
        if self.indices().publish_tail(self.tail) {
            self.shared.wake(Side::Consumer);
        }
        // prefetches once each line ahead of the elements just written, if the consumer has
        // released it
        if self.free_slots_at(self.head) >= self.prefetch_ahead {
            let start = self.base.as_ptr().wrapping_add(from.wrapping_add(self.prefetch_ahead) & self.mask);
            prefetch::prefetch(start.cast(), count * size_of::<T>());
        }
    }

    /// Pushes one element. O(1).
    ///
    /// # Errors
    /// The element, if the ring is full.
    #[inline]
    pub fn push(&mut self, element: T) -> Result<(), T> {
        if !self.has_free(1) {
            return Err(element);
        }
        // SAFETY: the slot lies in the mapping, aligned; it is free, so the consumer has released
        // it.
        unsafe { self.slot().write(element) };
        self.publish(1);
        Ok(())
    }

    /// Reserves exactly `count` contiguous slots, or returns `None` if fewer are free. The consumer
    /// sees nothing before they are committed.
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

    /// Waits until `count` slots are free; for ever without a `timeout`. Sleeps, and costs the
    /// consumer a system call for each wake-up.
    ///
    /// # Errors
    /// [`WaitError`] after the timeout, if the consumer is closed or dead, or if `count` exceeds
    /// the capacity.
    pub fn wait_free(&mut self, count: usize, timeout: Option<Duration>) -> Result<(), WaitError> {
        let capacity = self.capacity();
        if count > capacity {
            return Err(WaitError::TooMany { requested: count, capacity });
        }
        let shared = Arc::clone(&self.shared);
        shared.wait(Side::Producer, timeout, || self.has_free(count))
    }

    /// Pushes one element, and waits for a free slot without a timeout.
    ///
    /// # Errors
    /// The element, if the consumer is closed or dead.
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
    /// Pushes as many of `elements` as there are free slots, and returns the number. One copy.
    #[inline]
    pub fn push_slice(&mut self, elements: &[T]) -> usize {
        let count =
            if self.has_free(elements.len()) { elements.len() } else { self.free_slots_at(self.head) };
        self.write(&elements[..count]);
        count
    }

    /// Pushes all of `elements`. Returns `false`, and pushes none, if fewer slots are free. One
    /// copy.
    #[inline]
    pub fn push_all(&mut self, elements: &[T]) -> bool {
        let fits = self.has_free(elements.len());
        if fits {
            self.write(elements);
        }
        fits
    }

    #[inline(always)]
    fn write(&mut self, elements: &[T]) {
        let count = elements.len();
        debug_assert!(count <= self.free_slots_at(self.head));
        // SAFETY: 1. the source is a slice of that length. 2. the slots are free, so the consumer
        // has released them, and in the double mapping they are contiguous and aligned. 3. no other
        // code sees the slots, so they do not overlap.
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

/// Contiguous reserved slots; dropped without a commit, they stay free.
#[derive(Debug)]
pub struct WriteSlots<'p, T> {
    producer: &'p mut Producer<T>,
    count: usize,
}

impl<T> WriteSlots<'_, T> {
    /// Returns the slots as possibly uninitialised memory.
    #[inline]
    pub fn as_uninit(&mut self) -> &mut [MaybeUninit<T>] {
        let slot = self.producer.slot().cast();
        // SAFETY: `reserve` found as many free slots, so they are the producer's alone, contiguous
        // and aligned. Anything is a valid `MaybeUninit`. The producer is borrowed for as long.
        unsafe { core::slice::from_raw_parts_mut(slot, self.count) }
    }

    /// Commits the first `count` slots, at most those that were reserved.
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
    /// Returns the slots with their contents: zeroes, older elements, or the bytes of an earlier
    /// ring of this process.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        let slot = self.producer.slot();
        // SAFETY: 1. `reserve` found `count` free slots: contiguous, aligned, and the producer's
        // alone until they are committed. 2. the memory began as zeroes or as unknown bytes, and
        // any are a valid `T`. 3. `&mut self` makes this the only borrow.
        unsafe { core::slice::from_raw_parts_mut(slot, self.count) }
    }

    /// Commits the first `count` slots with their contents, at most those that were reserved.
    #[inline]
    pub fn commit(self, count: usize) {
        self.producer.publish(count.min(self.count));
    }
}
