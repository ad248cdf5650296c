//! The end of a ring at which elements come out.
//!
//! Rests on `Shared`. It keeps a copy of the producer's counter and reads the counter itself only where the copy says
//! that there is too little.
#![expect(unsafe_code, reason = "reads elements from slots that the producer has published")]

use super::WaitError;
use super::positions::Positions;
use super::shared::{End, Shared};
use core::fmt;
use core::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

/// What is little for one look at the producer's counter, in bytes: two cache lines.
const LITTLE: usize = 128;
/// How long a look that found little waits for the next: about as long as a cache line takes between distant cores.
const PAUSES: u32 = 12;
/// How often it waits in vain before it takes the stream to have ended.
const PATIENCE: u8 = 4;

/// The one consumer of a ring. Wait-free; may move to another thread, is used by one at a time.
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
    dry: usize,
    /// How often it may wait in vain for more before it stops doing so: not at all until it has found too little once.
    patience: u8,
    /// The counters, which `shared` keeps alive.
    positions: NonNull<Positions>,
    shared: Arc<Shared<T>>,
}

// SAFETY: the pointer is that of `shared`, which may move; elements come from another thread, so they must be `Send`.
unsafe impl<T: Send> Send for Consumer<T> {}
// SAFETY: a shared borrow reads atomics alone.
unsafe impl<T: Send> Sync for Consumer<T> {}

impl<T> Consumer<T> {
    /// The end of `shared` that nobody else has.
    pub(crate) fn new(shared: Arc<Shared<T>>) -> Self {
        let read = shared.positions().read();
        let mask = shared.capacity() - 1;
        let positions = NonNull::from(shared.positions());
        Self { base: shared.base(), mask, read, written: read, dry: read, patience: 0, positions, shared }
    }

    /// The number of elements that the ring has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.mask + 1
    }

    /// The number of elements that are there now; the producer may add more at any time.
    #[must_use]
    pub fn len(&self) -> usize {
        self.believed().wrapping_sub(self.read)
    }

    /// Whether nothing is there now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the producer was dropped: what is there now is all that will come.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed(End::Producer)
    }

    /// The producer's counter, not beyond the ring: one from another process is not believed.
    #[inline(always)]
    fn believed(&self) -> usize {
        let written = self.positions().written();
        let there = written.wrapping_sub(self.read);
        if there <= self.mask + 1 { written } else { self.read }
    }

    /// Whether `count` are there, by the copy or, where that says no, by the counter.
    #[inline(always)]
    fn has(&mut self, count: usize) -> bool {
        self.written.wrapping_sub(self.read) >= count || self.look(count)
    }

    /// Reads the counter.
    #[inline(always)]
    fn look(&mut self, count: usize) -> bool {
        self.written = self.believed();
        let there = self.written.wrapping_sub(self.read);
        let plenty = self.patience == 0 || there >= count.saturating_mul(2).max(LITTLE / size_of::<T>());
        (there >= count && plenty) || self.look_again(count)
    }

    /// The look that found nothing, or little where there had been nothing before.
    ///
    /// Each look takes the counter's cache line from the producer, who must fetch it back to go on: a consumer that keeps up
    /// with a stream looks often, finds little each time, and slows both down. So in the middle of a stream it waits a
    /// moment and looks again. The first element after none is not held up, nor is any where nothing comes while it waits.
    #[cold]
    #[inline(never)]
    fn look_again(&mut self, count: usize) -> bool {
        let there = self.written.wrapping_sub(self.read);
        if there < count {
            (self.dry, self.patience) = (self.read, PATIENCE);
            return false;
        }
        if self.dry != self.read {
            for _ in 0..PAUSES {
                core::hint::spin_loop();
            }
            // never fewer than before, whatever another process writes there
            let now = self.believed().wrapping_sub(self.read).max(there);
            self.patience = if now == there { self.patience - 1 } else { PATIENCE };
            self.written = self.read.wrapping_add(now);
        }
        true
    }

    #[inline(always)]
    fn positions(&self) -> &Positions {
        // SAFETY: `shared` keeps them until this end is gone; all of them is atomics.
        unsafe { self.positions.as_ref() }
    }

    #[inline(always)]
    fn slot(&self) -> *mut T {
        self.base.as_ptr().wrapping_add(self.read & self.mask)
    }

    #[inline(always)]
    fn give_back(&mut self, count: usize) {
        self.read = self.read.wrapping_add(count);
        if self.positions().release(self.read) {
            self.shared.wake(End::Producer);
        }
    }

    /// Takes one element; `None` where there is none. O(1).
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if !self.has(1) {
            return None;
        }
        // SAFETY: the producer published this slot and does not touch it before it is given back, which is done once.
        let element = unsafe { self.slot().read() };
        self.give_back(1);
        Some(element)
    }

    /// All that is there now, in one slice. It stays in the ring until it is released.
    #[inline]
    pub fn peek(&mut self) -> &[T] {
        self.written = self.believed();
        self.seen(self.written.wrapping_sub(self.read))
    }

    /// The first `count` elements, in one slice; `None` where fewer are there.
    #[inline]
    pub fn peek_exact(&mut self, count: usize) -> Option<&[T]> {
        self.has(count).then(|| self.seen(count))
    }

    #[inline(always)]
    fn seen(&self, count: usize) -> &[T] {
        // SAFETY: `count` is no more than the producer has published beyond `read`; in the double mapping they are in a row
        // and aligned, and the producer leaves them alone until this consumer, which is borrowed, gives them back.
        unsafe { core::slice::from_raw_parts(self.slot(), count) }
    }

    /// Drops the first `count` elements and gives their slots back; as many as are there, where that is less. How many.
    #[inline]
    pub fn release(&mut self, count: usize) -> usize {
        let count = if self.has(count) { count } else { self.written.wrapping_sub(self.read) };
        let gone = core::ptr::slice_from_raw_parts_mut(self.slot(), count);
        let back = GiveBack { consumer: self, count };
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
            return Err(WaitError::TooMany { asked: count, capacity });
        }
        let shared = Arc::clone(&self.shared);
        shared.wait(End::Consumer, timeout, || self.has(count))
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
        let count = if self.has(into.len()) { into.len() } else { self.written.wrapping_sub(self.read) };
        self.take(&mut into[..count]);
        count
    }

    /// Fills all of `into`, or nothing: false where there are fewer elements. One copy.
    #[inline]
    pub fn pop_exact(&mut self, into: &mut [T]) -> bool {
        let enough = self.has(into.len());
        if enough {
            self.take(into);
        }
        enough
    }

    #[inline(always)]
    fn take(&mut self, into: &mut [T]) {
        into.copy_from_slice(self.seen(into.len()));
        self.give_back(into.len());
    }
}

/// Gives slots back when it goes, whatever way that happens.
struct GiveBack<'c, T> {
    consumer: &'c mut Consumer<T>,
    count: usize,
}

impl<T> Drop for GiveBack<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.consumer.give_back(self.count);
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.shared.leave(End::Consumer);
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("Consumer");
        out.field("capacity", &self.capacity()).field("len", &self.len()).finish_non_exhaustive()
    }
}
