//! Placeholder.

pub(crate) mod free_unit_stack;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
pub(crate) mod segment;
pub(crate) mod segment_map;
