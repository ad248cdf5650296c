//! Size classes: which block a request gets.
//!
//! Rests on nothing. Two tables. The fine one has eight classes a doubling, so a block is at most 12.5 % larger than what was
//! asked for (above 64 bytes; below, sizes are multiples of 8). The binary one is the 14 powers of two from 8 bytes to 64 KiB.
//! A class is found by arithmetic and not by search; it is found for the size rounded up to the alignment, so that its
//! blocks, which lie at multiples of their size, are aligned.

/// The smallest blocks of wide slabs: 64 of them fill a unit.
const BITMAP_FROM: usize = 1024;
/// The most classes of a table.
pub(crate) const SIZE_CLASS_COUNT: usize = 88;

/// Which table a heap has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SizeClasses {
    /// Eight classes a doubling: at most 12.5 % of a block above 64 bytes is waste.
    #[default]
    Fine,
    /// The 14 powers of two from 8 bytes to 64 KiB: at most half of a block is waste.
    Binary,
}

impl SizeClasses {
    /// How many classes there are.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::Fine => 88,
            Self::Binary => 14,
        }
    }

    /// The class of blocks of at least `size` bytes, which is 1 to 64 KiB.
    #[must_use]
    #[inline]
    pub const fn class_of(self, size: usize) -> usize {
        match self {
            Self::Fine => {
                // The highest bit of the size less one chooses the doubling, and with the three bits below it one of eight, 8 to 15. All up
                // to 64 bytes are as in the first doubling, 0 to 7 there. No branch and no table: sizes come in no order.
                let below = size.wrapping_sub(1);
                let top = (below | 64).ilog2();
                8 * (top as usize - 6) + (below >> (top - 3))
            }
            Self::Binary => {
                let top = usize::BITS as usize - (size - 1).leading_zeros() as usize;
                top.saturating_sub(3)
            }
        }
    }

    /// Whether the slabs of a class are wide.
    pub(crate) const fn uses_bitmap(self, class: usize) -> bool {
        self.size_of(class) >= BITMAP_FROM
    }

    /// The size of the blocks of a class, in bytes.
    #[must_use]
    pub const fn size_of(self, class: usize) -> usize {
        match self {
            Self::Fine if class < 8 => (class + 1) * 8,
            Self::Fine => {
                let (doubling, part) = ((class - 8) / 8, (class - 8) % 8);
                (64 << doubling) + (part + 1) * (8 << doubling)
            }
            Self::Binary => 8 << class,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::geometry::{MAX_SMALL, UNIT};
    use crate::heap::slab::slab::units_for;

    #[test]
    fn n09_every_size_has_the_smallest_class_that_holds_it() {
        for table in [SizeClasses::Fine, SizeClasses::Binary] {
            let mut class = 0;
            for size in 1..=MAX_SMALL {
                while table.size_of(class) < size {
                    class += 1;
                }
                assert_eq!(table.class_of(size), class, "{size} in {table:?}");
            }
            assert_eq!((class + 1, table.size_of(class)), (table.count(), MAX_SMALL));
        }
        assert_eq!(SizeClasses::Binary.count(), 14);
    }

    #[test]
    fn n09_a_fine_class_wastes_an_eighth_at_most() {
        for size in 65..=MAX_SMALL {
            let block = SizeClasses::Fine.size_of(SizeClasses::Fine.class_of(size));
            assert!((block - size) * 8 < block, "{size} gets {block}");
        }
    }

    #[test]
    fn a_wide_class_has_64_blocks_a_slab_at_most() {
        for table in [SizeClasses::Fine, SizeClasses::Binary] {
            for class in (0..table.count()).filter(|&class| table.uses_bitmap(class)) {
                let size = table.size_of(class);
                assert!(units_for(size) * UNIT / size <= 64);
            }
            assert!(
                table.uses_bitmap(table.class_of(1024)) && !table.uses_bitmap(table.class_of(960))
                    || table == SizeClasses::Binary
            );
        }
    }

    #[test]
    fn n15_sizes_rounded_to_an_alignment_get_aligned_blocks() {
        for table in [SizeClasses::Fine, SizeClasses::Binary] {
            for align in (0..=12).map(|log2| 1 << log2) {
                for size in (align..=MAX_SMALL).step_by(align) {
                    assert!(table.size_of(table.class_of(size)).is_multiple_of(align), "{size} at {align}");
                }
            }
        }
    }
}
