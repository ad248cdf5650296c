//! Which committed parts of a region are protected with `None`.
//!
//! Rests on nothing. The kernel shows memory that is reserved and memory that is committed but closed alike; this is the
//! one thing about a region that it cannot be asked, so it alone is remembered, and only once somebody closes something.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::collections::TryReserveError;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Byte ranges of a region, ascending and apart. Empty, and without a cost but one load, until the first is added.
#[derive(Debug, Default)]
#[repr(C)] // `nonempty` first: it is what a commit reads
pub(crate) struct ProtectedRanges {
    nonempty: AtomicBool,
    ranges: Mutex<Vec<Range<usize>>>,
}

/// The ranges, with room for one change: whoever changes what the kernel has, has it before, so that nothing is done by half.
#[derive(Debug)]
pub(crate) struct RangeChange<'a> {
    nonempty: &'a AtomicBool,
    ranges: MutexGuard<'a, Vec<Range<usize>>>,
}

impl ProtectedRanges {
    fn lock(&self) -> MutexGuard<'_, Vec<Range<usize>>> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are any.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.nonempty.load(Relaxed)
    }

    /// The ranges, to add one or to take one out.
    ///
    /// # Errors
    /// There is no memory for a longer list.
    pub(crate) fn begin_change(&self) -> Result<RangeChange<'_>, TryReserveError> {
        let mut ranges = self.lock();
        // one that is split, and one that is added
        ranges.try_reserve(2)?;
        Ok(RangeChange { nonempty: &self.nonempty, ranges })
    }

    /// Whether `at` is closed, and the end of the stretch, at most `end`, in which that holds.
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
    /// Adds a range.
    pub(crate) fn insert(mut self, range: Range<usize>) {
        self.subtract(&range);
        let at = self.ranges.partition_point(|other| other.start < range.start);
        self.ranges.insert(at, range);
        self.nonempty.store(true, Relaxed);
    }

    /// Takes a range out, splitting one that it lies in.
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
        fn n05_closed_ranges_equal_a_naive_set(steps in proptest::collection::vec((any::<bool>(), 0_usize..40, 1_usize..12), 0..30)) {
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
