//! The sizes that the address arithmetic of a heap is built on.

/// Size and alignment of a segment, in bytes: 256 MiB.
pub(crate) const SEGMENT_BYTES: usize = 256 << 20;
/// Size of a unit, in bytes. A slab or span is a run of whole units (mimalloc: slices).
pub(crate) const UNIT: usize = 64 << 10;
/// Number of units in a segment.
pub(crate) const UNITS_PER_SEGMENT: usize = SEGMENT_BYTES / UNIT;
/// Largest block of a slab, in bytes.
pub(crate) const MAX_SMALL: usize = 64 << 10;
/// Largest block that is a span, in bytes. A larger block has a region of its own.
pub(crate) const MAX_SPAN: usize = 16 << 20;
