//! Memory counters in total and by label.
//!
//! The counters sum requested sizes: they are those of the program, without alignment padding.

use arenite_core::{Event, EventKind, Label, Sink};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The counters of one label. Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelUsage {
    /// The label.
    pub label: Label,
    /// Bytes in live blocks.
    pub current: usize,
    /// The largest `current` so far.
    pub peak: usize,
    /// Live blocks.
    pub live_blocks: usize,
    /// Allocations so far.
    pub allocations: usize,
    /// Failed requests so far.
    pub failures: usize,
}

/// A sink that counts the events of `Traced` adaptors. Threads share it. Each event takes a lock
/// and searches the labels, which is O(labels).
///
/// ```
/// use arenite_alloc::{Global, Traced};
/// use arenite_core::{AllocError, Block, layout};
/// use arenite_observe::MemoryTracker;
/// let tracker = MemoryTracker::new();
/// let weights = Traced::new(Global, &tracker, "weights");
/// let block = Block::new_in(layout(1000, 64)?, &weights)?;
/// assert_eq!(tracker.current_usage(), 1000);
/// drop(block);
/// assert_eq!((tracker.current_usage(), tracker.peak_usage()), (0, 1000));
/// assert_eq!(tracker.allocation_count(), 1);
/// assert_eq!(tracker.by_label()[0].label.as_str(), "weights");
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryTracker {
    usage: Mutex<Usage>,
}

#[derive(Debug, Default)]
struct Usage {
    total: LabelUsage,
    labels: Vec<LabelUsage>,
    /// The labels without an entry, counted together once an entry could not be allocated.
    other_labels: Option<LabelUsage>,
}

impl MemoryTracker {
    /// Creates a tracker with all counters at zero.
    #[must_use]
    pub const fn new() -> Self {
        let total = LabelUsage::new(Label::new(""));
        Self { usage: Mutex::new(Usage { total, labels: Vec::new(), other_labels: None }) }
    }

    /// Returns the bytes in live blocks.
    pub fn current_usage(&self) -> usize {
        self.usage().total.current
    }

    /// Returns the largest [`MemoryTracker::current_usage`] so far.
    pub fn peak_usage(&self) -> usize {
        self.usage().total.peak
    }

    /// Returns the number of allocations so far.
    pub fn allocation_count(&self) -> usize {
        self.usage().total.allocations
    }

    /// Returns the counters of all labels together.
    pub fn total(&self) -> LabelUsage {
        self.usage().total
    }

    /// Returns the counters of each label in the order of first use, except those in
    /// [`MemoryTracker::other_labels`].
    pub fn by_label(&self) -> Vec<LabelUsage> {
        self.usage().labels.clone()
    }

    /// Returns the counters of all labels without an entry, or `None` if every label has one. New
    /// labels join this group once an entry could not be allocated.
    pub fn other_labels(&self) -> Option<LabelUsage> {
        self.usage().other_labels
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LabelUsage {
    const fn new(label: Label) -> Self {
        Self { label, current: 0, peak: 0, live_blocks: 0, allocations: 0, failures: 0 }
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
            EventKind::AllocFailed => self.failures += 1,
            _ => {}
        }
        self.peak = self.peak.max(self.current);
    }
}

impl Sink for MemoryTracker {
    fn record(&self, event: &Event) {
        let usage = &mut *self.usage();
        usage.total.apply(event);
        usage.entry(event.label).apply(event);
    }
}

impl Usage {
    /// Returns the counters of a label. A label without an entry never gets one later, so every
    /// entry is complete.
    fn entry(&mut self, label: Label) -> &mut LabelUsage {
        let found = self.labels.iter().position(|usage| usage.label == label);
        if let Some(at) = found {
            return &mut self.labels[at];
        }
        // The caller is inside an allocation: there may be no memory.
        if self.other_labels.is_some() || self.labels.try_reserve(1).is_err() {
            return self.other_labels.get_or_insert(LabelUsage::new(Label::new("")));
        }
        let at = self.labels.len();
        self.labels.push(LabelUsage::new(label));
        &mut self.labels[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arenite_alloc::{Arena, Failing, Global, Traced};
    use arenite_core::{Block, layout};

    #[test]
    fn e38_tracker_counts_each_label_and_the_total() {
        let tracker = MemoryTracker::new();
        let arena = Arena::new();
        let (weights, grads) =
            (Traced::new(&arena, &tracker, "weights"), Traced::new(&arena, &tracker, "grads"));
        let layout = layout(100, 64).unwrap();
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
    fn e38_tracker_counts_failed_requests_and_nothing_else() {
        let tracker = MemoryTracker::new();
        let failing = Traced::new(Failing::fail_from(Global, 0), &tracker, "step");
        assert!(Block::new_in(layout(8, 8).unwrap(), &failing).is_err());
        let total = tracker.total();
        assert_eq!((total.failures, total.allocations, total.current), (1, 0, 0));
    }

    #[test]
    fn e38_tracker_returns_to_zero_after_four_threads() {
        let tracker = MemoryTracker::new();
        let traced = Traced::new(Global, &tracker, "threads");
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for size in 1..200 {
                        drop(Block::new_in(layout(size, 8).unwrap(), &traced).unwrap());
                    }
                });
            }
        });
        assert_eq!((tracker.current_usage(), tracker.allocation_count()), (0, 4 * 199));
        assert!(tracker.peak_usage() >= 199);
    }
}
