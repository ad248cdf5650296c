//! A throttle for scanning the full slabs of a class for remote frees.
//!
//! The heap counts, per class, the remote frees that made a slab's summary non-empty. If the
//! counter is unchanged since a thread scanned all of its full slabs, they usually have none. A
//! scan would fetch a cache line for each. Some are scanned now and then even so. A late poster
//! may notify the class that the slab had before; a poster that `fork` left behind never notifies.

use core::cell::Cell;

/// Maximum number of slabs scanned before a thread takes a new one.
const SCAN_BUDGET: u32 = 8;
/// Number of idle rounds after which some slabs are scanned even so.
const IDLE_ROUNDS: u32 = 16;

/// The throttle of one class. All fields are zero initially.
#[derive(Debug, Default)]
pub(crate) struct ScanThrottle {
    /// Remote-free counter of the class when the current scan began.
    seen_epoch: Cell<u32>,
    /// Slabs left to scan. A slab that becomes full meanwhile was scanned just then, as was one
    /// that is adopted full.
    remaining: Cell<u32>,
    /// Rounds without a new remote free.
    idle_rounds: Cell<u32>,
}

impl ScanThrottle {
    /// Returns how many of `full` slabs to scan next, least recently scanned first. `epoch` is the
    /// class's remote-free counter.
    pub(crate) fn budget(&self, epoch: u32, full: u32) -> u32 {
        if self.remaining.get() == 0 {
            if self.seen_epoch.replace(epoch) != epoch {
                self.remaining.set(full);
            } else {
                self.idle_rounds.set(self.idle_rounds.get().wrapping_add(1));
                if self.idle_rounds.get().is_multiple_of(IDLE_ROUNDS) {
                    self.remaining.set(full.min(SCAN_BUDGET));
                }
            }
        }
        self.remaining.get().min(SCAN_BUDGET)
    }

    /// Notes that one slab was scanned.
    pub(crate) fn note_scanned(&self) {
        self.remaining.set(self.remaining.get().saturating_sub(1));
    }

    /// Clears the scan: there are no full slabs any more.
    pub(crate) fn clear(&self) {
        self.remaining.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_scan_covers_all_slabs_after_a_notification_and_few_otherwise() {
        let throttle = ScanThrottle::default();
        let budget = |epoch, full| {
            let budget = throttle.budget(epoch, full);
            (0..budget).for_each(|_| throttle.note_scanned());
            budget
        };
        assert_eq!(throttle.budget(1, 20), 8);
        throttle.note_scanned();
        // the first slab had some: the scan continues with the others
        assert_eq!(budget(1, 19), 8);
        // a new epoch during a scan: all slabs are scanned once more afterwards
        assert_eq!((budget(2, 21), budget(2, 21)), (8, 3));
        assert_eq!((budget(2, 3), budget(2, 3)), (3, 0));
        let now_and_then: Vec<u32> = (0..32).map(|_| budget(2, 100)).collect();
        assert_eq!((now_and_then.iter().sum::<u32>(), now_and_then.iter().max()), (16, Some(&8)));
        throttle.budget(3, 100);
        throttle.clear();
        assert_eq!(throttle.budget(3, 0), 0);
    }
}
