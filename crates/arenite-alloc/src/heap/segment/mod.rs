//! Segments: ranges of 256 MiB that slabs and spans lie in.
//!
//! - `segment`: the metadata of a segment, and the allocation of its units
//! - `free_unit_stack`: units that were freed most recently
//! - `segment_map`: which address ranges begin with metadata of a heap

pub(crate) mod free_unit_stack;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
pub(crate) mod segment;
pub(crate) mod segment_map;
