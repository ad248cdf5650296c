//! Memory that is mapped twice, in two adjacent views.
//!
//! A byte beyond the end of the first view is the byte at its start. So any range that begins in
//! the first view is one slice.
#![expect(unsafe_code, reason = "unmaps a mapping, and hides its origin from the compiler")]

use crate::fork_handlers;
use crate::os;
use core::ptr::NonNull;
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

/// Two adjacent views of the same bytes; both are unmapped on drop.
#[derive(Debug)]
pub(crate) struct DoubleMapping {
    base: NonNull<u8>,
    len: usize,
    /// Fork epoch when it was made; `None` for the bytes of a file, or if forks are not counted.
    fork_epoch: Option<u32>,
}

// SAFETY: an address range; reading and writing it is its owner's own unsafe code.
unsafe impl Send for DoubleMapping {}
// SAFETY: as for `Send`; a shared borrow offers no access to the bytes.
unsafe impl Sync for DoubleMapping {}

impl DoubleMapping {
    /// Maps fresh, zeroed memory. `len` is a positive multiple of the OS page.
    pub(crate) fn anonymous(len: usize) -> Result<Self, Errno> {
        // read before the mapping exists, so that a fork in between shows
        let fork_epoch = fork_handlers::fork_epoch();
        Ok(Self { base: os::map_double(len)?, len, fork_epoch })
    }

    /// Maps the bytes of a file from `offset`. Both are multiples of the OS page.
    pub(crate) fn of_file(file: BorrowedFd<'_>, offset: u64, len: usize) -> Result<Self, Errno> {
        Ok(Self { base: os::map_double_file(file, offset, len)?, len, fork_epoch: None })
    }

    /// Returns the first byte of the first view; `2 * len` bytes are readable and writable from
    /// there.
    pub(crate) fn as_ptr(&self) -> NonNull<u8> {
        self.base
    }

    /// Returns the bytes of one view.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the fork epoch when it was made, if the memory may be reused.
    pub(crate) fn fork_epoch(&self) -> Option<u32> {
        self.fork_epoch
    }

    /// Returns the memory with contents unknown to the compiler: bytes that the previous owner left
    /// uninitialised between fields count as initialised from here on.
    pub(crate) fn with_unknown_contents(self) -> Self {
        #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
        // SAFETY: no instruction. The compiler must assume that it writes all memory whose address
        // is exposed, as this one's is.
        unsafe {
            core::arch::asm!("/* {0} */", in(reg) self.base.as_ptr(), options(nostack, preserves_flags));
        }
        self
    }
}

impl Drop for DoubleMapping {
    fn drop(&mut self) {
        // SAFETY: both views are this value's own, and the value is dropped.
        let released = unsafe { os::release(self.base, 2 * self.len) };
        debug_assert!(released.is_ok(), "entire mappings can be released");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n25_a_write_beyond_the_end_appears_at_the_start() {
        let ring = DoubleMapping::anonymous(crate::page_size()).unwrap();
        let last = ring.as_ptr().as_ptr().wrapping_add(ring.len() - 1);
        // SAFETY: two bytes across the boundary of the views; the mapping is this test's own.
        unsafe { last.cast::<[u8; 2]>().write([7, 8]) };
        // SAFETY: the first byte of the first view.
        assert_eq!(unsafe { ring.as_ptr().read() }, 8);
        // SAFETY: the last byte of the second view.
        assert_eq!(unsafe { last.wrapping_add(ring.len()).read() }, 7);
    }

    #[test]
    fn n24_double_mapping_fails_beyond_the_addresses() {
        assert_eq!(DoubleMapping::anonymous(1 << 62).map(drop), Err(Errno::NOMEM));
        assert_eq!(DoubleMapping::anonymous(1 << 63).map(drop), Err(Errno::NOMEM));
    }
}
