//! Atomics and locks: the standard ones, loom's where a model of one part is checked, or those of `interleaved` where threads of
//! a whole heap run in an order that shuttle chooses.
//!
//! Rests on `std`, `loom` or `interleaved`. Only lock-free parts and what they lock with use it.

/// Atomics that may lie in memory that begins as zeroes, as all of a heap's do; no model of loom's has them.
pub(crate) mod plain {
    #[cfg(shuttle)]
    pub(crate) use crate::util::shuttle_atomics::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
    pub(crate) use core::sync::atomic::Ordering;
    #[cfg(not(shuttle))]
    pub(crate) use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
}

#[cfg(shuttle)]
pub(crate) use crate::util::shuttle_atomics::AtomicU64;
#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
#[cfg(all(not(loom), not(shuttle)))]
pub(crate) use std::sync::atomic::AtomicU64;
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

/// The lock's guard, also where another thread panicked while it held it: what these locks guard is whole at every step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
