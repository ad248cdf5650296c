//! An adaptor that fails allocations on purpose.
//!
//! Exhaustion is injected, not waited for. A test runs a program once to count its allocations,
//! then once for each of them with that allocation failing.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use arenite_core::{AllocError, AllocErrorKind, AllocResult, Label, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A resource that fails one allocation, or all from one on. For tests.
///
/// ```
/// use arenite_alloc::{Failing, Global};
/// use arenite_core::{AllocErrorKind, AllocError, Block};
/// let failing = Failing::fail_nth(Global, 1);
/// let layout = arenite_core::layout(8, 8)?;
/// assert!(Block::new_in(layout, &failing).is_ok());
/// assert_eq!(Block::new_in(layout, &failing).unwrap_err().kind, AllocErrorKind::Injected);
/// assert!(Block::new_in(layout, &failing).is_ok());
/// assert_eq!(failing.attempts(), 3);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct Failing<R> {
    upstream: R,
    first: usize,
    last: usize,
    attempts: AtomicUsize,
}

impl<R: Resource> Failing<R> {
    /// Fails only the allocation or resize with the number `attempt`, counted from 0.
    pub const fn fail_nth(upstream: R, attempt: usize) -> Self {
        Self { upstream, first: attempt, last: attempt, attempts: AtomicUsize::new(0) }
    }

    /// Fails every allocation and resize from the number `attempt` on.
    pub const fn fail_from(upstream: R, attempt: usize) -> Self {
        Self { upstream, first: attempt, last: usize::MAX, attempts: AtomicUsize::new(0) }
    }

    /// Fails nothing and counts the attempts.
    pub const fn pass_through(upstream: R) -> Self {
        Self { upstream, first: usize::MAX, last: 0, attempts: AtomicUsize::new(0) }
    }

    /// Returns the number of requested allocations and resizes.
    pub fn attempts(&self) -> usize {
        self.attempts.load(Relaxed)
    }

    fn attempt(&self, layout: Layout) -> Result<(), AllocError> {
        let attempt = self.attempts.fetch_add(1, Relaxed);
        if attempt < self.first || attempt > self.last {
            return Ok(());
        }
        Err(AllocError::new(AllocErrorKind::Injected, layout, self.state(), Label::new("failing")))
    }
}

// SAFETY: forwards every call to the upstream, which keeps the laws, or fails before the call.
unsafe impl<R: Resource> Resource for Failing<R> {
    fn allocate(&self, layout: Layout) -> AllocResult {
        self.attempt(layout)?;
        self.upstream.allocate(layout)
    }

    fn allocate_zeroed(&self, layout: Layout) -> AllocResult {
        self.attempt(layout)?;
        self.upstream.allocate_zeroed(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.upstream.deallocate(block, layout) }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        self.attempt(new)?;
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.upstream.grow(block, old, new) }
    }

    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        self.attempt(new)?;
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.upstream.shrink(block, old, new) }
    }

    fn state(&self) -> ResourceState {
        self.upstream.state()
    }
}

impl<R: Trim> Trim for Failing<R> {
    fn trim(&self, target_held: usize) -> usize {
        self.upstream.trim(target_held)
    }
}
