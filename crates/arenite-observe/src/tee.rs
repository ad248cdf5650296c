//! Feeds two sinks.
//!
//! Rests on [`Sink`]. A `Traced` adaptor has one sink; this makes one of two.

use arenite_core::{Event, Sink};

/// Records every event in both sinks, in order.
///
/// ```
/// use arenite_alloc::{Global, Traced};
/// use arenite_core::{AllocError, Block};
/// use arenite_observe::{Both, MemoryTracker, Timeline};
/// let (tracker, timeline) = (MemoryTracker::new(), Timeline::new(100));
/// let traced = Traced::new(Global, Both(&tracker, &timeline), "step");
/// drop(Block::new_in(AllocError::layout(64, 8)?, &traced)?);
/// assert_eq!(tracker.allocation_count(), 1);
/// assert_eq!(timeline.moments().len(), 2);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Both<A, B>(pub A, pub B);

impl<A: Sink, B: Sink> Sink for Both<A, B> {
    fn record(&self, event: &Event) {
        self.0.record(event);
        self.1.record(event);
    }
}
