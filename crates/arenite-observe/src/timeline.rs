//! A timeline: how memory rose and fell, in bounded memory.
//!
//! Rests on events. When its room is full, neighbours are merged two by two and from then on twice as many events make a
//! moment; a merged moment keeps the extremes, because peaks and valleys are what a reader looks for.

use arenite_core::{Event, Sink};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What was in use and held at one time. Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since the timeline began.
    pub nanos: u64,
    /// In use: the most while this moment lasted.
    pub in_use: usize,
    /// In use: the least while this moment lasted.
    pub least_in_use: usize,
    /// Held: the most while this moment lasted.
    pub held: usize,
}

/// Remembers the memory of a resource over time, in a fixed number of moments. Shared between threads; each event takes a
/// lock, reads the clock, and allocates nothing.
///
/// ```
/// use arenite_observe::Timeline;
/// let timeline = Timeline::new(8);
/// for step in 0..1000 {
///     timeline.note(step % 10, 10);
/// }
/// let moments = timeline.moments();
/// assert!(moments.len() <= 8);
/// assert_eq!(moments.iter().map(|moment| moment.in_use).max(), Some(9)); // the peak is kept
/// ```
#[derive(Debug)]
pub struct Timeline {
    began: Instant,
    track: Mutex<Track>,
}

#[derive(Debug)]
struct Track {
    moments: Vec<Moment>,
    room: usize,
    /// Events that make a moment.
    stride: u64,
    /// The moment in the making, and how many events are in it.
    pending: Moment,
    merged: u64,
}

impl Timeline {
    /// A timeline of at most `moments` moments (at least 2), beginning now. The room is taken at once.
    #[must_use]
    pub fn new(moments: usize) -> Self {
        let room = moments.max(2);
        // Written once, so that what is observed later is not the timeline's own page faults.
        let mut moments = vec![Moment { nanos: 1, ..Moment::default() }; room];
        moments.clear();
        let track = Track { moments, room, stride: 1, pending: Moment::default(), merged: 0 };
        Self { began: Instant::now(), track: Mutex::new(track) }
    }

    /// Notes what is in use and held now, in bytes.
    pub fn note(&self, in_use: usize, held: usize) {
        let nanos = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.track().add(Moment { nanos, in_use, least_in_use: in_use, held });
    }

    /// The moments so far, in order.
    pub fn moments(&self) -> Vec<Moment> {
        let track = self.track();
        let mut moments = track.moments.clone();
        if track.merged > 0 {
            match moments.last_mut() {
                Some(last) if track.moments.len() == track.room => *last = merge(*last, track.pending),
                _ => moments.push(track.pending),
            }
        }
        moments
    }

    fn track(&self) -> MutexGuard<'_, Track> {
        self.track.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two neighbours as one: the later time, the extremes.
fn merge(earlier: Moment, later: Moment) -> Moment {
    Moment {
        nanos: later.nanos,
        in_use: earlier.in_use.max(later.in_use),
        least_in_use: earlier.least_in_use.min(later.least_in_use),
        held: earlier.held.max(later.held),
    }
}

impl Track {
    fn add(&mut self, moment: Moment) {
        self.pending = if self.merged == 0 { moment } else { merge(self.pending, moment) };
        self.merged += 1;
        if self.merged < self.stride {
            return;
        }
        if self.moments.len() == self.room {
            self.halve();
            if self.merged < self.stride {
                return;
            }
        }
        self.moments.push(self.pending);
        self.merged = 0;
    }

    fn halve(&mut self) {
        let kept = self.moments.len().div_ceil(2);
        for at in 0..kept {
            let first = self.moments[2 * at];
            self.moments[at] = self.moments.get(2 * at + 1).map_or(first, |&second| merge(first, second));
        }
        self.moments.truncate(kept);
        self.stride = self.stride.saturating_mul(2);
    }
}

impl Sink for Timeline {
    fn record(&self, event: &Event) {
        self.note(event.in_use, event.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_room_is_never_passed_and_the_peak_never_lost(
            room in 2usize..40,
            sizes in proptest::collection::vec(0usize..1_000_000, 1..2000),
        ) {
            let timeline = Timeline::new(room);
            for &size in &sizes {
                timeline.note(size, size + 1);
            }
            let moments = timeline.moments();
            prop_assert!(!moments.is_empty() && moments.len() <= room);
            prop_assert!(moments.is_sorted_by_key(|moment| moment.nanos));
            let peak = moments.iter().map(|moment| moment.held).max();
            prop_assert_eq!(peak, sizes.iter().map(|size| size + 1).max());
            let least = moments.iter().map(|moment| moment.least_in_use).min();
            prop_assert_eq!(least, sizes.iter().copied().min());
        }
    }
}
