//! The pseudo-random sequence of the cases.

use std::alloc::Layout;

/// A sequence of log-uniform sizes of 8 B to 64 KiB and random indices.
pub(super) struct Sequence(pub(super) u64);

impl Sequence {
    pub(super) fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        usize::try_from(self.0 >> 33).unwrap_or(0)
    }

    pub(super) fn layout(&mut self) -> Layout {
        let doubling = 8 << (self.next() % 13);
        let size = doubling + self.next() % doubling;
        Layout::from_size_align(size, 8).unwrap_or(Layout::new::<u64>())
    }
}
