//! The maxima that a heap has reached.

use crate::heap::classes::SIZE_CLASS_COUNT;

/// Peaks of a heap, under the heap's lock.
#[derive(Debug)]
pub(crate) struct Peaks {
    /// Most bytes held.
    pub(crate) held: usize,
    /// Bytes held when the blocks in use were last summed up because the heap grew.
    pub(crate) sampled: usize,
    /// Most bytes in use at a sum.
    pub(crate) in_use: usize,
    /// Live blocks of each class at that sum.
    pub(crate) blocks: [u32; SIZE_CLASS_COUNT],
}

impl Peaks {
    pub(crate) const NONE: Self = Self { held: 0, sampled: 0, in_use: 0, blocks: [0; SIZE_CLASS_COUNT] };
}
