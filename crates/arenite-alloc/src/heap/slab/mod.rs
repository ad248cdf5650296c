//! Placeholder.

pub(crate) mod free_batch;
pub(crate) mod purge;
pub(crate) mod refill;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
pub(crate) mod slab;
pub(crate) mod slab_list;
