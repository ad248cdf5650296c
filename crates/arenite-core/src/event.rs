//! Allocation events and the sinks that record them.
//!
//! Resources emit no events themselves: an adaptor does. A program without a sink pays nothing.

use crate::Label;
use alloc::{boxed::Box, rc::Rc, sync::Arc};

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A block was allocated.
    Allocate,
    /// A block was deallocated.
    Deallocate,
    /// A block changed its size and perhaps its address.
    Resize {
        /// The old address.
        old_address: usize,
        /// The old size in bytes.
        old_size: usize,
    },
    /// A request failed.
    AllocFailed,
    /// Everything above a mark was freed at once; `size` is the number of bytes.
    Restore,
    /// Memory was released to the upstream; `size` is the number of bytes.
    Trim,
}

/// One event of a resource. Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The kind of the event.
    pub kind: EventKind,
    /// The address of the block, or 0. An address is not a pointer: an event does not keep its
    /// block alive.
    pub address: usize,
    /// The size of the block.
    pub size: usize,
    /// The alignment of the block.
    pub align: usize,
    /// The label of the adaptor that emitted the event.
    pub label: Label,
    /// Bytes in use after the event.
    pub in_use: usize,
    /// Bytes held after the event.
    pub held: usize,
}

/// A receiver of events. Calls come from the allocating thread, in order for each block; a sink
/// must be quick and must not panic.
///
/// ```
/// use arenite_core::{Event, Sink};
/// use core::sync::atomic::{AtomicUsize, Ordering};
/// #[derive(Default)]
/// struct Count(AtomicUsize);
/// impl Sink for Count {
///     fn record(&self, _event: &Event) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
/// ```
pub trait Sink {
    /// Records `event`.
    fn record(&self, event: &Event);
}

/// A sink that drops every event; the compiler removes the calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl Sink for NoSink {
    #[inline(always)]
    fn record(&self, _event: &Event) {}
}

impl<S: Sink + ?Sized> Sink for &S {
    fn record(&self, event: &Event) {
        (**self).record(event);
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn record(&self, event: &Event) {
        (**self).record(event);
    }
}

impl<S: Sink + ?Sized> Sink for Rc<S> {
    fn record(&self, event: &Event) {
        (**self).record(event);
    }
}

impl<S: Sink + ?Sized> Sink for Arc<S> {
    fn record(&self, event: &Event) {
        (**self).record(event);
    }
}

impl<S: Sink> Sink for Option<S> {
    fn record(&self, event: &Event) {
        if let Some(sink) = self {
            sink.record(event);
        }
    }
}
