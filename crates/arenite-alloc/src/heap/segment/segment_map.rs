//! Which parts of the address space begin with tables of a heap: one bit for each 256 MiB.
//!
//! Rests on nothing. A block's tables are found by clearing the low bits of its address; whether an address that comes from
//! anywhere has tables before it is one load from here. The bits are of all heaps together, 128 KiB of zeroes that no page
//! stands behind until one is set.

use crate::heap::geometry::SEGMENT_BYTES;
use crate::sync::plain::{AtomicU64, Ordering};

/// Addresses have at most this many bits.
const ADDRESS_BITS: u32 = 48;
const WINDOW_COUNT: usize = 1 << (ADDRESS_BITS - SEGMENT_BYTES.trailing_zeros());

static MAP: [AtomicU64; WINDOW_COUNT / 64] = [const { AtomicU64::new(0) }; WINDOW_COUNT / 64];

fn bit(address: usize) -> Option<(&'static AtomicU64, u64)> {
    let window = address / SEGMENT_BYTES;
    MAP.get(window / 64).map(|word| (word, 1 << (window % 64)))
}

/// Says that tables begin, or end, at the window of an address.
pub(crate) fn set(address: usize, contains: bool) {
    match bit(address) {
        Some((word, bit)) if contains => word.fetch_or(bit, Ordering::Release),
        Some((word, bit)) => word.fetch_and(!bit, Ordering::Release),
        None => 0,
    };
}

/// Whether tables of some heap begin the window of an address.
#[inline(always)]
pub(crate) fn contains(address: usize) -> bool {
    bit(address).is_some_and(|(word, bit)| word.load(Ordering::Acquire) & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_begun_and_ended_and_no_address_is_too_high() {
        let address = 0x1234 * SEGMENT_BYTES; // of no heap: below where the system maps anything
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
