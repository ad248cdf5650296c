//! Which parts of the address space begin with tables of a heap: one bit for each 256 MiB.
//!
//! Rests on nothing. A block's tables are found by clearing the low bits of its address; whether an address that comes from
//! anywhere has tables before it is one load from here. The bits are of all heaps together, 128 KiB of zeroes that no page
//! stands behind until one is set.

use crate::heap::segment::segment::ARENA;
use crate::sync::plain::{AtomicU64, Ordering};

/// Addresses have at most this many bits.
const BITS: u32 = 48;
const WINDOWS: usize = 1 << (BITS - ARENA.trailing_zeros());

static BEGUN: [AtomicU64; WINDOWS / 64] = [const { AtomicU64::new(0) }; WINDOWS / 64];

fn place(address: usize) -> Option<(&'static AtomicU64, u64)> {
    let window = address / ARENA;
    BEGUN.get(window / 64).map(|word| (word, 1 << (window % 64)))
}

/// Says that tables begin, or end, at the window of an address.
pub(crate) fn set(address: usize, begun: bool) {
    match place(address) {
        Some((word, bit)) if begun => word.fetch_or(bit, Ordering::Release),
        Some((word, bit)) => word.fetch_and(!bit, Ordering::Release),
        None => 0,
    };
}

/// Whether tables of some heap begin the window of an address.
#[inline(always)]
pub(crate) fn begun(address: usize) -> bool {
    place(address).is_some_and(|(word, bit)| word.load(Ordering::Acquire) & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_begun_and_ended_and_no_address_is_too_high() {
        let address = 0x1234 * ARENA; // of no heap: below where the system maps anything
        assert!(!begun(address) && !begun(usize::MAX) && !begun(0));
        set(address + 77, true);
        assert!(begun(address) && begun(address + ARENA - 1) && !begun(address + ARENA));
        set(address, false);
        set(usize::MAX, true);
        assert!(!begun(address) && !begun(usize::MAX));
    }
}
