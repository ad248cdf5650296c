//! Small tools that the other modules of this crate use.
//!
//! - `sync`: atomics (loom's in a model) and a barrier in two halves.
//! - `yield_point`: where a test scheduler may switch threads.
//! - `fork_safe_mutex`: a mutex without allocation that can be held across `fork`.
//! - `nofault_copy`: copies that return an error instead of faulting.
//! - `seed`: a random number.
//! - `stderr`: a message without locks or allocation.

pub(crate) mod fork_safe_mutex;
pub(crate) mod nofault_copy;
pub(crate) mod seed;
pub(crate) mod stderr;
pub(crate) mod sync;
#[cfg(shuttle)]
pub(crate) mod yield_point;
