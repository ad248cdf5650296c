//! Bounds the bytes in use.
//!
//! Rests on any [`Resource`] and one atomic counter. A charge is taken before the upstream is asked, so the limit is never
//! passed, not by one byte and not by two threads at once.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use super::with_requested_size;
use crate::util::usage_counter::UsageCounter;
use arenite_core::{AllocCause, AllocError, Label, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

/// Refuses what would bring the bytes in use above a limit. Shared between threads if the upstream is.
///
/// ```
/// use arenite_alloc::{Global, Limit};
/// use arenite_core::{AllocCause, AllocError, Block};
/// let limit = Limit::new(Global, 1024).with_label("cache");
/// let _block = Block::new_in(AllocError::layout(1000, 8)?, &limit)?;
/// let error = Block::new_in(AllocError::layout(100, 8)?, &limit).unwrap_err();
/// assert_eq!(error.cause, AllocCause::LimitReached);
/// assert_eq!((error.state.in_use, error.state.limit), (1000, Some(1024)));
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct Limit<R> {
    upstream: R,
    limit: usize,
    charged: UsageCounter,
    label: Label,
}

impl<R: Resource> Limit<R> {
    /// At most `limit` bytes of `upstream` in use through this adaptor, by the sizes asked.
    pub const fn new(upstream: R, limit: usize) -> Self {
        Self { upstream, limit, charged: UsageCounter::new(), label: Label::new("limit") }
    }

    /// The same under another name in errors.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// The resource behind the limit.
    pub const fn upstream(&self) -> &R {
        &self.upstream
    }

    #[cold]
    fn alloc_error(&self, layout: Layout) -> AllocError {
        AllocError::new(AllocCause::LimitReached, layout, self.state(), self.label)
    }

    fn allocate_charged(
        &self,
        layout: Layout,
        allocate: impl FnOnce() -> Result<NonNull<[u8]>, AllocError>,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if !self.charged.try_charge(layout.size(), self.limit) {
            return Err(self.alloc_error(layout));
        }
        let block = allocate().inspect_err(|_| self.charged.uncharge(layout.size()))?;
        self.charged.confirm_charge(1);
        Ok(with_requested_size(block, layout))
    }
}

// SAFETY: forwards every call to the upstream, which keeps the laws.
unsafe impl<R: Resource> Resource for Limit<R> {
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
    }

    /// Charges the difference only.
    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let more = new.size() - old.size();
        if !self.charged.try_charge(more, self.limit) {
            return Err(self.alloc_error(new));
        }
        // SAFETY: the caller's promise.
        let grown =
            unsafe { self.upstream.grow(block, old, new) }.inspect_err(|_| self.charged.uncharge(more))?;
        self.charged.confirm_charge(0);
        Ok(with_requested_size(grown, new))
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
        Ok(with_requested_size(shrunk, new))
    }

    fn state(&self) -> ResourceState {
        let upstream = self.upstream.state();
        let charged = self.charged.state();
        let room = self.limit.saturating_sub(charged.in_use);
        ResourceState {
            held: upstream.held.max(charged.in_use),
            largest_free: upstream.largest_free.map(|free| free.min(room)),
            limit: Some(upstream.limit.map_or(self.limit, |limit| limit.min(self.limit))),
            ..charged
        }
    }
}

impl<R: Trim> Trim for Limit<R> {
    fn trim(&self, target_held: usize) -> usize {
        self.upstream.trim(target_held)
    }
}
