//! A doubly linked list of one thread's slabs, linked through the slabs. All operations are O(1).
#![expect(unsafe_code, reason = "walks slabs that one thread owns")]

use crate::heap::slab::slab::{ListKind, Slab};
use core::cell::Cell;
use core::ptr::null;

/// A list of slabs.
#[derive(Debug)]
pub(crate) struct SlabList {
    pub(crate) first: Cell<*const Slab>,
    last: Cell<*const Slab>,
    len: Cell<u32>,
}

impl SlabList {
    /// Returns the number of slabs.
    pub(crate) fn len(&self) -> u32 {
        self.len.get()
    }

    pub(crate) fn push_front(&self, slab: &Slab, list: ListKind) {
        let first = self.first.get();
        slab.list.set(list);
        slab.previous.set(null());
        slab.next.set(first);
        // SAFETY: slabs in the list are live and owned by this thread.
        match unsafe { first.as_ref() } {
            Some(first) => first.previous.set(slab),
            None => self.last.set(slab),
        }
        self.first.set(slab);
        self.len.set(self.len.get() + 1);
    }

    pub(crate) fn push_back(&self, slab: &Slab, list: ListKind) {
        let last = self.last.get();
        slab.list.set(list);
        slab.next.set(null());
        slab.previous.set(last);
        // SAFETY: slabs in the list are live and owned by this thread.
        match unsafe { last.as_ref() } {
            Some(last) => last.next.set(slab),
            None => self.first.set(slab),
        }
        self.last.set(slab);
        self.len.set(self.len.get() + 1);
    }

    pub(crate) fn remove(&self, slab: &Slab) {
        let (previous, next) = (slab.previous.replace(null()), slab.next.replace(null()));
        // SAFETY: slabs in the list are live and owned by this thread.
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.set(next),
            None => self.first.set(next),
        }
        // SAFETY: as above.
        match unsafe { next.as_ref() } {
            Some(next) => next.previous.set(previous),
            None => self.last.set(previous),
        }
        slab.list.set(ListKind::None);
        self.len.set(self.len.get() - 1);
    }
}
