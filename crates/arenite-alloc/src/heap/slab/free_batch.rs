//! Blocks of one bitmap slab that are freed together: one bit each.
//!
//! The slab's start and geometry give the index of a block by one multiplication, without reading
//! a table.

use crate::heap::hardened::misuse::Misuse;
use crate::heap::slab::block_geometry::BlockGeometry;
use crate::heap::slab::slab::Slab;
use core::ptr::NonNull;

/// A batch of freed blocks. Without a slab it accepts none.
#[derive(Debug, Default)]
pub(crate) struct FreeBatch<'a> {
    pub(crate) slab: Option<&'a Slab>,
    geometry: BlockGeometry,
    start: usize,
    pub(crate) bits: u64,
}

impl<'a> FreeBatch<'a> {
    #[inline]
    pub(crate) fn new(slab: &'a Slab) -> Self {
        Self { slab: Some(slab), geometry: slab.geometry(), start: slab.start().addr(), bits: 0 }
    }

    /// Adds a block. Returns whether a block of this slab begins there and was not added before.
    #[inline(always)]
    pub(crate) fn push(&mut self, block: NonNull<u8>) -> bool {
        let offset = block.addr().get().wrapping_sub(self.start);
        let Some(number) = self.geometry.index_of(offset) else { return false };
        let bit = 1 << (number % 64);
        let fresh = self.bits & bit == 0;
        self.bits |= bit;
        fresh
    }

    /// Returns what is wrong with a block of this slab that could not be added.
    #[cold]
    pub(crate) fn misuse(&self, block: NonNull<u8>) -> Misuse {
        let offset = block.addr().get().wrapping_sub(self.start);
        if self.geometry.index_of(offset).is_some() { Misuse::DoubleFree } else { Misuse::InteriorPointer }
    }
}

#[cfg(test)]
#[expect(unsafe_code, reason = "carves a slab")]
mod tests {
    use super::*;
    use crate::heap::geometry::UNIT;

    #[test]
    fn batch_accepts_each_block_of_its_slab_once() {
        let slab = Slab::empty();
        let start = NonNull::<u8>::dangling().map_addr(|at| at.saturating_add(40 * UNIT - 1));
        let block = |number: usize| start.map_addr(|start| start.saturating_add(number * 1024));
        slab.init(start, 1, 64, 1024, true);
        assert!(!FreeBatch::default().push(block(0)), "no slab");
        let mut batch = FreeBatch::new(&slab);
        assert!([0, 5, 63].into_iter().all(|number| batch.push(block(number))));
        assert!(!batch.push(block(5)) && batch.misuse(block(5)) == Misuse::DoubleFree);
        let inside = block(5).map_addr(|at| at.saturating_add(8));
        assert!(!batch.push(inside) && batch.misuse(inside) == Misuse::InteriorPointer);
        assert!(!batch.push(block(64)) && !batch.push(start.map_addr(|at| at.saturating_add(1 << 40))));
        assert_eq!(batch.bits, 1 << 63 | 1 << 5 | 1);
        slab.set_used(3);
        assert_eq!(slab.find_double_free(batch.bits), Some(block(0).addr().get()), "none was ever allocated");
        // SAFETY: carving a bitmap slab does not touch its blocks.
        assert!(unsafe { slab.carve() });
        core::iter::from_fn(|| slab.pop_bit()).for_each(drop);
        assert_eq!((slab.used(), slab.find_double_free(batch.bits)), (3 + 64, None));
        slab.add_free_bits(batch.bits);
        assert_eq!(slab.find_double_free(1 << 5 | 1 << 6), Some(block(5).addr().get()));
        let allocated = core::iter::from_fn(|| slab.pop_bit());
        assert_eq!(allocated.collect::<Vec<_>>(), [0, 5, 63].map(block));
        assert_eq!((slab.used(), slab.has_free(), slab.address_of(5)), (70, false, block(5).addr().get()));
    }
}
