//! Which committed parts of a region are protected with `None`.
//!
//! Rests on nothing. The kernel shows memory that is reserved and memory that is committed but closed alike; this is the
//! one thing about a region that it cannot be asked, so it alone is remembered, and only once somebody closes something.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Byte ranges of a region, ascending and apart. Empty, and without a cost but one load, until the first is added.
#[derive(Debug, Default)]
#[repr(C)] // `any` first: it is what a commit reads
pub(crate) struct Closed {
    any: AtomicBool,
    ranges: Mutex<Vec<Range<usize>>>,
}

impl Closed {
    fn lock(&self) -> MutexGuard<'_, Vec<Range<usize>>> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a range.
    pub(crate) fn add(&self, range: Range<usize>) {
        self.remove(range.clone());
        let mut ranges = self.lock();
        let at = ranges.partition_point(|other| other.start < range.start);
        ranges.insert(at, range);
        self.any.store(true, Relaxed);
    }

    /// Takes a range out, splitting those that it cuts.
    #[inline]
    pub(crate) fn remove(&self, gone: Range<usize>) {
        if self.any.load(Relaxed) {
            self.cut_out(gone);
        }
    }

    #[cold]
    fn cut_out(&self, gone: Range<usize>) {
        let mut ranges = self.lock();
        let cut = |range: Range<usize>| {
            let (before, after) =
                (range.start..range.end.min(gone.start), range.start.max(gone.end)..range.end);
            [before, after].into_iter().filter(|part| part.start < part.end)
        };
        *ranges = ranges.drain(..).flat_map(cut).collect();
        self.any.store(!ranges.is_empty(), Relaxed);
    }

    /// Whether `at` is closed, and the end of the stretch, at most `end`, in which that holds.
    pub(crate) fn stretch(&self, at: usize, end: usize) -> (bool, usize) {
        let ranges = self.lock();
        match ranges.iter().find(|range| range.end > at) {
            Some(range) if range.start <= at => (true, range.end.min(end)),
            Some(range) => (false, range.start.min(end)),
            None => (false, end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn n05_closed_ranges_equal_a_naive_set(steps in proptest::collection::vec((any::<bool>(), 0_usize..40, 1_usize..12), 0..30)) {
            let (closed, mut model) = (Closed::default(), [false; 60]);
            for (add, start, len) in steps {
                if add { closed.add(start..start + len) } else { closed.remove(start..start + len) }
                model[start..start + len].fill(add);
            }
            let mut at = 0;
            while at < 60 {
                let (is, end) = closed.stretch(at, 60);
                prop_assert!(end > at && model[at..end].iter().all(|&model| model == is));
                at = end;
            }
        }
    }
}
