//! The owner word of a unit: the holder of its slab, the size class, and where the slab begins.
//!
//! A segment has one word per unit. A free reads this word first and needs no slab metadata to
//! find out whether the calling thread owns the block.

/// Holder of a unit that has none: free, or part of a large block.
pub(crate) const NO_HOLDER: usize = 0;
/// Holder of a slab whose thread has exited.
pub(crate) const ABANDONED: usize = 0x1000;
/// Holder of the first unit of a span.
pub(crate) const SPAN: usize = 0x2000;
/// Holder of a slab of a hardened heap.
pub(crate) const HARDENED: usize = 0x3000;

/// Low bits that hold the distance to the first unit of the slab.
const OFFSET_MASK: usize = 0x1f;
/// Position of the size class above the distance.
const CLASS_SHIFT: u32 = 5;
/// Low bits that hold both. A thread heap is aligned to 4096, so its address has none of them.
const TAG_MASK: usize = 0xfff;
/// Number of size classes that an owner word can hold.
pub(crate) const MAX_CLASSES: usize = (TAG_MASK + 1) >> CLASS_SHIFT;
/// Alignment that a thread heap needs, in bytes.
pub(crate) const HOLDER_ALIGN: usize = TAG_MASK + 1;

/// The owner word of a unit. The address of a thread heap, or one of the constants of this file,
/// with a [`UnitTag`] in the low 12 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct OwnerWord(usize);

impl OwnerWord {
    pub(crate) const NONE: Self = Self(NO_HOLDER);

    /// Returns the word of the unit `offset` units behind the first one of a slab.
    pub(crate) fn new(holder: usize, class: usize, offset: usize) -> Self {
        debug_assert!(holder & TAG_MASK == 0 && offset <= OFFSET_MASK && class < MAX_CLASSES);
        if holder == NO_HOLDER { Self::NONE } else { Self(holder | class << CLASS_SHIFT | offset) }
    }

    /// Returns the word with this value, as a segment stores it.
    #[inline(always)]
    pub(crate) const fn from_raw(raw: usize) -> Self {
        Self(raw)
    }

    /// Returns the value that a segment stores.
    #[inline(always)]
    pub(crate) const fn raw(self) -> usize {
        self.0
    }

    /// Returns the address of the owning thread heap, or one of the constants of this file.
    #[inline(always)]
    pub(crate) const fn holder(self) -> usize {
        self.0 & !TAG_MASK
    }

    /// Returns the class and the position of the slab.
    #[inline(always)]
    pub(crate) const fn tag(self) -> UnitTag {
        UnitTag(self.0 & TAG_MASK)
    }

    /// Returns the tag if `holder` holds the unit. One subtraction and one comparison.
    #[inline(always)]
    pub(crate) fn tag_if_held_by(self, holder: usize) -> Option<UnitTag> {
        let tag = self.0.wrapping_sub(holder);
        (tag <= TAG_MASK).then_some(UnitTag(tag))
    }
}

/// The size class of a slab and the distance of a unit to the slab's first unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct UnitTag(usize);

impl UnitTag {
    /// Returns the size class of the slab's blocks.
    #[inline(always)]
    pub(crate) const fn class(self) -> usize {
        self.0 >> CLASS_SHIFT
    }

    /// Returns the number of units between the slab's first unit and this one.
    #[inline(always)]
    pub(crate) const fn slab_offset(self) -> usize {
        self.0 & OFFSET_MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_word_returns_its_parts() {
        for holder in [ABANDONED, HARDENED, 0x7fff_1234_5000] {
            let word = OwnerWord::new(holder, MAX_CLASSES - 1, 31);
            assert_eq!(
                (word.holder(), word.tag().class(), word.tag().slab_offset()),
                (holder, MAX_CLASSES - 1, 31)
            );
            assert_eq!(word.tag_if_held_by(holder), Some(word.tag()));
            assert_eq!((word.tag_if_held_by(holder + 0x1000), word.tag_if_held_by(SPAN)), (None, None));
        }
        assert_eq!(OwnerWord::new(NO_HOLDER, 3, 1), OwnerWord::NONE);
    }
}
