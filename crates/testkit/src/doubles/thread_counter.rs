//! A global allocator that counts what each thread asks of it.
//!
//! Rests on the system's. A test program that installs it can say that a path allocates nothing, whatever other tests do
//! at the same time.
#![expect(unsafe_code, reason = "forwards the global allocator's unsafe trait")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// How many blocks this thread got from the global allocator; 0 for ever where [`ThreadCounter`] is not installed.
#[must_use]
pub fn allocations_of_this_thread() -> usize {
    ALLOCATIONS.with(Cell::get)
}

/// Counts a block that was lent; a refusal is none.
fn count(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        return block;
    }
    // A thread on its way out has no counter any more, and nobody who reads it.
    let _gone: Result<(), _> = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
    block
}

/// Counts for [`allocations_of_this_thread`] and forwards to the system's allocator.
///
/// ```
/// use testkit::doubles::{ThreadCounter, allocations_of_this_thread};
/// #[global_allocator]
/// static COUNTER: ThreadCounter = ThreadCounter;
/// let before = allocations_of_this_thread();
/// let text = String::from("on the heap");
/// assert_eq!(allocations_of_this_thread(), before + 1);
/// # drop(text);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadCounter;

// SAFETY: forwards every call to the system's allocator; counting neither allocates nor panics.
unsafe impl GlobalAlloc for ThreadCounter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        count(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        count(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        count(unsafe { System.realloc(block, layout, size) })
    }
}
