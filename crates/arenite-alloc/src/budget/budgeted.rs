//! Charges the blocks of a resource to a budget.
//!
//! Rests on any [`Resource`] and on [`Budget`]. A charge is taken before the upstream is asked, so a limit is never passed.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use super::Budget;
use crate::util::usage_counter::UsageCounter;
use arenite_core::{AllocCause, AllocError, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

/// A resource whose blocks count in a budget, by the sizes asked. Shared between threads if the upstream is.
///
/// ```
/// use arenite_alloc::{Budget, Budgeted, Global};
/// use arenite_core::{AllocError, Block};
/// let process = Budget::new("process", 1 << 20);
/// let blocks = Budgeted::new(Global, process.child("join", usize::MAX));
/// let _table = Block::new_in(AllocError::layout(1000 << 10, 64)?, &blocks)?;
/// let alloc_error = Block::new_in(AllocError::layout(100 << 10, 64)?, &blocks).unwrap_err();
/// assert_eq!((alloc_error.label.as_str(), alloc_error.state.in_use), ("process", 1000 << 10));
/// assert_eq!(process.used(), 1000 << 10);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct Budgeted<R> {
    upstream: R,
    budget: Budget,
    charged: UsageCounter,
}

impl<R: Resource> Budgeted<R> {
    /// The blocks of `upstream`, charged to `budget`.
    pub const fn new(upstream: R, budget: Budget) -> Self {
        Self { upstream, budget, charged: UsageCounter::new() }
    }

    /// The budget.
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The resource behind it.
    pub const fn upstream(&self) -> &R {
        &self.upstream
    }

    #[inline]
    fn charge(&self, bytes: usize, layout: Layout) -> Result<(), AllocError> {
        self.budget.try_charge(bytes).map_err(|node| alloc_error(node, layout))
    }

    fn allocate_charged(
        &self,
        layout: Layout,
        allocate: impl FnOnce() -> Result<NonNull<[u8]>, AllocError>,
    ) -> Result<NonNull<[u8]>, AllocError> {
        self.charge(layout.size(), layout)?;
        let block = allocate().inspect_err(|_| self.budget.release(layout.size()))?;
        self.charged.record_alloc(layout.size());
        Ok(NonNull::slice_from_raw_parts(block.cast(), layout.size()))
    }
}

#[cold]
fn alloc_error(node: &Budget, layout: Layout) -> AllocError {
    let used = node.used();
    let state = ResourceState {
        in_use: used,
        held: used,
        peak: node.peak(),
        limit: Some(node.limit()),
        ..ResourceState::default()
    };
    AllocError::new(AllocCause::LimitReached, layout, state, node.label())
}

// SAFETY: forwards every call to the upstream, which keeps the laws.
unsafe impl<R: Resource> Resource for Budgeted<R> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate_charged(layout, || self.upstream.allocate(layout))
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate_charged(layout, || self.upstream.allocate_zeroed(layout))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.upstream.deallocate(block, layout) };
        self.charged.record_free(layout.size());
        self.budget.release(layout.size());
    }

    /// Charges the difference only.
    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let more = new.size() - old.size();
        self.charge(more, new)?;
        // SAFETY: the caller's promise.
        let grown =
            unsafe { self.upstream.grow(block, old, new) }.inspect_err(|_| self.budget.release(more))?;
        self.charged.resize(old.size(), new.size());
        Ok(NonNull::slice_from_raw_parts(grown.cast(), new.size()))
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        let shrunk = unsafe { self.upstream.shrink(block, old, new) }?;
        self.charged.resize(old.size(), new.size());
        self.budget.release(old.size() - new.size());
        Ok(NonNull::slice_from_raw_parts(shrunk.cast(), new.size()))
    }

    fn state(&self) -> ResourceState {
        let upstream = self.upstream.state();
        let charged = self.charged.state();
        let limit = charged.in_use.saturating_add(self.budget.available());
        ResourceState {
            held: upstream.held.max(charged.in_use),
            largest_free: upstream.largest_free.map(|free| free.min(self.budget.available())),
            limit: if limit == usize::MAX { upstream.limit } else { Some(limit) },
            ..charged
        }
    }
}

impl<R: Trim> Trim for Budgeted<R> {
    fn trim(&self, target_held: usize) -> usize {
        self.upstream.trim(target_held)
    }
}

impl<R> Drop for Budgeted<R> {
    fn drop(&mut self) {
        // blocks that are leaked with the upstream are nobody's to charge
        self.budget.release(self.charged.in_use());
    }
}
