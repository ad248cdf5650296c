//! A sink that feeds two sinks.

use arenite_core::{Event, Sink};

/// Two sinks that record every event, in order. A `Traced` adaptor has one sink; this type
/// combines two.
///
/// ```
/// use arenite_alloc::{Global, Traced};
/// use arenite_core::{AllocError, Block, layout};
/// use arenite_observe::{Tee, MemoryTracker, Timeline};
/// let (tracker, timeline) = (MemoryTracker::new(), Timeline::new(100));
/// let traced = Traced::new(Global, Tee(&tracker, &timeline), "step");
/// drop(Block::new_in(layout(64, 8)?, &traced)?);
/// assert_eq!(tracker.allocation_count(), 1);
/// assert_eq!(timeline.samples().len(), 2);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Tee<A, B>(pub A, pub B);

impl<A: Sink, B: Sink> Sink for Tee<A, B> {
    fn record(&self, event: &Event) {
        self.0.record(event);
        self.1.record(event);
    }
}
