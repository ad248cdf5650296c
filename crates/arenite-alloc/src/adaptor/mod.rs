//! Adaptors: each wraps a resource and adds one behaviour.
//!
//! [`Aligned`] raises alignments, [`Limit`] bounds, [`Fallback`] asks a second resource, [`Traced`] tells a sink,
//! [`LoggingAllocator`] writes lines, [`Failing`] refuses on purpose.

mod aligned;
mod failing;
mod fallback;
mod limit;
mod logging;
mod traced;

pub use aligned::Aligned;
pub use failing::Failing;
pub use fallback::Fallback;
pub use limit::Limit;
pub use logging::LoggingAllocator;
pub use traced::Traced;
