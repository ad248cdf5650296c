//! Events: what happened to a block, told to whoever listens.
//!
//! Rests on [`Label`]. Rooms emit events through an adaptor and never depend on who listens, so a program without a
//! listener pays nothing.

use crate::Label;
use alloc::{boxed::Box, rc::Rc, sync::Arc};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A block was lent.
    Allocate,
    /// A block was taken back.
    Deallocate,
    /// A block changed its size and perhaps its address.
    Resize {
        /// Where it was.
        old_address: usize,
        /// Its old size in bytes.
        old_size: usize,
    },
    /// A request was refused.
    Refuse,
    /// Everything above a position was freed at once; `size` is how many bytes.
    Restore,
    /// Memory went back upstream; `size` is how many bytes.
    Trim,
}

/// One thing that happened to a resource. Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The block's address (not a pointer: an event does not keep its block alive); 0 where there is none.
    pub address: usize,
    /// The block's size.
    pub size: usize,
    /// The block's alignment.
    pub align: usize,
    /// Who: the label of the adaptor that emitted the event.
    pub label: Label,
    /// What the resource had in use after the event.
    pub in_use: usize,
    /// What the resource held after the event.
    pub held: usize,
}

/// Listens to events. Called on the allocating thread, in order for each block: it must be quick and must not panic.
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
    /// Takes note of `event`.
    fn record(&self, event: &Event);
}

/// The sink that hears nothing; the compiler removes calls to it.
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
