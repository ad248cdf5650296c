//! The state that both ends of a ring share: memory, indices, and whether the other end is alive.
//!
//! The capacity is a power of two and fills OS pages. So a slot is an index and a mask, and every
//! run of slots that begins in the first view is one slice.
#![expect(unsafe_code, reason = "shares raw memory between two threads")]

use super::double_mapping::DoubleMapping;
use super::indices::{EndState, Indices, cancel_wait, must_wake, prepare_wait};
use super::location::{Location, Side};
use super::{RingError, WaitError, cache};
use crate::{os, page_size};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sleep of a waiter whose kernel lacks the barrier.
const RETRY_PERIOD: Duration = Duration::from_millis(1);
/// Period at which a waiter checks that the other end's process is alive.
const LIVENESS_PERIOD: Duration = Duration::from_millis(50);

/// Returns the number of elements for `capacity`: a power of two that fills OS pages.
pub(crate) fn rounded<T>(capacity: usize) -> Result<usize, RingError> {
    let bad = || RingError::BadCapacity { capacity, size: size_of::<T>() };
    let (page, size) = (page_size(), size_of::<T>());
    if capacity == 0 || size == 0 || align_of::<T>() > page {
        return Err(bad());
    }
    // the power of two in the element's size covers that part of an OS page
    let min_count = page / page.min(1 << size.trailing_zeros());
    let count = capacity.max(min_count).checked_next_power_of_two().ok_or_else(bad)?;
    let bytes = count.checked_mul(size).filter(|&bytes| bytes <= isize::MAX.unsigned_abs() / 4);
    bytes.map(|_| count).ok_or_else(bad)
}

/// State of a ring whose elements are `T`.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    memory: ManuallyDrop<DoubleMapping>,
    indices: NonNull<Indices>,
    location: Location,
    capacity: usize,
    /// Invariant in `T`: one end writes it and the other reads it.
    elements: PhantomData<fn(T) -> T>,
}

// SAFETY: one producer and one consumer use disjoint parts of the memory, as the indices define.
// Elements pass from one thread to the other, so they must be `Send`.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as for `Send`; the indices are atomics, and only the ends touch elements.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn own(memory: DoubleMapping, capacity: usize) -> Arc<Self> {
        let indices = Box::new(Indices::default());
        indices.producer.0.set_state(EndState::OPEN);
        indices.consumer.0.set_state(EndState::OPEN);
        let indices = NonNull::from(Box::leak(indices));
        let memory = ManuallyDrop::new(memory);
        Arc::new(Self { memory, indices, location: Location::Process, capacity, elements: PhantomData })
    }

    /// Makes the state of a ring in a file, of which this process opened one end.
    ///
    /// # Safety
    /// 1. `memory` shows `capacity` elements of `T` for which any bytes are valid. 2. `indices`
    ///    lives as long as `location`.
    pub(crate) unsafe fn of_file(
        memory: DoubleMapping,
        indices: NonNull<Indices>,
        location: Location,
        capacity: usize,
    ) -> Arc<Self> {
        let memory = ManuallyDrop::new(memory);
        Arc::new(Self { memory, indices, location, capacity, elements: PhantomData })
    }

    pub(crate) fn split(self: Arc<Self>) -> (Arc<Self>, Arc<Self>) {
        (Arc::clone(&self), self)
    }

    pub(crate) fn base(&self) -> NonNull<T> {
        self.memory.as_ptr().cast()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn indices(&self) -> &Indices {
        // SAFETY: the box is this value's own until it drops, or the mapping that `location` holds;
        // all of it is atomics.
        unsafe { self.indices.as_ref() }
    }

    fn end_state(&self, end: Side) -> &EndState {
        match end {
            Side::Producer => &self.indices().producer.0,
            Side::Consumer => &self.indices().consumer.0,
        }
    }

    /// Returns whether the end `other` was dropped.
    pub(crate) fn is_closed(&self, other: Side) -> bool {
        self.end_state(other).state() == EndState::CLOSED
    }

    /// Wakes the thread that waits at `other`.
    #[cold]
    pub(crate) fn wake(&self, other: Side) {
        #[cfg(not(loom))]
        os::wake_one(&self.end_state(other).waiting, self.location.is_file());
        #[cfg(loom)]
        let _ = (other, os::wake_one);
    }

    /// Closes `end`, and wakes the other.
    pub(crate) fn close(&self, end: Side) {
        self.end_state(end).set_state(EndState::CLOSED);
        let other = end.other();
        // a waiter that sets its flag after this checks the state before it sleeps; one that did so
        // before is woken
        crate::util::sync::fence(crate::util::sync::Ordering::SeqCst);
        if must_wake(self.end_state(other)) {
            self.wake(other);
        }
    }

    /// Waits at `own` until `ready` returns `true`, the other end is closed or dead, or the timeout
    /// passes.
    pub(crate) fn wait(
        &self,
        own: Side,
        timeout: Option<Duration>,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), WaitError> {
        let other = own.other();
        let shared = self.location.is_file();
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let end_state = self.end_state(own);
        loop {
            if ready() {
                return Ok(());
            }
            let has_barrier = prepare_wait(end_state, shared);
            let over = self.peer_error(other);
            // once more, now that the other end sees the flag
            if ready() {
                cancel_wait(end_state);
                return Ok(());
            }
            if let Some(error) = over {
                cancel_wait(end_state);
                return Err(error);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                cancel_wait(end_state);
                return Err(WaitError::TimedOut);
            }
            let sleep = if !has_barrier { Some(RETRY_PERIOD) } else { shared.then_some(LIVENESS_PERIOD) };
            let sleep = sleep.into_iter().chain(left).min();
            #[cfg(not(loom))]
            os::wait_while(&end_state.waiting, 1, sleep, shared);
            #[cfg(loom)]
            let _ = (sleep, os::wait_while);
        }
    }

    /// Returns why the other end will do nothing more, or `None` if it is alive.
    fn peer_error(&self, other: Side) -> Option<WaitError> {
        match self.end_state(other).state() {
            EndState::CLOSED => Some(WaitError::Closed),
            EndState::OPEN if self.location.is_dead(other) => Some(WaitError::PeerDied),
            _ => None,
        }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: taken here only, and not used afterwards. It outlives the elements, and is
        // dropped also if a destructor panics.
        let memory = unsafe { ManuallyDrop::take(&mut self.memory) };
        if self.location.is_file() {
            return; // plain values, which stay in the file
        }
        // SAFETY: made by `own` from a box, and no end is left that could use it.
        let indices = unsafe { Box::from_raw(self.indices.as_ptr()) };
        let (read, written) = (indices.head(), indices.tail());
        if core::mem::needs_drop::<T>() {
            let first = memory.as_ptr().cast::<T>().as_ptr().wrapping_add(read & (self.capacity - 1));
            let left = core::ptr::slice_from_raw_parts_mut(first, written.wrapping_sub(read));
            // SAFETY: the elements between the indices were written and not read, and are one run
            // in the double mapping. No other end is left to use them.
            unsafe { core::ptr::drop_in_place(left) };
        }
        cache::push(memory);
    }
}
