//! Placeholder.

pub(crate) mod batch;
pub(crate) mod unsized_free;
