//! The size of an OS page, and rounding to it.

use crate::os;
use core::ptr::NonNull;

/// Returns the size of an OS page on this machine, in bytes.
///
/// ```
/// assert!(arenite_pages::page_size().is_power_of_two());
/// ```
#[must_use]
#[inline]
pub fn page_size() -> usize {
    os::page_size()
}

/// Rounds `value` up to a multiple of `to` (a power of two). Returns `None` on overflow.
pub(crate) const fn round_up(value: usize, to: usize) -> Option<usize> {
    match value.checked_add(to - 1) {
        Some(sum) => Some(sum & !(to - 1)),
        None => None,
    }
}

/// Returns `base + bytes`, for `bytes` inside one mapping.
pub(crate) fn offset(base: NonNull<u8>, bytes: usize) -> NonNull<u8> {
    NonNull::new(base.as_ptr().wrapping_add(bytes)).unwrap_or(base)
}
