//! The size of an OS page, and rounding to it.

use crate::os;
use core::ptr::NonNull;

/// The size of an OS page here, in bytes.
///
/// ```
/// assert!(arenite_pages::page_size().is_power_of_two());
/// ```
#[must_use]
#[inline]
pub fn page_size() -> usize {
    os::page_size()
}

/// `value` rounded up to a multiple of `to` (a power of two), or `None` on overflow.
pub(crate) const fn round_up(value: usize, to: usize) -> Option<usize> {
    match value.checked_add(to - 1) {
        Some(sum) => Some(sum & !(to - 1)),
        None => None,
    }
}

/// `base + bytes`, for `bytes` inside one mapping.
pub(crate) fn offset(base: NonNull<u8>, bytes: usize) -> NonNull<u8> {
    NonNull::new(base.as_ptr().wrapping_add(bytes)).unwrap_or(base)
}
