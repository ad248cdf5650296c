//! A lock around a resource of one thread.
//!
//! A chunked arena, or anything else without a shared counterpart, serves many threads this way.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use crate::util::resource_macros::forward_resource;
use arenite_core::{AllocResult, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A single-threaded resource that threads share through a lock.
///
/// ```
/// use arenite_alloc::{Arena, Locked};
/// use arenite_core::{Block, Resource};
/// use arenite_pages::PageAllocator;
/// // shared, in chunks of an upstream
/// let arena = Locked::new(Arena::chunked(PageAllocator::new()));
/// std::thread::scope(|threads| {
///     threads.spawn(|| Block::new_in(arenite_core::layout(64, 8).unwrap(), &arena).unwrap());
/// });
/// assert_eq!(arena.state().live_blocks, 0);
/// ```
#[derive(Debug, Default)]
pub struct Locked<R> {
    resource: Mutex<R>,
}

impl<R> Locked<R> {
    /// Wraps `resource` in a lock.
    pub const fn new(resource: R) -> Self {
        Self { resource: Mutex::new(resource) }
    }

    /// Runs `body` with the resource, for operations that the trait does not have (marks, resets).
    ///
    /// The lock is held meanwhile; a call of this resource from `body` deadlocks. The reference is
    /// shared, because live blocks borrow the resource: nothing that needs exclusive access may
    /// run.
    pub fn with_lock<T>(&self, body: impl FnOnce(&R) -> T) -> T {
        body(&self.lock())
    }

    /// Returns the resource for exclusive access.
    pub fn get_mut(&mut self) -> &mut R {
        self.resource.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, R> {
        self.resource.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// SAFETY: forwards every call to the one resource behind the lock, one at a time. Moving the lock
// moves the resource, which moves none of its blocks.
unsafe impl<R: Resource> Resource for Locked<R> {
    forward_resource!(self => self.lock());
}

impl<R: Trim> Trim for Locked<R> {
    fn trim(&self, target_held: usize) -> usize {
        self.lock().trim(target_held)
    }
}
