//! Atomics (loom's in a model), and a barrier in two halves.
//!
//! Only the indices of a ring use the barrier. One side runs up to 10⁹ times a second, the other
//! only before it sleeps. The light half is therefore free, and the heavy half makes the kernel
//! run a full barrier on every processor that runs this process.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

/// Keeps the compiler from moving a later load before an earlier store. The light half of the
/// barrier.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn light_barrier() {
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// Runs the heavy half of the barrier. Returns `false` if the kernel lacks it.
///
/// For each [`light_barrier`] of another processor, one of two orders holds. Either the stores
/// before that barrier are visible after this call, or the stores before this call are visible to
/// the loads after that barrier.
#[cfg(not(loom))]
pub(crate) fn heavy_barrier(shared: bool) -> bool {
    fence(Ordering::SeqCst);
    crate::os::membarrier(shared)
}

/// Runs the fence that both halves together amount to.
#[cfg(loom)]
pub(crate) fn light_barrier() {
    fence(Ordering::SeqCst);
}

/// Runs the fence that both halves together amount to.
#[cfg(loom)]
pub(crate) fn heavy_barrier(_shared: bool) -> bool {
    fence(Ordering::SeqCst);
    true
}
