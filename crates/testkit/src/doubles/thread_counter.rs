//! A global allocator that counts the allocations of each thread and can limit them.
//!
//! A test program that installs it can show that a path does not allocate, or that it fails
//! cleanly when memory is exhausted. Tests on other threads do not disturb the counts.
#![expect(unsafe_code, reason = "forwards the global allocator's unsafe trait")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::null_mut;
use std::alloc::System;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// Number of allocations that still succeed on this thread; `usize::MAX` means no limit.
    static REMAINING: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Runs `body` with a limit: after `blocks` more allocations on this thread, all others fail.
///
/// `usize::MAX` means no limit. A caller that does not handle the failure aborts the program.
/// Nothing changes if [`ThreadCounter`] is not installed.
pub fn with_blocks_left<A>(blocks: usize, body: impl FnOnce() -> A) -> A {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            REMAINING.set(self.0);
        }
    }
    let _restore = Restore(REMAINING.replace(blocks));
    body()
}

/// Returns whether this thread may allocate, and counts the allocation against the limit.
fn consume_one() -> bool {
    let consume = |left: &Cell<usize>| match left.get() {
        usize::MAX => true,
        0 => false,
        more => {
            left.set(more - 1);
            true
        }
    };
    REMAINING.try_with(consume).unwrap_or(true)
}

/// Returns the number of allocations on this thread; always 0 if [`ThreadCounter`] is not
/// installed.
#[must_use]
pub fn allocations_of_this_thread() -> usize {
    ALLOCATIONS.with(Cell::get)
}

/// Counts a block; null, a failed allocation, is not counted.
fn count(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        return block;
    }
    // An exiting thread has no counter any more, and nothing reads it.
    let _ignored: Result<(), _> = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
    block
}

/// A global allocator for [`allocations_of_this_thread`] and [`with_blocks_left`] that forwards to
/// the system's.
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

// SAFETY: every call goes to the system allocator; counting neither allocates nor panics.
unsafe impl GlobalAlloc for ThreadCounter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !consume_one() {
            return null_mut();
        }
        // SAFETY: the caller's promise: the layout has a size above zero.
        count(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !consume_one() {
            return null_mut();
        }
        // SAFETY: the caller's promise: the layout has a size above zero.
        count(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's guarantee; every block comes from the system allocator with this
        // layout.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !consume_one() {
            return null_mut();
        }
        // SAFETY: the caller's guarantee; every block comes from the system allocator with this
        // layout, and the new size is valid.
        count(unsafe { System.realloc(block, layout, size) })
    }
}
