//! The two words in a standard thread-local without a destructor, since registering one allocates.

use crate::heap::thread::heap_table::CurrentHeap;
use core::cell::Cell;
use core::ptr::null;

std::thread_local! {
    static CURRENT: Cell<CurrentHeap> = const { Cell::new((0, null())) };
}

#[inline(always)]
pub(crate) fn get() -> CurrentHeap {
    CURRENT.get()
}

#[inline(always)]
pub(crate) fn set(current: CurrentHeap) {
    CURRENT.set(current);
}
