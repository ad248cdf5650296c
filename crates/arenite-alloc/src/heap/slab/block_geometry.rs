//! Which block of a slab an address lies in, found by one multiplication.

/// Size, number and class of a slab's blocks, for threads that do not own the slab. Zero: no slab.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct BlockGeometry {
    pub(crate) size: u32,
    /// Multiplier that replaces a division by the size.
    pub(crate) reciprocal: u32,
    pub(crate) blocks: u16,
    pub(crate) class: u8,
}

impl BlockGeometry {
    /// Computes the geometry of `blocks` blocks of `size` bytes, a multiple of 8 and at most 64
    /// KiB.
    pub(crate) fn new(size: u32, blocks: u16, class: u8) -> Self {
        // Rounded up, by less than `size`. The quotient is exact for the start of the first 2^32 /
        // size blocks. For another offset it may be one too large, and the product below differs
        // from the offset.
        let reciprocal = if size == 0 { 0 } else { (1_u64 << 32).div_ceil(u64::from(size)) };
        Self { size, reciprocal: u32::try_from(reciprocal).unwrap_or(0), blocks, class }
    }

    /// Returns the size of a block, in bytes.
    #[inline]
    pub(crate) fn size(self) -> usize {
        self.size as usize
    }

    /// Returns how many blocks fit in `bytes`, which is below 64 KiB. Without a division, since
    /// every remote free needs it.
    #[inline]
    pub(crate) fn blocks_in(self, bytes: u16) -> usize {
        ((u64::from(bytes) * u64::from(self.reciprocal)) >> 32) as usize
    }

    /// Returns the size class.
    #[inline]
    pub(crate) fn class(self) -> usize {
        usize::from(self.class)
    }

    /// Returns the index of the block that begins `offset` bytes behind the slab's start, or `None`
    /// if none does.
    #[inline]
    pub(crate) fn index_of(self, offset: usize) -> Option<usize> {
        // for an offset far outside, the product wraps and differs from the offset
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
    fn block_index_is_found_by_offset_of_block_starts_only() {
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
