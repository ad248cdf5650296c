//! Which block of a slab an address lies in, found by one multiplication.

/// The blocks of a slab for everybody but its owner: their size, and what an offset is multiplied by to find which one it is in. Zero:
/// no slab.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct BlockGeometry {
    size: u32,
    reciprocal: u32,
    blocks: u16,
    class: u8,
}

impl BlockGeometry {
    /// `size` is a multiple of 8, at most 64 KiB.
    pub(crate) fn new(size: u32, blocks: u16, class: u8) -> Self {
        // Rounded up, by less than `size`: the start of a block is found right as long as it is one of the first 2^32 / size. What is
        // found for another offset may be one too many, and is not that block's start.
        let reciprocal = if size == 0 { 0 } else { (1_u64 << 32).div_ceil(u64::from(size)) };
        Self { size, reciprocal: u32::try_from(reciprocal).unwrap_or(0), blocks, class }
    }

    /// Assembles the geometry from stored parts.
    #[inline(always)]
    pub(crate) const fn from_parts(size: u32, reciprocal: u32, blocks: u16, class: u8) -> Self {
        Self { size, reciprocal, blocks, class }
    }

    /// Returns the multiplier that replaces a division by the block size.
    pub(crate) const fn reciprocal(self) -> u32 {
        self.reciprocal
    }

    /// The size of a block.
    #[inline]
    pub(crate) fn size(self) -> usize {
        self.size as usize
    }

    /// How many blocks are so many bytes, less than 64 KiB: no division, as every free of another thread's block asks.
    #[inline]
    pub(crate) fn blocks_in(self, bytes: u16) -> usize {
        ((u64::from(bytes) * u64::from(self.reciprocal)) >> 32) as usize
    }

    /// Its size class.
    #[inline]
    pub(crate) fn class(self) -> usize {
        usize::from(self.class)
    }

    /// Which block begins at this offset from the slab's start, in bytes; `None`: none does.
    #[inline]
    pub(crate) fn index_of(self, offset: usize) -> Option<usize> {
        // an offset far outside, for which the product wraps, is no multiple of the size below that is found
        let block = (offset as u64).wrapping_mul(u64::from(self.reciprocal)) >> 32;
        (block * u64::from(self.size) == offset as u64 && block < u64::from(self.blocks))
            .then_some(block as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::classes::SizeClasses;
    use crate::heap::geometry::UNIT;
    use crate::heap::slab::slab::units_for;

    #[test]
    fn a_block_is_found_by_its_offset_and_nothing_between_two_is_one() {
        for table in [SizeClasses::Fine, SizeClasses::Binary] {
            for size in (0..table.count()).map(|class| table.size_of(class)) {
                let units = units_for(size);
                let blocks = units * UNIT / size;
                assert!(blocks >= 4 && units * UNIT % size * 16 <= units * UNIT, "{size}");
                let geometry =
                    BlockGeometry::new(u32::try_from(size).unwrap(), u16::try_from(blocks).unwrap(), 7);
                assert_eq!(geometry.index_of(blocks * size), None, "behind the last");
                for bytes in [0, 7, 8, 1023, 1024, 10_000, 16 << 10, u16::MAX - 1, u16::MAX] {
                    assert_eq!(geometry.blocks_in(bytes), usize::from(bytes) / size, "{size}");
                }
                for block in 0..blocks {
                    assert_eq!(geometry.index_of(block * size), Some(block), "{size}");
                    for outside in [
                        usize::MAX,
                        usize::MAX - size + 1,
                        1 << 40,
                        0_usize.wrapping_sub(block * size + size),
                    ] {
                        assert_eq!(geometry.index_of(outside), None, "{size}");
                    }
                    for between in [1, size / 2, size - 1].into_iter().filter(|&between| between > 0) {
                        assert_eq!(geometry.index_of(block * size + between), None, "{size}");
                    }
                }
            }
        }
        assert_eq!(BlockGeometry::new(0, 0, 0).index_of(0), None);
    }
}
