//! Adaptors: each wraps a resource and adds one behaviour.
//!
//! - `aligned`: [`Aligned`] raises alignments.
//! - `charged`: the common part of adaptors that charge bytes.
//! - `limit`: [`Limit`] bounds the bytes in use.
//! - `fallback`: [`Fallback`] uses a second resource when the first fails.
//! - `traced`: [`Traced`] sends events to a sink.
//! - `logging`: [`LoggingAllocator`] writes lines.
//! - `failing`: [`Failing`] fails on purpose.

mod aligned;
mod charged;
mod failing;
mod fallback;
mod limit;
mod logging;
mod traced;

pub use aligned::Aligned;
pub(crate) use charged::{impl_charged_resource, with_requested_size};
pub use failing::Failing;
pub use fallback::Fallback;
pub use limit::Limit;
pub use logging::LoggingAllocator;
pub use traced::Traced;
