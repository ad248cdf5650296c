//! Methods of [`Heap`](super::Heap) beside those of `Resource`.
//!
//! - `batch`: many equal blocks at once
//! - `unsized_free`: frees without a layout, checked frees, and reallocation

pub(crate) mod batch;
pub(crate) mod unsized_free;
