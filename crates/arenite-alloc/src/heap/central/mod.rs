//! Placeholder.

#[expect(clippy::module_inception, reason = "a file is named for its main type")]
pub(crate) mod central;
pub(crate) mod decay;
pub(crate) mod large_block;
pub(crate) mod stats;
