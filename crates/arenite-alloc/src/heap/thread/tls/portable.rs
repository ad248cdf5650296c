//! The two words in a standard thread-local, which has no destructor: those allocate.
//!
//! Rests on the standard library.

use super::Last;
use core::cell::Cell;
use core::ptr::null;

std::thread_local! {
    static LAST: Cell<Last> = const { Cell::new((0, null())) };
}

#[inline(always)]
pub(crate) fn get() -> Last {
    LAST.get()
}

#[inline(always)]
pub(crate) fn set(last: Last) {
    LAST.set(last);
}
