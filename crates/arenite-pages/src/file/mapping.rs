//! A mapping that is unmapped on drop: an address and a length, without knowledge of the contents.
#![expect(unsafe_code, reason = "unmaps a mapping")]

use crate::os;
use core::ptr::NonNull;

/// A range that only this value unmaps.
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
    /// Owns a mapping.
    ///
    /// # Safety
    /// `[base, base + len)` is a full mapping, or several in a row, that no other code unmaps.
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
        // SAFETY: `own`'s promise, and the value is dropped.
        let released = unsafe { os::release(self.base, self.len) };
        debug_assert!(released.is_ok(), "entire mappings can be released");
    }
}
