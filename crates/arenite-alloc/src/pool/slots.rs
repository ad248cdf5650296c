//! The mapping between addresses and slots.
//!
//! The division by the block size is a multiplication by its inverse modulo 2⁶⁴ and a rotation.
//! For an offset that is a multiple, the result is the quotient. For any other offset, also a
//! negative one, it is larger than every slot number. So one comparison rejects addresses outside
//! the pool and inside a block (Granlund and Montgomery, "Division by invariant integers using
//! multiplication", PLDI 1994, section 9).

use arenite_core::{AllocError, AllocErrorKind};
use core::alloc::Layout;

/// The geometry of a pool: `count` blocks of `stride` bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots {
    inverse: usize,
    shift: u32,
    pub(crate) count: usize,
    pub(crate) stride: usize,
    pub(crate) align: usize,
}

impl Slots {
    /// Returns the geometry of `count` blocks of `size` bytes at `align`.
    ///
    /// The default alignment is 64 for blocks of 64 bytes and more, else the largest power of two
    /// that divides the size (8 at least).
    pub(crate) fn new(size: usize, align: Option<usize>, count: usize) -> Result<Self, AllocError> {
        let natural = if size >= 64 { 64 } else { (1 << size.trailing_zeros().min(6)).max(8) };
        let layout = arenite_core::layout(size.max(1), align.unwrap_or(natural))?;
        let stride = layout.pad_to_align().size();
        let bad = || {
            AllocError::bad_layout(
                size.saturating_mul(count),
                layout.align(),
                Default::default(),
                Default::default(),
            )
        };
        if size == 0
            || count == 0
            || (stride.checked_add(16).and_then(|entry| entry.checked_mul(count)))
                .is_none_or(|all| all > isize::MAX.unsigned_abs() / 2)
        {
            return Err(bad());
        }
        let shift = stride.trailing_zeros();
        Ok(Self { inverse: inverse(stride >> shift), shift, count, stride, align: layout.align() })
    }

    /// Returns the slot whose block starts `offset` bytes after the first one, or a number of at
    /// least `count` if no block starts there.
    #[inline(always)]
    pub(crate) const fn slot(&self, offset: usize) -> usize {
        offset.wrapping_mul(self.inverse).rotate_right(self.shift)
    }

    /// Returns why no block starts at `offset`.
    #[cold]
    pub(crate) const fn pointer_error(&self, offset: usize) -> AllocErrorKind {
        if offset < self.stride * self.count {
            AllocErrorKind::InteriorPointer
        } else {
            AllocErrorKind::InvalidPointer
        }
    }

    /// Returns whether a block serves `layout`.
    #[inline]
    pub(crate) const fn serves(&self, layout: Layout) -> bool {
        layout.size() <= self.stride && layout.align() <= self.align
    }

    /// Returns the bytes of all blocks.
    pub(crate) const fn bytes(&self) -> usize {
        self.stride * self.count
    }
}

/// Returns the inverse of an odd number modulo 2⁶⁴ by Newton's iteration. Each step doubles the
/// number of correct low bits, from 3.
const fn inverse(odd: usize) -> usize {
    let mut guess = odd;
    let mut correct = 3;
    while correct < usize::BITS {
        guess = guess.wrapping_mul(2usize.wrapping_sub(odd.wrapping_mul(guess)));
        correct *= 2;
    }
    guess
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a17_every_address_finds_its_slot_or_none(size in 1usize..5000, count in 1usize..300, offset: usize) {
            let slots = Slots::new(size, None, count).unwrap();
            for at in [offset, offset % (slots.bytes() * 2), offset % slots.stride, offset.wrapping_neg() % 10_000] {
                for at in [at, at.wrapping_neg(), at / slots.stride * slots.stride] {
                    let expected = (at < slots.bytes() && at % slots.stride == 0).then_some(at / slots.stride);
                    let found = Some(slots.slot(at)).filter(|&slot| slot < count);
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }

    #[test]
    fn impossible_sizes_and_counts_fail() {
        for (size, align, count) in [
            (0, None, 1),
            (8, None, 0),
            (8, Some(3), 1),
            (usize::MAX, None, 1),
            (1 << 40, None, 1 << 40),
            (isize::MAX.unsigned_abs(), Some(1), 1),
        ] {
            assert!(Slots::new(size, align, count).is_err(), "{size} {align:?} {count}");
        }
    }

    #[test]
    fn small_blocks_are_packed_and_large_ones_aligned_to_64() {
        let geometry = |size| Slots::new(size, None, 1).map(|slots| (slots.stride, slots.align)).unwrap();
        assert_eq!(geometry(1), (8, 8));
        assert_eq!(geometry(24), (24, 8));
        assert_eq!(geometry(48), (48, 16));
        assert_eq!(geometry(64), (64, 64));
        assert_eq!(geometry(100), (128, 64));
    }
}
