//! The distance of two threads' cores: the round-trip time of a cache line.
//!
//! The host of a virtual machine moves its processors: two may share a core for seconds, then a
//! cache, then nothing. Communication costs ten times more in the last case than in the first, so
//! rounds of different distances do not belong in one median.

use std::fmt;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Number of measured round trips, after as many warm-up trips.
const TRIPS: u32 = 100;

/// A cache line and its neighbour, which the processor prefetches with it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct CacheLine(AtomicU32);

impl CacheLine {
    /// Spins until `trip` arrives; yields in between, in case both threads share a processor.
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

/// Two cache lines that two threads use to measure their distance.
#[derive(Debug, Default)]
pub(crate) struct CoreLink {
    request: CacheLine,
    reply: CacheLine,
}

impl CoreLink {
    /// Measures the round-trip time while another thread is in [`echo`](Self::echo).
    pub(crate) fn measure(&self) -> Duration {
        let mut began = Instant::now();
        for trip in 1..=2 * TRIPS {
            if trip == TRIPS + 1 {
                began = Instant::now();
            }
            self.request.0.store(trip, Ordering::Release);
            self.reply.await_trip(trip);
        }
        began.elapsed() / TRIPS
    }

    pub(crate) fn echo(&self) {
        for trip in 1..=2 * TRIPS {
            self.request.await_trip(trip);
            self.reply.0.store(trip, Ordering::Release);
        }
    }
}

/// A class of core distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CoreDistance {
    /// Below 85 ns: most likely two threads of one core.
    Core,
    /// Below 250 ns: two cores that share a cache.
    Near,
    /// Above: no shared cache.
    Far,
}

impl CoreDistance {
    pub(crate) const ALL: [Self; 3] = [Self::Core, Self::Near, Self::Far];

    pub(crate) fn of(round_trip: Duration) -> Self {
        match round_trip.as_nanos() {
            0..85 => Self::Core,
            85..250 => Self::Near,
            _ => Self::Far,
        }
    }
}

impl fmt::Display for CoreDistance {
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
        let link = CoreLink::default();
        let round_trip = std::thread::scope(|scope| {
            scope.spawn(|| link.echo());
            link.measure()
        });
        assert!(!round_trip.is_zero());
        assert!(CoreDistance::ALL.contains(&CoreDistance::of(round_trip)));
        assert_eq!(CoreDistance::of(Duration::from_nanos(84)), CoreDistance::Core);
        assert_eq!(CoreDistance::of(Duration::from_nanos(120)), CoreDistance::Near);
        assert_eq!(CoreDistance::of(Duration::from_micros(3)), CoreDistance::Far);
    }
}
