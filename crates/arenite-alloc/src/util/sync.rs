//! Atomics and locks: the standard ones, loom's for models of one part, or those of
//! `shuttle_atomics` for tests of a whole heap.
//!
//! Only lock-free parts and their locks use this module.

/// Atomics that may lie in zeroed memory, as all of a heap's do. No loom model uses them.
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

/// Locks a mutex, also a poisoned one: the data is consistent after every step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
