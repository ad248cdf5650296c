//! A resource whose blocks are charged to a budget.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use super::Budget;
use crate::adaptor::impl_charged_resource;
use crate::util::usage_counter::UsageCounter;
use arenite_core::{AllocError, AllocErrorKind, AllocResult, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

/// Blocks of an upstream that count in a budget, by the requested sizes. Shared between threads if
/// the upstream is.
///
/// ```
/// use arenite_alloc::{Budget, Budgeted, Global};
/// use arenite_core::{AllocError, Block};
/// let process = Budget::new("process", 1 << 20);
/// let blocks = Budgeted::new(Global, process.child("join", usize::MAX));
/// let _table = Block::new_in(arenite_core::layout(1000 << 10, 64)?, &blocks)?;
/// let alloc_error = Block::new_in(arenite_core::layout(100 << 10, 64)?, &blocks).unwrap_err();
/// assert_eq!((alloc_error.label.as_str(), alloc_error.state.in_use), ("process", 1000 << 10));
/// assert_eq!(process.used(), 1000 << 10);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct Budgeted<R> {
    upstream: R,
    budget: Budget,
    usage: UsageCounter,
}

impl<R: Resource> Budgeted<R> {
    /// Charges the blocks of `upstream` to `budget`.
    pub const fn new(upstream: R, budget: Budget) -> Self {
        Self { upstream, budget, usage: UsageCounter::new() }
    }

    /// Returns the budget.
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Returns the resource whose blocks are charged.
    pub const fn upstream(&self) -> &R {
        &self.upstream
    }

    #[inline]
    fn charge(&self, bytes: usize, layout: Layout) -> Result<(), AllocError> {
        self.budget.try_charge(bytes).map_err(|node| alloc_error(node, layout))
    }

    #[inline]
    fn confirm(&self, bytes: usize, blocks: usize) {
        self.usage.record(bytes, blocks);
    }

    #[inline]
    fn cancel(&self, bytes: usize) {
        self.budget.release(bytes);
    }

    #[inline]
    fn uncharge(&self, bytes: usize) {
        self.usage.uncharge(bytes);
        self.budget.release(bytes);
    }

    fn charged_state(&self) -> ResourceState {
        let (upstream, usage) = (self.upstream.state(), self.usage.state());
        let available = self.budget.available();
        let limit = usage.in_use.saturating_add(available);
        ResourceState {
            held: upstream.held.max(usage.in_use),
            largest_free: upstream.largest_free.map(|free| free.min(available)),
            limit: if limit == usize::MAX { upstream.limit } else { Some(limit) },
            ..usage
        }
    }
}

impl_charged_resource!(Budgeted);

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
    AllocError::new(AllocErrorKind::LimitReached, layout, state, node.label())
}

impl<R> Drop for Budgeted<R> {
    fn drop(&mut self) {
        // Blocks that are leaked with the upstream are not charged any longer.
        self.budget.release(self.usage.in_use());
    }
}
