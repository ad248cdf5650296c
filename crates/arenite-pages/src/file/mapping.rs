//! A mapping that is given back on drop.
//!
//! Rests on `os`. It knows an address and a length, and nothing of what lies there.
#![expect(unsafe_code, reason = "unmaps a mapping")]

use crate::os;
use core::ptr::NonNull;

/// A range that this value alone unmaps.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: an address range; reading and writing it is its owner's own unsafe code.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`; a shared borrow offers no access to the bytes.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// # Safety
    /// `[base, base + len)` is a whole mapping, or whole ones in a row, that nobody else gives back.
    pub(crate) unsafe fn own(base: NonNull<u8>, len: usize) -> Self {
        Self { base, len }
    }

    pub(crate) fn as_ptr(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `own`'s promise, and the value goes.
        let released = unsafe { os::release(self.base, self.len) };
        debug_assert!(released.is_ok(), "whole mappings can be released");
    }
}
