//! A global allocator that counts what each thread asks of it, and refuses it where a test wants that.
//!
//! Rests on the system's. A test program that installs it can say that a path allocates nothing, or that it answers where there
//! is no memory, whatever other tests do at the same time.
#![expect(unsafe_code, reason = "forwards the global allocator's unsafe trait")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::null_mut;
use std::alloc::System;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// How many more blocks this thread gets before it is refused all.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Calls `body` with `blocks` more blocks for this thread from the global allocator, and none after them; `usize::MAX` are as many as
/// there are. What insists on a block then, aborts the program. Changes nothing where [`ThreadCounter`] is not installed.
pub fn with_blocks_left<A>(blocks: usize, body: impl FnOnce() -> A) -> A {
    struct Before(usize);
    impl Drop for Before {
        fn drop(&mut self) {
            LEFT.set(self.0);
        }
    }
    let _before = Before(LEFT.replace(blocks));
    body()
}

/// Whether this thread gets one more.
fn may() -> bool {
    let takes = |left: &Cell<usize>| match left.get() {
        usize::MAX => true,
        0 => false,
        more => {
            left.set(more - 1);
            true
        }
    };
    LEFT.try_with(takes).unwrap_or(true)
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

/// Counts for [`allocations_of_this_thread`], refuses for [`with_blocks_left`], and forwards to the system's allocator.
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
        if !may() {
            return null_mut();
        }
        // SAFETY: the caller's promise.
        count(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !may() {
            return null_mut();
        }
        // SAFETY: the caller's promise.
        count(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !may() {
            return null_mut();
        }
        // SAFETY: the caller's promise.
        count(unsafe { System.realloc(block, layout, size) })
    }
}
