//! The rings of one producer and one consumer, each by its library's own calls.
//!
//! Rests on those libraries alone. Each answers at once whether there was room or enough; the waiting is the suite's, so that
//! it is the same for all. Where a library has several calls for a thing the one that was fastest is here.

use crate::failure::Refused;
use arenite_pages::{Consumer, Producer};
use crossbeam_queue::ArrayQueue;
use ringbuf::traits::{Consumer as _, Observer as _, Producer as _, Split as _};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use std::sync::Arc;

/// The end at which elements go in.
pub(crate) trait Give<T> {
    /// Puts one in; false where there is no room.
    fn give(&mut self, element: T) -> bool;
}

/// The end at which they come out.
pub(crate) trait Take<T> {
    /// Takes one; `None` where there is none.
    fn take(&mut self) -> Option<T>;
}

/// The end at which messages go in.
pub(crate) trait GiveAll<T> {
    /// Copies all of `message` in, or nothing; false where there is no room for all.
    fn give_all(&mut self, message: &[T]) -> bool;
}

/// The end at which they come out.
pub(crate) trait TakeAll<T> {
    /// Shows the next `room.len()` elements to `read`, as one slice, and takes them out; `None` where fewer are there.
    /// Whoever must copy to show one slice copies to `room`.
    fn take_all<A>(&mut self, room: &mut [T], read: impl FnOnce(&[T]) -> A) -> Option<A>;
}

/// An end that is used without a copy, as far as its library lets it.
#[derive(Debug)]
pub(crate) struct InPlace<E>(pub(crate) E);

/// The two ends of a ring.
pub(crate) type Ends<I, O> = Result<(I, O), Refused>;

pub(crate) fn arenite<T>(count: usize) -> Ends<Producer<T>, Consumer<T>> {
    arenite_pages::ring_buffer(count).map_err(|_| Refused)
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

impl<T> Give<T> for Producer<T> {
    #[inline(always)]
    fn give(&mut self, element: T) -> bool {
        self.push(element).is_ok()
    }
}

impl<T> Take<T> for Consumer<T> {
    #[inline(always)]
    fn take(&mut self) -> Option<T> {
        self.pop()
    }
}

impl<T: Copy> GiveAll<T> for Producer<T> {
    #[inline(always)]
    fn give_all(&mut self, message: &[T]) -> bool {
        self.push_all(message)
    }
}

impl<T: Copy> TakeAll<T> for Consumer<T> {
    #[inline(always)]
    fn take_all<A>(&mut self, room: &mut [T], read: impl FnOnce(&[T]) -> A) -> Option<A> {
        self.pop_exact(room).then(|| read(room))
    }
}

/// Written where it will be read: what a program does that makes its messages there.
impl GiveAll<u64> for InPlace<Producer<u64>> {
    #[inline(always)]
    fn give_all(&mut self, message: &[u64]) -> bool {
        let Some(mut slots) = self.0.reserve(message.len()) else { return false };
        slots.as_mut_slice().copy_from_slice(message);
        slots.commit(message.len());
        true
    }
}

impl<T> TakeAll<T> for InPlace<Consumer<T>> {
    #[inline(always)]
    fn take_all<A>(&mut self, room: &mut [T], read: impl FnOnce(&[T]) -> A) -> Option<A> {
        let answer = self.0.peek_exact(room.len()).map(read)?;
        self.0.release(room.len());
        Some(answer)
    }
}

/// Read where it lies, and given back many messages at a time: what a program does that works through all that is there.
#[derive(Debug)]
pub(crate) struct Drained<T> {
    from: Consumer<T>,
    /// Elements that were read and not yet given back.
    read: usize,
}

impl<T> Drained<T> {
    pub(crate) fn new(from: Consumer<T>) -> Self {
        Self { from, read: 0 }
    }
}

impl<T> TakeAll<T> for Drained<T> {
    #[inline(always)]
    fn take_all<A>(&mut self, room: &mut [T], read: impl FnOnce(&[T]) -> A) -> Option<A> {
        let len = room.len();
        let Some(all) = self.from.peek_exact(self.read + len) else {
            self.from.release(self.read);
            self.read = 0;
            return None;
        };
        let answer = read(&all[self.read..]);
        self.read += len;
        if self.read + len > self.from.capacity() / 4 {
            self.from.release(self.read);
            self.read = 0;
        }
        Some(answer)
    }
}

impl<T> Give<T> for rtrb::Producer<T> {
    #[inline(always)]
    fn give(&mut self, element: T) -> bool {
        self.push(element).is_ok()
    }
}

impl<T> Take<T> for rtrb::Consumer<T> {
    #[inline(always)]
    fn take(&mut self) -> Option<T> {
        self.pop().ok()
    }
}

impl<T: Copy> GiveAll<T> for rtrb::Producer<T> {
    #[inline(always)]
    fn give_all(&mut self, message: &[T]) -> bool {
        self.push_entire_slice(message).is_ok()
    }
}

impl<T: Copy> TakeAll<T> for rtrb::Consumer<T> {
    #[inline(always)]
    fn take_all<A>(&mut self, room: &mut [T], read: impl FnOnce(&[T]) -> A) -> Option<A> {
        self.pop_entire_slice(room).is_ok().then(|| read(room))
    }
}

/// Two slices where a message crosses the end of the ring, which are copied then: `read` wants one.
impl<T: Copy> TakeAll<T> for InPlace<rtrb::Consumer<T>> {
    #[inline(always)]
    fn take_all<A>(&mut self, room: &mut [T], read: impl FnOnce(&[T]) -> A) -> Option<A> {
        let chunk = self.0.read_chunk(room.len()).ok()?;
        let answer = match chunk.as_slices() {
            (all, []) => read(all),
            (first, rest) => {
                let (head, tail) = room.split_at_mut(first.len());
                head.copy_from_slice(first);
                tail.copy_from_slice(rest);
                read(room)
            }
        };
        chunk.commit_all();
        Some(answer)
    }
}

impl<T> Give<T> for HeapProd<T> {
    #[inline(always)]
    fn give(&mut self, element: T) -> bool {
        self.try_push(element).is_ok()
    }
}

impl<T> Take<T> for HeapCons<T> {
    #[inline(always)]
    fn take(&mut self) -> Option<T> {
        self.try_pop()
    }
}

impl<T: Copy> GiveAll<T> for HeapProd<T> {
    #[inline(always)]
    fn give_all(&mut self, message: &[T]) -> bool {
        self.vacant_len() >= message.len() && self.push_slice(message) == message.len()
    }
}

impl<T: Copy> TakeAll<T> for HeapCons<T> {
    #[inline(always)]
    fn take_all<A>(&mut self, room: &mut [T], read: impl FnOnce(&[T]) -> A) -> Option<A> {
        let enough = self.occupied_len() >= room.len() && self.pop_slice(room) == room.len();
        enough.then(|| read(room))
    }
}

impl<T> Give<T> for Arc<ArrayQueue<T>> {
    #[inline(always)]
    fn give(&mut self, element: T) -> bool {
        self.push(element).is_ok()
    }
}

impl<T> Take<T> for Arc<ArrayQueue<T>> {
    #[inline(always)]
    fn take(&mut self) -> Option<T> {
        self.pop()
    }
}
