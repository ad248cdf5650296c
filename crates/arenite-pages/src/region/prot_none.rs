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
#[repr(C)] // `any` first: it is what a commit reads
pub(crate) struct Closed {
    any: AtomicBool,
    ranges: Mutex<Vec<Range<usize>>>,
}

/// The ranges, with room for one change: whoever changes what the kernel has, has it before, so that nothing is done by half.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    any: &'a AtomicBool,
    ranges: MutexGuard<'a, Vec<Range<usize>>>,
}

impl Closed {
    fn lock(&self) -> MutexGuard<'_, Vec<Range<usize>>> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are any.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// The ranges, to add one or to take one out.
    ///
    /// # Errors
    /// There is no memory for a longer list.
    pub(crate) fn change(&self) -> Result<Change<'_>, TryReserveError> {
        let mut ranges = self.lock();
        // one that is split, and one that is added
        ranges.try_reserve(2)?;
        Ok(Change { any: &self.any, ranges })
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

impl Change<'_> {
    /// Adds a range.
    pub(crate) fn add(mut self, range: Range<usize>) {
        self.cut_out(&range);
        let at = self.ranges.partition_point(|other| other.start < range.start);
        self.ranges.insert(at, range);
        self.any.store(true, Relaxed);
    }

    /// Takes a range out, splitting one that it lies in.
    pub(crate) fn remove(mut self, gone: &Range<usize>) {
        self.cut_out(gone);
        self.any.store(!self.ranges.is_empty(), Relaxed);
    }

    fn cut_out(&mut self, gone: &Range<usize>) {
        let ranges = &mut *self.ranges;
        let mut first = ranges.partition_point(|range| range.end <= gone.start);
        if let Some(range) = ranges.get_mut(first).filter(|range| range.start < gone.start) {
            let behind = gone.end..range.end;
            range.end = gone.start;
            first += 1;
            if behind.start < behind.end {
                ranges.insert(first, behind);
            }
        }
        let within = ranges[first..].partition_point(|range| range.end <= gone.end);
        ranges.drain(first..first + within);
        if let Some(range) = ranges.get_mut(first) {
            range.start = range.start.max(gone.end);
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
                let (change, range) = (closed.change().unwrap(), start..start + len);
                if add { change.add(range) } else { change.remove(&range) }
                model[start..start + len].fill(add);
            }
            let mut at = 0;
            while at < 60 {
                let (is, end) = closed.stretch(at, 60);
                prop_assert!(end > at && model[at..end].iter().all(|&model| model == is));
                at = end;
            }
            prop_assert_eq!(closed.any(), model.contains(&true));
        }
    }
}
