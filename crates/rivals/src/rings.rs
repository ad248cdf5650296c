//! Adapters for rings of one producer and one consumer, each through its library's own calls.
//!
//! Each call returns at once if the ring is full or empty; the suite does the waiting, which is
//! then the same for all. If a library has several calls for an operation, the fastest is used.

use crate::failure::AllocFailed;
use arenite_pages::{Consumer, Producer};
use crossbeam_queue::ArrayQueue;
use ringbuf::traits::{Consumer as _, Observer as _, Producer as _, Split as _};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use std::sync::Arc;

/// Capacity of every ring, in bytes and in words.
pub(crate) const RING_BYTES: usize = 64 << 10;
pub(crate) const RING_WORDS: usize = RING_BYTES / size_of::<u64>();

/// A producer of single elements.
pub(crate) trait PushOne<T> {
    /// Pushes an element. Returns `false` if the ring is full.
    fn push_one(&mut self, element: T) -> bool;
}

/// A consumer of single elements.
pub(crate) trait PopOne<T> {
    /// Pops an element, or returns `None` if the ring is empty.
    fn pop_one(&mut self) -> Option<T>;
}

/// A producer of messages.
pub(crate) trait PushMessage<T> {
    /// Copies all of `message` into the ring. Returns `false`, without a copy, if the free space is
    /// too small.
    fn push_message(&mut self, message: &[T]) -> bool;
}

/// A consumer of messages.
pub(crate) trait PopMessage<T> {
    /// Passes the next `buffer.len()` elements to `read` as one slice and removes them; `None` if
    /// there are fewer.
    ///
    /// An adapter that needs a copy for one slice copies to `buffer`.
    fn pop_message<A>(&mut self, buffer: &mut [T], read: impl FnOnce(&[T]) -> A) -> Option<A>;
}

/// A producer or consumer that avoids copies as far as its library allows.
#[derive(Debug)]
pub(crate) struct InPlace<E>(pub(crate) E);

/// The producer and the consumer of a ring.
pub(crate) type Ends<I, O> = Result<(I, O), AllocFailed>;

pub(crate) fn arenite<T>(count: usize) -> Ends<Producer<T>, Consumer<T>> {
    arenite_pages::ring_buffer(count).map_err(|_| AllocFailed)
}

pub(crate) fn rtrb<T>(count: usize) -> Ends<rtrb::Producer<T>, rtrb::Consumer<T>> {
    Ok(rtrb::RingBuffer::new(count))
}

pub(crate) fn ringbuf<T>(count: usize) -> Ends<HeapProd<T>, HeapCons<T>> {
    Ok(HeapRb::new(count).split())
}

pub(crate) fn crossbeam<T>(count: usize) -> Ends<Arc<ArrayQueue<T>>, Arc<ArrayQueue<T>>> {
    let queue = Arc::new(ArrayQueue::new(count));
    Ok((Arc::clone(&queue), queue))
}

impl<T> PushOne<T> for Producer<T> {
    #[inline(always)]
    fn push_one(&mut self, element: T) -> bool {
        self.push(element).is_ok()
    }
}

impl<T> PopOne<T> for Consumer<T> {
    #[inline(always)]
    fn pop_one(&mut self) -> Option<T> {
        self.pop()
    }
}

impl<T: Copy> PushMessage<T> for Producer<T> {
    #[inline(always)]
    fn push_message(&mut self, message: &[T]) -> bool {
        self.push_all(message)
    }
}

impl<T: Copy> PopMessage<T> for Consumer<T> {
    #[inline(always)]
    fn pop_message<A>(&mut self, buffer: &mut [T], read: impl FnOnce(&[T]) -> A) -> Option<A> {
        self.pop_exact(buffer).then(|| read(buffer))
    }
}

/// Messages are written in the ring, as in a program that builds them there.
impl PushMessage<u64> for InPlace<Producer<u64>> {
    #[inline(always)]
    fn push_message(&mut self, message: &[u64]) -> bool {
        let Some(mut slots) = self.0.reserve(message.len()) else { return false };
        slots.as_mut_slice().copy_from_slice(message);
        slots.commit(message.len());
        true
    }
}

