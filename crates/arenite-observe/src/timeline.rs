//! Memory over time, in bounded memory.
//!
//! A full timeline merges neighbouring samples in pairs; from then on a sample covers twice as
//! many events. A merged sample preserves the extremes, so peaks and valleys stay visible.

use arenite_core::{Event, Sink};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Memory in use and held during one sample. Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Nanoseconds since the start of the timeline.
    pub nanos: u64,
    /// The largest number of bytes in use during the sample.
    pub in_use: usize,
    /// The smallest number of bytes in use during the sample.
    pub min_in_use: usize,
    /// The largest number of bytes held during the sample.
    pub held: usize,
}

/// The memory of a resource over time, in a fixed number of samples. Threads share it. Each event
/// takes a lock, reads the clock, and allocates nothing.
///
/// ```
/// use arenite_observe::Timeline;
/// let timeline = Timeline::new(8);
/// for step in 0..1000 {
///     timeline.record_usage(step % 10, 10);
/// }
/// let samples = timeline.samples();
/// assert!(samples.len() <= 8);
/// assert_eq!(samples.iter().map(|sample| sample.in_use).max(), Some(9)); // the peak is kept
/// ```
#[derive(Debug)]
pub struct Timeline {
    start: Instant,
    state: Mutex<Samples>,
}

#[derive(Debug)]
struct Samples {
    list: Vec<Sample>,
    capacity: usize,
    /// The number of events per sample.
    stride: u64,
    /// The unfinished sample; `merged` counts its events.
    pending: Sample,
    merged: u64,
}

impl Timeline {
    /// Creates a timeline of at most `samples` samples (at least 2) that starts now. The samples
    /// are allocated at once.
    #[must_use]
    pub fn new(samples: usize) -> Self {
        let capacity = samples.max(2);
        // Written once, so the page faults of the timeline do not show up in later measurements.
        let mut list = vec![Sample { nanos: 1, ..Sample::default() }; capacity];
        list.clear();
        let state = Samples { list, capacity, stride: 1, pending: Sample::default(), merged: 0 };
        Self { start: Instant::now(), state: Mutex::new(state) }
    }

    /// Records the bytes in use and held now.
    pub fn record_usage(&self, in_use: usize, held: usize) {
        let nanos = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.state().push(Sample { nanos, in_use, min_in_use: in_use, held });
    }

    /// Returns the samples so far, in order.
    pub fn samples(&self) -> Vec<Sample> {
        let state = self.state();
        let mut samples = state.list.clone();
        if state.merged > 0 {
            match samples.last_mut() {
                Some(last) if state.list.len() == state.capacity => *last = merge(*last, state.pending),
                _ => samples.push(state.pending),
            }
        }
        samples
    }

    fn state(&self) -> MutexGuard<'_, Samples> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Merges two neighbours: the later time and the extremes.
fn merge(earlier: Sample, later: Sample) -> Sample {
    Sample {
        nanos: later.nanos,
        in_use: earlier.in_use.max(later.in_use),
        min_in_use: earlier.min_in_use.min(later.min_in_use),
        held: earlier.held.max(later.held),
    }
}

impl Samples {
    fn push(&mut self, sample: Sample) {
        self.pending = if self.merged == 0 { sample } else { merge(self.pending, sample) };
        self.merged += 1;
        if self.merged < self.stride {
            return;
        }
        if self.list.len() == self.capacity {
            self.downsample();
            if self.merged < self.stride {
                return;
            }
        }
        self.list.push(self.pending);
        self.merged = 0;
    }

    fn downsample(&mut self) {
        let len = self.list.len().div_ceil(2);
        for at in 0..len {
            let earlier = self.list[2 * at];
            self.list[at] = self.list.get(2 * at + 1).map_or(earlier, |&later| merge(earlier, later));
        }
        self.list.truncate(len);
        self.stride = self.stride.saturating_mul(2);
    }
}

impl Sink for Timeline {
    fn record(&self, event: &Event) {
        self.record_usage(event.in_use, event.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn timeline_stays_within_its_capacity_and_preserves_the_peak(
            capacity in 2usize..40,
            sizes in proptest::collection::vec(0usize..1_000_000, 1..2000),
        ) {
            let timeline = Timeline::new(capacity);
            for &size in &sizes {
                timeline.record_usage(size, size + 1);
            }
            let samples = timeline.samples();
            prop_assert!(!samples.is_empty() && samples.len() <= capacity);
            prop_assert!(samples.is_sorted_by_key(|sample| sample.nanos));
            let peak = samples.iter().map(|sample| sample.held).max();
            prop_assert_eq!(peak, sizes.iter().map(|size| size + 1).max());
            let min = samples.iter().map(|sample| sample.min_in_use).min();
            prop_assert_eq!(min, sizes.iter().copied().min());
        }
    }
}
