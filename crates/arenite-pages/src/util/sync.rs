//! Atomics: the standard ones, or loom's where a model is checked; and a barrier in two halves.
//!
//! Rests on `std` or `loom`, and on `os` for the heavy half. Only the positions of a ring use it. The barrier is split
//! because one side of a ring runs a thousand million times a second and the other only before it sleeps: the light half is
//! free, and the heavy half makes the kernel run a full barrier on every processor that the light one may be on.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

/// The light half: keeps the compiler from moving a load before a store that stands before it.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn light_barrier() {
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// The heavy half: whatever another processor stored before its last [`light_barrier`] is seen after this, and what is
/// stored here before it is seen by what that one loads next. False where the kernel lacks it.
#[cfg(not(loom))]
pub(crate) fn heavy_barrier(shared: bool) -> bool {
    fence(Ordering::SeqCst);
    crate::os::membarrier(shared)
}

/// In a model both halves are the fence that the two together amount to.
#[cfg(loom)]
pub(crate) fn light_barrier() {
    fence(Ordering::SeqCst);
}

/// In a model both halves are the fence that the two together amount to.
#[cfg(loom)]
pub(crate) fn heavy_barrier(_shared: bool) -> bool {
    fence(Ordering::SeqCst);
    true
}
