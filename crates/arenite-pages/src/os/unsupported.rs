//! Systems that are not Linux yet: every call answers `ENOSYS`.
//!
//! It exists so that the rooms above build everywhere and their callers get a typed error at run time.
#![expect(unsafe_code, reason = "has the signatures of the Linux surface")]

use core::ptr::NonNull;
use rustix::io::Errno;

pub(crate) fn page_size() -> usize {
    4096
}

pub(crate) fn reserve(_len: usize) -> Result<NonNull<u8>, Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn map(_len: usize) -> Result<NonNull<u8>, Errno> {
    Err(Errno::NOSYS)
}

/// # Safety
/// None: nothing is touched.
pub(crate) unsafe fn commit(_start: NonNull<u8>, _len: usize) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

/// # Safety
/// None: nothing is touched.
pub(crate) unsafe fn decommit(_start: NonNull<u8>, _len: usize) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

/// # Safety
/// None: nothing is touched.
pub(crate) unsafe fn release(_start: NonNull<u8>, _len: usize) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

/// # Safety
/// None: nothing is touched.
pub(crate) unsafe fn advise_huge(_start: NonNull<u8>, _len: usize, _wanted: bool) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

pub(crate) fn thread_faults() -> Option<(u64, u64)> {
    None
}
