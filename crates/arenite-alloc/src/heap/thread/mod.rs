//! Placeholder.

pub(crate) mod full_scan;
pub(crate) mod registry;
pub(crate) mod remote_cache;
pub(crate) mod thread_cache;
pub(crate) mod thread_heap;
pub(crate) mod tls;
