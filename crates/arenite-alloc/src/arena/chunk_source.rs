//! The source of an arena's memory: one reserved range, or chunks of any upstream.
//!
//! A source knows ranges of memory and their order; the arena knows what is in them.
//!
//! A source may call an upstream, which may run code of the user that uses the arena again. So no
//! borrow is held while the upstream runs, and what was read before is read again after.

use arenite_core::{AllocErrorKind, Label};
use core::alloc::Layout;
use core::cell::Cell;

/// Granularity of positions, in bytes, so that most typed blocks need no padding.
pub(super) const GRANULE: usize = 8;

/// A range of memory that an arena bumps through, from `floor` up to `limit`, both multiples of
/// the granule.
#[derive(Clone, Copy, Debug)]
pub struct BumpRange {
    /// First address of the chunk.
    pub floor: *mut u8,
    /// One past the last usable address.
    pub limit: *mut u8,
    /// Bytes used in the previous chunks.
    pub before: usize,
}

impl BumpRange {
    /// The range of an arena that has not grown yet.
    pub(crate) const EMPTY: Self =
        Self { floor: core::ptr::null_mut(), limit: core::ptr::null_mut(), before: 0 };
}

/// A chunk as [`Arena::chunks`](crate::Arena::chunks) reports it. Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Start of the chunk.
    pub data: *const u8,
    /// Size of the chunk.
    pub size: usize,
    /// Bytes of the chunk below the arena's position.
    pub used: usize,
}

/// A source of ranges. Sealed: [`ReservedRange`](crate::ReservedRange) and
/// [`Chunked`](crate::Chunked).
pub trait ChunkSource: sealed::Sealed {
    /// Makes `layout` fit at or above `cursor`, which lies in the current range: either raises the
    /// range's limit or moves to a next chunk. A failure changes nothing. The cursor may move while
    /// the upstream runs.
    ///
    /// # Errors
    /// The cause, if there is no memory, or if the source is busy.
    fn grow(&self, cursor: &Cell<*mut u8>, layout: Layout, label: Label)
    -> Result<BumpRange, AllocErrorKind>;

    /// Returns whether this is called from within the upstream, during a growth or a trim.
    fn is_busy(&self) -> bool {
        false
    }

    /// Returns the index of the current chunk; 0 for a range.
    fn current(&self) -> usize;

    /// Makes chunk `index` the current one again; later chunks stay for growth.
    fn rewind(&self, index: usize) -> BumpRange;

    /// Returns the bytes in use below `address`, or `None` if it lies in no chunk before the
    /// current one. O(1) for a range, O(chunks) otherwise.
    fn position_in_earlier_chunk(&self, address: *const u8) -> Option<usize>;

    /// Returns the bytes allocated from the upstream, or committed for a range.
    fn held(&self) -> usize;

    /// Returns the maximum number of bytes, if there is one.
    fn capacity(&self) -> Option<usize>;

    /// Releases memory above `cursor` until `target_held` is reached. Returns the bytes released
    /// and the remaining range. The cursor may move while the upstream runs.
    fn trim(&self, cursor: &Cell<*mut u8>, target_held: usize) -> (usize, BumpRange);

    /// Returns the number of chunks.
    fn chunk_count(&self) -> usize {
        1
    }

    /// Visits the chunks in order; `cursor` lies in the current one. `visit` calls no allocator.
    fn chunks(&self, cursor: *mut u8, visit: &mut dyn FnMut(Chunk));
}

pub(crate) mod sealed {
    /// A trait that keeps the implementations in this crate.
    pub trait Sealed {}
}
