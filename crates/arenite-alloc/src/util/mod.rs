//! Building blocks of the crate that no user sees.
//!
//! - `fallible_vec`: vectors and boxes whose failed allocation is an error instead of an abort.
//! - `prealloc_list`: a list whose nodes are allocated before its lock is taken.
//! - `sharded`: a value with one shard for each thread.
//! - `usage_counter`: bytes and blocks in use and their peak.
//! - `alternating_fill`: a fill of large buffers that reuses cached lines.
//! - `fibonacci_hash`: a hash of addresses and layouts.
//! - `with_layout`: the error of an upstream with the layout that the caller requested.
//! - `resource_macros`: methods of `Resource` that many implementations have in common.
//! - `sync`: atomics and locks that loom or shuttle can replace.
//! - `shuttle_atomics`: atomics with a scheduling point before each access.

use arenite_core::AllocError;
use core::alloc::Layout;

pub(crate) mod alternating_fill;
pub(crate) mod fallible_vec;
pub(crate) mod fibonacci_hash;
pub(crate) mod prealloc_list;
pub(crate) mod resource_macros;
pub(crate) mod sharded;
#[cfg(shuttle)]
pub(crate) mod shuttle_atomics;
pub(crate) mod sync;
pub(crate) mod usage_counter;

/// Returns an upstream's error with the layout that the caller requested of the adaptor.
#[cold]
pub(crate) const fn with_layout(mut error: AllocError, layout: Layout) -> AllocError {
    error.size = layout.size();
    error.align = layout.align();
    error
}
