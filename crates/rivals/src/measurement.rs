//! A point in a thread's time, and what passed since: CPU time, wall time, page faults.
//!
//! Rests on `clock_gettime` and on what `arenite-pages` reads of the kernel's counts. CPU time of the thread, because it does not grow while others run.

use arenite_pages::thread_faults;
use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    /// CPU time that this thread spent on what is not measured.
    static APART: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Does something whose CPU time is in no reading: what all contestants of a case do alike, and some sleep in. Two calls to the system.
pub(crate) fn unread<A>(work: impl FnOnce() -> A) -> A {
    let before = thread_cpu();
    let answer = work();
    APART.set(APART.get() + thread_cpu().saturating_sub(before));
    answer
}

/// What a stretch of work took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// CPU time of the thread (of the average thread, where there are several).
    pub(crate) cpu: Duration,
    /// Wall time.
    pub(crate) wall: Duration,
    /// Page faults that needed no reading from a disk.
    pub(crate) faults: u64,
    /// Bytes of memory, where those are counted.
    pub(crate) bytes: u64,
    /// Wall time of the same work where each thread did it alone, where both was measured by turns.
    pub(crate) alone: Duration,
    /// A cache line's way there and back, where there are two threads.
    pub(crate) apart: Option<Duration>,
}

/// The start of a stretch of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    cpu: Duration,
    apart: Duration,
    wall: Instant,
    faults: u64,
}

impl Stamp {
    /// Now, on this thread.
    pub(crate) fn now() -> Self {
        let (faults, wall) = (faults(), Instant::now());
        Self { cpu: thread_cpu(), apart: APART.get(), wall, faults }
    }

    /// When the stretch began.
    pub(crate) fn wall(&self) -> Instant {
        self.wall
    }

    /// What passed since, on the same thread.
    pub(crate) fn elapsed(&self) -> Reading {
        let cpu = thread_cpu().saturating_sub(self.cpu);
        Reading {
            cpu: cpu.saturating_sub(APART.get().saturating_sub(self.apart)),
            wall: self.wall.elapsed(),
            faults: faults().saturating_sub(self.faults),
            bytes: 0,
            alone: Duration::ZERO,
            apart: None,
        }
    }
}

/// The CPU time of this thread.
fn thread_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// The page faults of this thread so far; 0 if the kernel does not tell.
fn faults() -> u64 {
    thread_faults().map_or(0, |faults| faults.minor)
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
        let (before, all) = (Stamp::now(), thread_cpu());
        unread(|| spin(Duration::from_millis(50)));
        spin(Duration::from_millis(5));
        let (cpu, all) = (before.elapsed().cpu, thread_cpu() - all);
        assert!(
            cpu >= Duration::from_millis(5) && cpu <= all - Duration::from_millis(50),
            "{cpu:?} of {all:?}"
        );
    }

    #[test]
    fn page_faults_of_fresh_memory_are_counted() {
        let before = Stamp::now();
        let room = std::hint::black_box(vec![1u8; 64 << 20]);
        let reading = before.elapsed();
        assert!(reading.faults > 0 && !reading.cpu.is_zero() && room.len() == 64 << 20);
    }
}
