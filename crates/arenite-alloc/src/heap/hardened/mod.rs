//! Placeholder.

pub(crate) mod chunk_table;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
pub(crate) mod hardened;
pub(crate) mod options;