impl<T> PopMessage<T> for InPlace<Consumer<T>> {
    #[inline(always)]
    fn pop_message<A>(&mut self, buffer: &mut [T], read: impl FnOnce(&[T]) -> A) -> Option<A> {
        let result = self.0.peek_exact(buffer.len()).map(read)?;
        self.0.release(buffer.len());
        Some(result)
    }
}

/// A consumer that reads in place and releases many messages at a time, as a program that
/// processes all available messages.
#[derive(Debug)]
pub(crate) struct Drained<T> {
    from: Consumer<T>,
    /// Number of elements read but not yet released.
    read: usize,
}

impl<T> Drained<T> {
    pub(crate) fn new(from: Consumer<T>) -> Self {
        Self { from, read: 0 }
    }
}

impl<T> PopMessage<T> for Drained<T> {
    #[inline(always)]
    fn pop_message<A>(&mut self, buffer: &mut [T], read: impl FnOnce(&[T]) -> A) -> Option<A> {
        let len = buffer.len();
        let Some(all) = self.from.peek_exact(self.read + len) else {
            self.from.release(self.read);
            self.read = 0;
            return None;
        };
        let result = read(&all[self.read..]);
        self.read += len;
        if self.read + len > self.from.capacity() / 4 {
            self.from.release(self.read);
            self.read = 0;
        }
        Some(result)
    }
}

impl<T> PushOne<T> for rtrb::Producer<T> {
    #[inline(always)]
    fn push_one(&mut self, element: T) -> bool {
        self.push(element).is_ok()
    }
}

impl<T> PopOne<T> for rtrb::Consumer<T> {
    #[inline(always)]
    fn pop_one(&mut self) -> Option<T> {
        self.pop().ok()
    }
}

impl<T: Copy> PushMessage<T> for rtrb::Producer<T> {
    #[inline(always)]
    fn push_message(&mut self, message: &[T]) -> bool {
        self.push_entire_slice(message).is_ok()
    }
}

impl<T: Copy> PopMessage<T> for rtrb::Consumer<T> {
    #[inline(always)]
    fn pop_message<A>(&mut self, buffer: &mut [T], read: impl FnOnce(&[T]) -> A) -> Option<A> {
        self.pop_entire_slice(buffer).is_ok().then(|| read(buffer))
    }
}

/// A message that crosses the end of the ring has two slices, which are copied because `read`
/// needs one.
impl<T: Copy> PopMessage<T> for InPlace<rtrb::Consumer<T>> {
    #[inline(always)]
    fn pop_message<A>(&mut self, buffer: &mut [T], read: impl FnOnce(&[T]) -> A) -> Option<A> {
        let chunk = self.0.read_chunk(buffer.len()).ok()?;
        let result = match chunk.as_slices() {
            (all, []) => read(all),
            (first, rest) => {
                let (head, tail) = buffer.split_at_mut(first.len());
                head.copy_from_slice(first);
                tail.copy_from_slice(rest);
                read(buffer)
            }
        };
        chunk.commit_all();
        Some(result)
    }
}

impl<T> PushOne<T> for HeapProd<T> {
    #[inline(always)]
    fn push_one(&mut self, element: T) -> bool {
        self.try_push(element).is_ok()
    }
}

impl<T> PopOne<T> for HeapCons<T> {
    #[inline(always)]
    fn pop_one(&mut self) -> Option<T> {
        self.try_pop()
    }
}

impl<T: Copy> PushMessage<T> for HeapProd<T> {
    #[inline(always)]
    fn push_message(&mut self, message: &[T]) -> bool {
        self.vacant_len() >= message.len() && self.push_slice(message) == message.len()
    }
}

impl<T: Copy> PopMessage<T> for HeapCons<T> {
    #[inline(always)]
    fn pop_message<A>(&mut self, buffer: &mut [T], read: impl FnOnce(&[T]) -> A) -> Option<A> {
        let enough = self.occupied_len() >= buffer.len() && self.pop_slice(buffer) == buffer.len();
        enough.then(|| read(buffer))
    }
}

impl<T> PushOne<T> for Arc<ArrayQueue<T>> {
    #[inline(always)]
    fn push_one(&mut self, element: T) -> bool {
        self.push(element).is_ok()
    }
}

impl<T> PopOne<T> for Arc<ArrayQueue<T>> {
    #[inline(always)]
    fn pop_one(&mut self) -> Option<T> {
        self.pop()
    }
}
