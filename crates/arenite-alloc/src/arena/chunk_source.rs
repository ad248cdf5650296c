//! What an arena grows on: one reserved range, or chunks from any upstream.
//!
//! Rests on nothing of the arena: a source knows ranges of memory and their order, the arena knows what is in them.

use arenite_core::{AllocCause, Label};
use core::alloc::Layout;

/// Positions are multiples of this many bytes, so that most typed blocks need no padding.
pub(super) const GRANULE: usize = 8;

/// The part of memory in which an arena bumps: from `floor` up to `limit`, both multiples of the granule.
#[derive(Clone, Copy, Debug)]
pub struct BumpRange {
    /// The first address of the chunk.
    pub floor: *mut u8,
    /// One past the last usable address.
    pub limit: *mut u8,
    /// Bytes used in the chunks before this one.
    pub before: usize,
}

impl BumpRange {
    /// The range of an arena that has not grown yet.
    pub(crate) const EMPTY: Self =
        Self { floor: core::ptr::null_mut(), limit: core::ptr::null_mut(), before: 0 };
}

/// A chunk as [`Arena::chunks`](crate::Arena::chunks) shows it. Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where it starts.
    pub data: *const u8,
    /// How large it is.
    pub size: usize,
    /// How much of it lies below the arena's position.
    pub used: usize,
}

/// A source of ranges. Sealed: [`ReservedRange`](crate::ReservedRange) and [`Chunked`](crate::Chunked).
pub trait ChunkSource: sealed::Sealed {
    /// Makes room for `layout` at or above `cursor`, which lies in the current range: either raises the current range's
    /// limit or moves to a next chunk. On failure nothing changes.
    ///
    /// # Errors
    /// Why there is no room.
    fn grow(&mut self, cursor: *mut u8, layout: Layout, label: Label) -> Result<BumpRange, AllocCause>;

    /// The index of the current chunk; 0 where there is but one.
    fn current(&self) -> usize;

    /// Makes chunk `index` the current one again, keeping those after it for later growth.
    fn rewind(&mut self, index: usize) -> BumpRange;

    /// How many bytes were used below `address`, which lies in a chunk below the current one; `None` where it lies in none.
    /// O(1) for one range, O(chunks) else.
    fn position_in_earlier_chunk(&self, address: *const u8) -> Option<usize>;

    /// Bytes taken from upstream (committed, for a range).
    fn held(&self) -> usize;

    /// The largest number of bytes it will hold, where it knows.
    fn capacity(&self) -> Option<usize>;

    /// Gives back what lies above `cursor` until `target_held` is reached; returns the bytes given back and the range that
    /// remains.
    fn trim(&mut self, cursor: *mut u8, target_held: usize) -> (usize, BumpRange);

    /// The chunks in order, `cursor` lying in the current one.
    fn chunks(&self, cursor: *mut u8, visit: &mut dyn FnMut(Chunk));
}

pub(crate) mod sealed {
    /// Keeps the trait's implementations in this crate.
    pub trait Sealed {}
}
