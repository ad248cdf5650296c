//! An adaptor that bounds the bytes in use, with one atomic counter.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use super::charged::impl_charged_resource;
use crate::util::usage_counter::UsageCounter;
use arenite_core::{AllocError, AllocErrorKind, AllocResult, Label, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

/// A resource that fails requests above a limit on the bytes in use. Shared between threads if the
/// upstream is.
///
/// ```
/// use arenite_alloc::{Global, Limit};
/// use arenite_core::{AllocErrorKind, AllocError, Block};
/// let limit = Limit::new(Global, 1024).with_label("cache");
/// let _block = Block::new_in(arenite_core::layout(1000, 8)?, &limit)?;
/// let error = Block::new_in(arenite_core::layout(100, 8)?, &limit).unwrap_err();
/// assert_eq!(error.kind, AllocErrorKind::LimitReached);
/// assert_eq!((error.state.in_use, error.state.limit), (1000, Some(1024)));
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct Limit<R> {
    upstream: R,
    limit: usize,
    usage: UsageCounter,
    label: Label,
}

impl<R: Resource> Limit<R> {
    /// Limits the bytes of `upstream` in use through this adaptor to `limit`, by the requested
    /// sizes.
    pub const fn new(upstream: R, limit: usize) -> Self {
        Self { upstream, limit, usage: UsageCounter::new(), label: Label::new("limit") }
    }

    /// Sets the label in errors.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// Returns the limited resource.
    pub const fn upstream(&self) -> &R {
        &self.upstream
    }

    #[cold]
    fn alloc_error(&self, layout: Layout) -> AllocError {
        AllocError::new(AllocErrorKind::LimitReached, layout, self.state(), self.label)
    }

    #[inline]
    fn charge(&self, bytes: usize, layout: Layout) -> Result<(), AllocError> {
        if self.usage.try_charge(bytes, self.limit) { Ok(()) } else { Err(self.alloc_error(layout)) }
    }

    #[inline]
    fn confirm(&self, _bytes: usize, blocks: usize) {
        self.usage.confirm_charge(blocks);
    }

    #[inline]
    fn cancel(&self, bytes: usize) {
        self.usage.uncharge(bytes);
    }

    #[inline]
    fn uncharge(&self, bytes: usize) {
        self.usage.uncharge(bytes);
    }

    fn charged_state(&self) -> ResourceState {
        let (upstream, usage) = (self.upstream.state(), self.usage.state());
        let headroom = self.limit.saturating_sub(usage.in_use);
        ResourceState {
            held: upstream.held.max(usage.in_use),
            largest_free: upstream.largest_free.map(|free| free.min(headroom)),
            limit: Some(upstream.limit.map_or(self.limit, |limit| limit.min(self.limit))),
            ..usage
        }
    }
}

impl_charged_resource!(Limit);
