//! Adaptors: each wraps a resource and adds one behaviour.
//!
//! [`Aligned`] raises alignments, [`Limit`] bounds, [`Fallback`] asks a second resource, [`Traced`] tells a sink,
//! [`LoggingAllocator`] writes lines, [`Failing`] refuses on purpose.

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

/// The block, as long as was asked. An adaptor that counts by size must see the same size when the block comes back, and its
/// owner may give it back with any size up to the length it was told.
pub(crate) fn with_requested_size(block: NonNull<[u8]>, layout: Layout) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(block.cast(), layout.size())
}
