//! How far apart two threads are: the time that a cache line takes there and back.
//!
//! Rests on atomics. A virtual machine's processors are moved about by its host: for seconds they may share a core, then a
//! cache, then nothing. What two threads hand each other costs ten times more in the last case than in the first, so
//! figures of different distances do not belong in one median.

use std::fmt;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Trips there and back, after as many that do not count.
const TRIPS: u32 = 100;

/// A cache line, with the one that the processor fetches along with it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicU32);

impl Line {
    /// Spins until `trip` is here; lets others run where the two threads share a processor.
    fn await_trip(&self, trip: u32) {
        let mut spins = 0u32;
        while self.0.load(Ordering::Acquire) != trip {
            spins += 1;
            if spins.is_multiple_of(1000) {
                std::thread::yield_now();
            }
            spin_loop();
        }
    }
}

/// What lies between two threads.
#[derive(Debug, Default)]
pub(crate) struct Between {
    there: Line,
    back: Line,
}

impl Between {
    /// Measures the way, while another thread is in [`answer`](Self::answer).
    pub(crate) fn ask(&self) -> Duration {
        let mut began = Instant::now();
        for trip in 1..=2 * TRIPS {
            if trip == TRIPS + 1 {
                began = Instant::now();
            }
            self.there.0.store(trip, Ordering::Release);
            self.back.await_trip(trip);
        }
        began.elapsed() / TRIPS
    }

    pub(crate) fn answer(&self) {
        for trip in 1..=2 * TRIPS {
            self.there.await_trip(trip);
            self.back.0.store(trip, Ordering::Release);
        }
    }
}

/// A class of distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distance {
    /// Below 85 ns: two threads of one core, by all that is known of such times.
    Core,
    /// Below 250 ns: two cores of one cache.
    Near,
    /// All above.
    Far,
}

impl Distance {
    pub(crate) const ALL: [Self; 3] = [Self::Core, Self::Near, Self::Far];

    pub(crate) fn of(way: Duration) -> Self {
        match way.as_nanos() {
            0..85 => Self::Core,
            85..250 => Self::Near,
            _ => Self::Far,
        }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Core => "one core",
            Self::Near => "near",
            Self::Far => "far",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_is_measured_and_classified() {
        let between = Between::default();
        let way = std::thread::scope(|scope| {
            scope.spawn(|| between.answer());
            between.ask()
        });
        assert!(!way.is_zero());
        assert!(Distance::ALL.contains(&Distance::of(way)));
        assert_eq!(Distance::of(Duration::from_nanos(84)), Distance::Core);
        assert_eq!(Distance::of(Duration::from_nanos(120)), Distance::Near);
        assert_eq!(Distance::of(Duration::from_micros(3)), Distance::Far);
    }
}
