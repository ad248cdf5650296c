//! Which windows of 256 MiB begin with metadata of a heap: one bit each (mimalloc: segment map).
//!
//! A block's metadata is found by clearing the low bits of its address. For an address of unknown
//! origin, one load here says whether there is any. All heaps share the bits: 128 KiB of zeroes
//! without OS pages until one is set.

use crate::heap::geometry::SEGMENT_BYTES;
use crate::util::sync::plain::{AtomicU64, Ordering};

/// Number of bits of an address, at most.
const ADDRESS_BITS: u32 = 48;
const WINDOW_COUNT: usize = 1 << (ADDRESS_BITS - SEGMENT_BYTES.trailing_zeros());

static MAP: [AtomicU64; WINDOW_COUNT / 64] = [const { AtomicU64::new(0) }; WINDOW_COUNT / 64];

fn bit(address: usize) -> Option<(&'static AtomicU64, u64)> {
    let window = address / SEGMENT_BYTES;
    MAP.get(window / 64).map(|word| (word, 1 << (window % 64)))
}

/// Sets whether the window of an address begins with metadata.
pub(crate) fn set(address: usize, contains: bool) {
    match bit(address) {
        Some((word, bit)) if contains => word.fetch_or(bit, Ordering::Release),
        Some((word, bit)) => word.fetch_and(!bit, Ordering::Release),
        None => 0,
    };
}

/// Returns whether the window of an address begins with metadata of some heap.
#[inline(always)]
pub(crate) fn contains(address: usize) -> bool {
    bit(address).is_some_and(|(word, bit)| word.load(Ordering::Acquire) & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_map_contains_marked_windows_only() {
        let address = 0x1234 * SEGMENT_BYTES; // below the lowest address that the system maps
        assert!(!contains(address) && !contains(usize::MAX) && !contains(0));
        set(address + 77, true);
        assert!(
            contains(address) && contains(address + SEGMENT_BYTES - 1) && !contains(address + SEGMENT_BYTES)
        );
        set(address, false);
        set(usize::MAX, true);
        assert!(!contains(address) && !contains(usize::MAX));
    }
}
