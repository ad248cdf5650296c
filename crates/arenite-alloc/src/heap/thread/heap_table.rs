//! The thread heaps of one thread, by heap: the table that the registry keeps in thread-local
//! storage.

use crate::heap::central::central::Central;
use crate::heap::thread::thread_heap::ThreadHeap;
use core::ptr::NonNull;

/// Number of heaps that a thread uses at once without taking the registry's lock.
pub(crate) const MAX_HEAPS_PER_THREAD: usize = 8;

/// The thread heaps of one thread.
pub(crate) type HeapTable = [Option<HeapSlot>; MAX_HEAPS_PER_THREAD];

/// The thread heap that a thread has of one heap.
#[derive(Clone, Copy)]
pub(crate) struct HeapSlot {
    pub(crate) central: NonNull<Central>,
    pub(crate) heap_id: u64,
    pub(crate) thread: NonNull<ThreadHeap>,
}

/// The heap that a thread used last, by its id, and the thread's part of it; zeroes at first.
pub(crate) type CurrentHeap = (u64, *const ThreadHeap);
