//! Bounds the bytes in use.
//!
//! Rests on any [`Resource`] and one atomic counter. A charge is taken before the upstream is asked, so the limit is never
//! passed, not by one byte and not by two threads at once.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use super::as_asked;
use crate::util::usage_counter::Tally;
use arenite_core::{AllocCause, AllocError, Label, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

/// Refuses what would bring the bytes in use above a limit. Shared between threads if the upstream is.
///
/// ```
/// use arenite_alloc::{Global, Limit};
/// use arenite_core::{AllocCause, AllocError, Block};
/// let limit = Limit::new(Global, 1024).labelled("cache");
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
    charged: Tally,
    label: Label,
}

impl<R: Resource> Limit<R> {
    /// At most `limit` bytes of `upstream` in use through this adaptor, by the sizes asked.
    pub const fn new(upstream: R, limit: usize) -> Self {
        Self { upstream, limit, charged: Tally::new(), label: Label::new("limit") }
    }

    /// The same under another name in errors.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// The resource behind the limit.
    pub const fn upstream(&self) -> &R {
        &self.upstream
    }

    #[cold]
    fn refuse(&self, layout: Layout) -> AllocError {
        AllocError::new(AllocCause::LimitReached, layout, self.state(), self.label)
    }

    fn take(
        &self,
        layout: Layout,
        allocate: impl FnOnce() -> Result<NonNull<[u8]>, AllocError>,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if !self.charged.charge(layout.size(), self.limit) {
            return Err(self.refuse(layout));
        }
        let block = allocate().inspect_err(|_| self.charged.refund(layout.size()))?;
        self.charged.settle(1);
        Ok(as_asked(block, layout))
    }
}

// SAFETY: forwards every call to the upstream, which keeps the laws.
unsafe impl<R: Resource> Resource for Limit<R> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.take(layout, || self.upstream.allocate(layout))
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.take(layout, || self.upstream.allocate_zeroed(layout))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.upstream.deallocate(block, layout) };
        self.charged.remove(layout.size());
    }

    /// Charges the difference only.
    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let more = new.size() - old.size();
        if !self.charged.charge(more, self.limit) {
            return Err(self.refuse(new));
        }
        // SAFETY: the caller's promise.
        let grown =
            unsafe { self.upstream.grow(block, old, new) }.inspect_err(|_| self.charged.refund(more))?;
        self.charged.settle(0);
        Ok(as_asked(grown, new))
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
        Ok(as_asked(shrunk, new))
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
