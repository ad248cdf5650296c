//! Adaptors: each wraps a resource and adds one behaviour.
//!
//! - `aligned`: [`Aligned`] raises alignments.
//! - `charged`: the common part of adaptors that charge bytes.
//! - `limit`: [`Limit`] bounds the bytes in use.
//! - `fallback`: [`Fallback`] uses a second resource when the first fails.
//! - `traced`: [`Traced`] sends events to a sink.
//! - `logging`: [`LoggingAllocator`] writes lines.
//! - `failing`: [`Failing`] fails on purpose.

use core::alloc::Layout;
use core::ptr::NonNull;

mod aligned;
mod charged;
mod failing;
mod fallback;
mod limit;
mod logging;
mod traced;

pub use aligned::Aligned;
pub(crate) use charged::impl_charged_resource;
pub use failing::Failing;
pub use fallback::Fallback;
pub use limit::Limit;
pub use logging::LoggingAllocator;
pub use traced::Traced;

/// Returns the block with the requested length.
///
/// An adaptor that counts by size must see the same size when the block is freed, and the caller
/// may free a block with any size up to the returned length.
pub(crate) fn with_requested_size(block: NonNull<[u8]>, layout: Layout) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(block.cast(), layout.size())
}
