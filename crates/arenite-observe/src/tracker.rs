//! A tracker: current, peak and count, in all and by label.
//!
//! Rests on events. It sums what was asked, so its numbers are the program's, without an allocator's padding.

use arenite_core::{Event, EventKind, Label, Sink};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What one label did. Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelUsage {
    /// Who.
    pub label: Label,
    /// Lent and not yet given back.
    pub current: usize,
    /// The largest `current` so far.
    pub peak: usize,
    /// Blocks lent and not yet given back.
    pub live_blocks: usize,
    /// Allocations so far.
    pub allocations: usize,
    /// Requests refused so far.
    pub refusals: usize,
}

/// Counts what `Traced` adaptors tell it. Shared between threads; each event takes a lock and looks through the labels
/// (O(labels), few).
///
/// ```
/// use arenite_alloc::{Global, Traced};
/// use arenite_core::{AllocError, Block};
/// use arenite_observe::MemoryTracker;
/// let tracker = MemoryTracker::new();
/// let weights = Traced::new(Global, &tracker, "weights");
/// let layout = AllocError::layout(1000, 64)?;
/// let block = Block::new_in(layout, &weights)?;
/// assert_eq!(tracker.current_usage(), 1000);
/// drop(block);
/// assert_eq!((tracker.current_usage(), tracker.peak_usage(), tracker.allocation_count()), (0, 1000, 1));
/// assert_eq!(tracker.by_label()[0].label.as_str(), "weights");
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryTracker {
    usage: Mutex<Usage>,
}

#[derive(Debug, Default)]
struct Usage {
    all: LabelUsage,
    labels: Vec<LabelUsage>,
    /// Since an entry could not be had: of all labels that have none.
    unlisted: Option<LabelUsage>,
}

impl MemoryTracker {
    /// Nothing counted yet.
    #[must_use]
    pub const fn new() -> Self {
        let all = LabelUsage::of(Label::new(""));
        Self { usage: Mutex::new(Usage { all, labels: Vec::new(), unlisted: None }) }
    }

    /// Bytes lent and not yet given back.
    pub fn current_usage(&self) -> usize {
        self.usage().all.current
    }

    /// The largest [`MemoryTracker::current_usage`] so far.
    pub fn peak_usage(&self) -> usize {
        self.usage().all.peak
    }

    /// Allocations so far.
    pub fn allocation_count(&self) -> usize {
        self.usage().all.allocations
    }

    /// All labels together.
    pub fn total(&self) -> LabelUsage {
        self.usage().all
    }

    /// Each label, in the order in which they were first heard of, but for those in [`MemoryTracker::unlisted`].
    pub fn by_label(&self) -> Vec<LabelUsage> {
        self.usage().labels.clone()
    }

    /// The labels that are not listed, together: from the first for whose entry there was no memory, every one that was new.
    /// `None` when all are listed.
    pub fn unlisted(&self) -> Option<LabelUsage> {
        self.usage().unlisted
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LabelUsage {
    const fn of(label: Label) -> Self {
        Self { label, current: 0, peak: 0, live_blocks: 0, allocations: 0, refusals: 0 }
    }

    fn apply(&mut self, event: &Event) {
        match event.kind {
            EventKind::Allocate => {
                self.allocations += 1;
                self.live_blocks += 1;
                self.current += event.size;
            }
            EventKind::Deallocate => {
                self.live_blocks = self.live_blocks.saturating_sub(1);
                self.current = self.current.saturating_sub(event.size);
            }
            EventKind::Resize { old_size, .. } => {
                self.current = self.current.saturating_sub(old_size) + event.size
            }
            EventKind::Refuse => self.refusals += 1,
            _ => {}
        }
        self.peak = self.peak.max(self.current);
    }
}

impl Sink for MemoryTracker {
    fn record(&self, event: &Event) {
        let usage = &mut *self.usage();
        usage.all.apply(event);
        usage.entry(event.label).apply(event);
    }
}

impl Usage {
    /// Where a label is counted. Who is not listed once never is, so that each entry has all that its label did.
    fn entry(&mut self, label: Label) -> &mut LabelUsage {
        let found = self.labels.iter().position(|usage| usage.label == label);
        if let Some(at) = found {
            return &mut self.labels[at];
        }
        // who records is in the middle of an allocation, and may be refused one
        if self.unlisted.is_some() || self.labels.try_reserve(1).is_err() {
            return self.unlisted.get_or_insert(LabelUsage::of(Label::new("")));
        }
        let at = self.labels.len();
        self.labels.push(LabelUsage::of(label));
        &mut self.labels[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arenite_alloc::{Arena, Failing, Global, Traced};
    use arenite_core::{AllocError, Block};

    #[test]
    fn e38_labels_are_counted_apart_and_together() {
        let tracker = MemoryTracker::new();
        let arena = Arena::new();
        let (weights, grads) =
            (Traced::new(&arena, &tracker, "weights"), Traced::new(&arena, &tracker, "grads"));
        let layout = AllocError::layout(100, 64).unwrap();
        let first = Block::new_in(layout, &weights).unwrap();
        let mut second = Block::new_in(layout, &grads).unwrap();
        second.resize(300).unwrap();
        drop(first);
        let labels = tracker.by_label();
        assert_eq!((labels[0].current, labels[0].peak, labels[0].allocations), (0, 100, 1));
        assert_eq!((labels[1].current, labels[1].peak, labels[1].live_blocks), (300, 300, 1));
        assert_eq!(
            (tracker.current_usage(), tracker.peak_usage(), tracker.allocation_count()),
            (300, 400, 2)
        );
    }

    #[test]
    fn e38_refusals_are_counted_and_change_nothing_else() {
        let tracker = MemoryTracker::new();
        let failing = Traced::new(Failing::from(Global, 0), &tracker, "step");
        assert!(Block::new_in(AllocError::layout(8, 8).unwrap(), &failing).is_err());
        let total = tracker.total();
        assert_eq!((total.refusals, total.allocations, total.current), (1, 0, 0));
    }

    #[test]
    fn e38_four_threads_come_back_to_zero() {
        let tracker = MemoryTracker::new();
        let traced = Traced::new(Global, &tracker, "threads");
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for size in 1..200 {
                        drop(Block::new_in(AllocError::layout(size, 8).unwrap(), &traced).unwrap());
                    }
                });
            }
        });
        assert_eq!((tracker.current_usage(), tracker.allocation_count()), (0, 4 * 199));
        assert!(tracker.peak_usage() >= 199);
    }
}
