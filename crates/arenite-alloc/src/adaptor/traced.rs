//! An adaptor that sends the events of a resource to a sink.
//!
//! Observation is an adaptor and not a part of each resource, so a resource without it has no
//! cost.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use super::charged::with_requested_size;
use arenite_core::{AllocResult, Event, EventKind, Label, Resource, ResourceState, Sink, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A resource that emits an [`Event`] for each call. The panic hook reports a panic of the sink,
/// which is then caught.
///
/// ```
/// use arenite_alloc::{Global, Traced};
/// use arenite_core::{AllocError, Block, Event, Sink};
/// use std::cell::RefCell;
/// #[derive(Default)]
/// struct Log(RefCell<Vec<Event>>);
/// impl Sink for Log {
///     fn record(&self, event: &Event) {
///         self.0.borrow_mut().push(*event);
///     }
/// }
/// let log = Log::default();
/// let traced = Traced::new(Global, &log, "weights");
/// drop(Block::new_in(arenite_core::layout(64, 8)?, &traced)?);
/// assert_eq!(log.0.borrow().len(), 2);
/// assert_eq!(log.0.borrow()[0].label.as_str(), "weights");
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Traced<R, S> {
    upstream: R,
    sink: S,
    label: Label,
}

impl<R: Resource, S: Sink> Traced<R, S> {
    /// Sends the events of `upstream` to `sink` under `label`.
    pub fn new(upstream: R, sink: S, label: impl Into<Label>) -> Self {
        Self { upstream, sink, label: label.into() }
    }

    /// Returns the traced resource.
    pub const fn upstream(&self) -> &R {
        &self.upstream
    }

    /// Returns the sink.
    pub const fn sink(&self) -> &S {
        &self.sink
    }

    /// Emits an event that the trait does not cover, such as a restore of `size` bytes.
    pub fn note(&self, kind: EventKind, size: usize) {
        self.emit(kind, 0, size, 1);
    }

    fn emit(&self, kind: EventKind, address: usize, size: usize, align: usize) {
        let state = self.upstream.state();
        let label = self.label;
        let event = Event { kind, address, size, align, label, in_use: state.in_use, held: state.held };
        // A panic of the sink must not unwind into a caller that has not received its block yet.
        // The panic hook has reported it.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.sink.record(&event))) {
            // The payload's own destructor could panic too.
            let _kept = core::mem::ManuallyDrop::new(payload);
        }
    }

    fn record_result(&self, result: AllocResult, kind: EventKind, layout: Layout) -> AllocResult {
        match &result {
            Ok(block) => self.emit(kind, block.cast::<u8>().addr().get(), layout.size(), layout.align()),
            Err(_) => self.emit(EventKind::AllocFailed, 0, layout.size(), layout.align()),
        }
        result.map(|block| with_requested_size(block, layout))
    }
}

// SAFETY: forwards every call to the upstream, which keeps the laws.
unsafe impl<R: Resource, S: Sink> Resource for Traced<R, S> {
    fn allocate(&self, layout: Layout) -> AllocResult {
        self.record_result(self.upstream.allocate(layout), EventKind::Allocate, layout)
    }

    fn allocate_zeroed(&self, layout: Layout) -> AllocResult {
        self.record_result(self.upstream.allocate_zeroed(layout), EventKind::Allocate, layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.upstream.deallocate(block, layout) };
        self.emit(EventKind::Deallocate, block.addr().get(), layout.size(), layout.align());
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        let kind = EventKind::Resize { old_address: block.addr().get(), old_size: old.size() };
        // SAFETY: the caller's guarantees are the same.
        self.record_result(unsafe { self.upstream.grow(block, old, new) }, kind, new)
    }

    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        let kind = EventKind::Resize { old_address: block.addr().get(), old_size: old.size() };
        // SAFETY: the caller's guarantees are the same.
        self.record_result(unsafe { self.upstream.shrink(block, old, new) }, kind, new)
    }

    fn state(&self) -> ResourceState {
        self.upstream.state()
    }
}

impl<R: Resource + Trim, S: Sink> Trim for Traced<R, S> {
    fn trim(&self, target_held: usize) -> usize {
        let released = self.upstream.trim(target_held);
        self.note(EventKind::Trim, released);
        released
    }
}
