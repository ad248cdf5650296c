//! Size classes: the block sizes that a heap rounds requests up to.
//!
//! The fine table has eight classes per doubling, so a block is at most 12.5 % larger than the
//! request. Below 64 bytes, sizes are multiples of 8. The binary table has the 14 powers of two
//! from 8 bytes to 64 KiB. The class is computed from the size rounded up to the alignment. Blocks
//! lie at multiples of their size, so they are aligned.

/// Smallest block size whose slabs use a bitmap, in bytes: 64 such blocks fill a unit.
const BITMAP_FROM: usize = 1024;
/// Number of classes of the larger table.
pub(crate) const SIZE_CLASS_COUNT: usize = 88;

/// The table of size classes of a heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SizeClasses {
    /// Eight classes per doubling: at most 12.5 % of a block above 64 bytes is wasted.
    #[default]
    Fine,
    /// The 14 powers of two from 8 bytes to 64 KiB: at most half of a block is wasted.
    Binary,
}

impl SizeClasses {
    /// Returns the number of classes.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::Fine => 88,
            Self::Binary => 14,
        }
    }

    /// Returns the class of blocks of at least `size` bytes, which is 1 to 64 KiB. O(1), without a
    /// branch or a table in the fine table.
    #[must_use]
    #[inline]
    pub const fn class_of(self, size: usize) -> usize {
        match self {
            Self::Fine => {
                // The highest bit of `size - 1` selects the doubling, the three bits below it one
                // of its eight classes. Sizes up to 64 bytes count as the first doubling.
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

    /// Returns whether the slabs of a class track free blocks by a bitmap.
    pub(crate) const fn uses_bitmap(self, class: usize) -> bool {
        self.size_of(class) >= BITMAP_FROM
    }

    /// Returns the block size of a class, in bytes.
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
    fn n09_size_gets_smallest_class_that_holds_it() {
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
    fn n09_fine_class_wastes_at_most_an_eighth() {
        for size in 65..=MAX_SMALL {
            let block = SizeClasses::Fine.size_of(SizeClasses::Fine.class_of(size));
            assert!((block - size) * 8 < block, "{size} gets {block}");
        }
    }

    #[test]
    fn bitmap_class_has_at_most_64_blocks_per_slab() {
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
    fn n15_size_rounded_to_alignment_gets_aligned_block() {
        for table in [SizeClasses::Fine, SizeClasses::Binary] {
            for align in (0..=12).map(|log2| 1 << log2) {
                for size in (align..=MAX_SMALL).step_by(align) {
                    assert!(table.size_of(table.class_of(size)).is_multiple_of(align), "{size} at {align}");
                }
            }
        }
    }
}
