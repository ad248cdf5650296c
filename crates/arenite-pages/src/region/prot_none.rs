//! The committed ranges of a region that are protected with `None`.
//!
//! The kernel shows reserved memory and committed memory without access alike. So this one fact
//! about a region is stored here, and only once such a range exists.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::collections::TryReserveError;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Byte ranges of a region, ascending and disjoint. Until the first insert it costs only one load.
#[derive(Debug, Default)]
#[repr(C)] // `nonempty` first: every commit reads it
pub(crate) struct ProtectedRanges {
    nonempty: AtomicBool,
    ranges: Mutex<Vec<Range<usize>>>,
}

/// The ranges, with capacity for one change. A change is begun before the kernel's protection
/// changes, so that it cannot fail afterwards.
#[derive(Debug)]
pub(crate) struct RangeChange<'a> {
    nonempty: &'a AtomicBool,
    ranges: MutexGuard<'a, Vec<Range<usize>>>,
}

impl ProtectedRanges {
    fn lock(&self) -> MutexGuard<'_, Vec<Range<usize>>> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether there is no range.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.nonempty.load(Relaxed)
    }

    /// Locks the ranges for an insert or a removal.
    ///
    /// # Errors
    /// There is no memory for a longer list.
    pub(crate) fn begin_change(&self) -> Result<RangeChange<'_>, TryReserveError> {
        let mut ranges = self.lock();
        // one for a split, and one for an insert
        ranges.try_reserve(2)?;
        Ok(RangeChange { nonempty: &self.nonempty, ranges })
    }

    /// Returns whether `at` lies in a range, and up to which offset, at most `end`, that holds.
    pub(crate) fn range_at(&self, at: usize, end: usize) -> (bool, usize) {
        let ranges = self.lock();
        match ranges.iter().find(|range| range.end > at) {
            Some(range) if range.start <= at => (true, range.end.min(end)),
            Some(range) => (false, range.start.min(end)),
            None => (false, end),
        }
    }
}

impl RangeChange<'_> {
    /// Inserts a range.
    pub(crate) fn insert(mut self, range: Range<usize>) {
        self.subtract(&range);
        let at = self.ranges.partition_point(|other| other.start < range.start);
        self.ranges.insert(at, range);
        self.nonempty.store(true, Relaxed);
    }

    /// Removes a range, splitting one that contains it.
    pub(crate) fn remove(mut self, removed: &Range<usize>) {
        self.subtract(removed);
        self.nonempty.store(!self.ranges.is_empty(), Relaxed);
    }

    fn subtract(&mut self, removed: &Range<usize>) {
        let ranges = &mut *self.ranges;
        let mut first = ranges.partition_point(|range| range.end <= removed.start);
        if let Some(range) = ranges.get_mut(first).filter(|range| range.start < removed.start) {
            let behind = removed.end..range.end;
            range.end = removed.start;
            first += 1;
            if behind.start < behind.end {
                ranges.insert(first, behind);
            }
        }
        let within = ranges[first..].partition_point(|range| range.end <= removed.end);
        ranges.drain(first..first + within);
        if let Some(range) = ranges.get_mut(first) {
            range.start = range.start.max(removed.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn n05_protected_ranges_equal_a_naive_set(steps in proptest::collection::vec((any::<bool>(), 0_usize..40, 1_usize..12), 0..30)) {
            let (protected, mut model) = (ProtectedRanges::default(), [false; 60]);
            for (add, start, len) in steps {
                let (change, range) = (protected.begin_change().unwrap(), start..start + len);
                if add { change.insert(range) } else { change.remove(&range) }
                model[start..start + len].fill(add);
            }
            let mut at = 0;
            while at < 60 {
                let (is, end) = protected.range_at(at, 60);
                prop_assert!(end > at && model[at..end].iter().all(|&model| model == is));
                at = end;
            }
            prop_assert_eq!(protected.is_empty(), !model.contains(&true));
        }
    }
}
