//! Size classes: which block a request gets.
//!
//! Rests on nothing. Two tables. The fine one has eight classes a doubling, so a block is at most 12.5 % larger than what was
//! asked for (above 64 bytes; below, sizes are multiples of 8). The binary one is the 14 powers of two from 8 bytes to 64 KiB.
//! A class is found by arithmetic and not by search; it is found for the size rounded up to the alignment, so that its
//! blocks, which lie at multiples of their size, are aligned.

/// The largest size that has a class, in bytes.
pub(crate) const LARGEST: usize = 64 << 10;
/// The smallest blocks of wide slabs: 64 of them fill a unit.
const WIDE: usize = 1024;
/// The most classes of a table.
pub(crate) const MOST: usize = 88;

/// Sizes up to this have an entry of [`TABLES`] for each multiple of 8, others for each multiple of 128.
const SMALL: usize = 1024;
/// How many more entries come before those of the larger sizes.
const BEFORE: usize = SMALL / 8 - SMALL / 128;

/// Entries of a table: more than are used, so that none is out of bounds.
const ENTRIES: usize = 1024;

static TABLES: [[u8; ENTRIES]; 2] = [SizeClasses::Fine.table(), SizeClasses::Binary.table()];

/// A table of classes by size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lookup(&'static [u8; ENTRIES]);

impl Lookup {
    /// The class of blocks of at least `size` bytes, which is 1 to 64 KiB. Without a branch: sizes that come in no order would mislead
    /// those.
    #[inline(always)]
    pub(crate) fn class_of(self, size: usize) -> usize {
        let (add, shift) = if size <= SMALL { (7, 3) } else { (127 + (BEFORE << 7), 7) };
        usize::from(self.0[((size + add) >> shift) % ENTRIES])
    }
}

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
    #[expect(clippy::cast_possible_truncation, reason = "there are 88 classes at most")]
    const fn table(self) -> [u8; ENTRIES] {
        let mut table = [0; ENTRIES];
        let mut at = 1;
        while at <= LARGEST / 128 + BEFORE {
            let size = if at <= SMALL / 8 { at * 8 } else { (at - BEFORE) * 128 };
            table[at] = self.class_of(size) as u8;
            at += 1;
        }
        table
    }

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
                let eighths = size.div_ceil(8);
                if eighths <= 8 {
                    return eighths - 1;
                }
                // size - 1 has its highest bit at `top`; the three bits below it choose among eight
                let top = usize::BITS as usize - 1 - (size - 1).leading_zeros() as usize;
                (top - 6) * 8 + 8 + (((size - 1) >> (top - 3)) & 7)
            }
            Self::Binary => {
                let top = usize::BITS as usize - (size - 1).leading_zeros() as usize;
                top.saturating_sub(3)
            }
        }
    }

    /// The same by one look at a table.
    pub(crate) const fn lookup(self) -> Lookup {
        Lookup(&TABLES[self as usize])
    }

    /// Whether the slabs of a class are wide.
    pub(crate) const fn is_wide(self, class: usize) -> bool {
        self.size_of(class) >= WIDE
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
    use super::super::slab::{UNIT, units_for};
    use super::*;

    #[test]
    fn n09_every_size_has_the_smallest_class_that_holds_it() {
        for table in [SizeClasses::Fine, SizeClasses::Binary] {
            let mut class = 0;
            for size in 1..=LARGEST {
                while table.size_of(class) < size {
                    class += 1;
                }
                assert_eq!(
                    (table.class_of(size), table.lookup().class_of(size)),
                    (class, class),
                    "{size} in {table:?}"
                );
            }
            assert_eq!((class + 1, table.size_of(class)), (table.count(), LARGEST));
        }
        assert_eq!(SizeClasses::Binary.count(), 14);
    }

    #[test]
    fn n09_a_fine_class_wastes_an_eighth_at_most() {
        for size in 65..=LARGEST {
            let block = SizeClasses::Fine.size_of(SizeClasses::Fine.class_of(size));
            assert!((block - size) * 8 < block, "{size} gets {block}");
        }
    }

    #[test]
    fn a_wide_class_has_64_blocks_a_slab_at_most() {
        for table in [SizeClasses::Fine, SizeClasses::Binary] {
            for class in (0..table.count()).filter(|&class| table.is_wide(class)) {
                let size = table.size_of(class);
                assert!(units_for(size) * UNIT / size <= 64);
            }
            assert!(
                table.is_wide(table.class_of(1024)) && !table.is_wide(table.class_of(960))
                    || table == SizeClasses::Binary
            );
        }
    }

    #[test]
    fn n15_sizes_rounded_to_an_alignment_get_aligned_blocks() {
        for table in [SizeClasses::Fine, SizeClasses::Binary] {
            for align in (0..=12).map(|log2| 1 << log2) {
                for size in (align..=LARGEST).step_by(align) {
                    assert!(table.size_of(table.class_of(size)).is_multiple_of(align), "{size} at {align}");
                }
            }
        }
    }
}
