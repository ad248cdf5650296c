//! A stopwatch for one thread: CPU time, wall time and page faults.
//!
//! CPU time is the thread's, because it does not grow while other threads run.

use arenite_pages::thread_page_faults;
use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    /// CPU time that this thread spent in [`unmeasured`].
    static UNMEASURED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Runs work whose CPU time is in no measurement: work that all competitors share, and in which
/// some sleep. Costs two system calls.
pub(crate) fn unmeasured<A>(work: impl FnOnce() -> A) -> A {
    let before = thread_cpu();
    let result = work();
    UNMEASURED.set(UNMEASURED.get() + thread_cpu().saturating_sub(before));
    result
}

/// The cost of an interval.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measurement {
    /// CPU time of the thread; the mean if there are several.
    pub(crate) cpu: Duration,
    /// Wall time of the interval.
    pub(crate) wall: Duration,
    /// Page faults without disk reads.
    pub(crate) faults: u64,
    /// Bytes of memory, if they are counted.
    pub(crate) bytes: u64,
    /// Wall time of the same work done by each thread alone, if both are measured in turns.
    pub(crate) alone: Duration,
    /// Round-trip time of a cache line, if there are two threads.
    pub(crate) round_trip: Option<Duration>,
}

/// The start of an interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    cpu: Duration,
    unmeasured: Duration,
    wall: Instant,
    faults: u64,
}

impl Stopwatch {
    /// Starts an interval on this thread.
    pub(crate) fn start() -> Self {
        let (faults, wall) = (faults(), Instant::now());
        Self { cpu: thread_cpu(), unmeasured: UNMEASURED.get(), wall, faults }
    }

    /// Returns the time at which the interval started.
    pub(crate) fn started(&self) -> Instant {
        self.wall
    }

    /// Returns the cost since the start; must run on the same thread.
    pub(crate) fn elapsed(&self) -> Measurement {
        let cpu = thread_cpu().saturating_sub(self.cpu);
        Measurement {
            cpu: cpu.saturating_sub(UNMEASURED.get().saturating_sub(self.unmeasured)),
            wall: self.wall.elapsed(),
            faults: faults().saturating_sub(self.faults),
            bytes: 0,
            alone: Duration::ZERO,
            round_trip: None,
        }
    }
}

/// Returns the CPU time of this thread.
fn thread_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Returns the page faults of this thread so far; 0 if the kernel does not report them.
fn faults() -> u64 {
    thread_page_faults().map_or(0, |faults| faults.minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excluded_work_is_not_measured() {
        let spin = |time: Duration| {
            let before = thread_cpu();
            while thread_cpu() - before < time {}
        };
        let (before, all) = (Stopwatch::start(), thread_cpu());
        unmeasured(|| spin(Duration::from_millis(50)));
        spin(Duration::from_millis(5));
        let (cpu, all) = (before.elapsed().cpu, thread_cpu() - all);
        assert!(
            cpu >= Duration::from_millis(5) && cpu <= all - Duration::from_millis(50),
            "{cpu:?} of {all:?}"
        );
    }

    #[test]
    fn page_faults_of_fresh_memory_are_counted() {
        let before = Stopwatch::start();
        let memory = std::hint::black_box(vec![1u8; 64 << 20]);
        let measurement = before.elapsed();
        assert!(measurement.faults > 0 && !measurement.cpu.is_zero() && memory.len() == 64 << 20);
    }
}
