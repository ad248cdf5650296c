//! A round of several threads that work on one shared object.
//!
//! Threads are spawned outside the measured time and start together at a spinning barrier, so that
//! they overlap. CPU time is each thread's own.

use crate::competitor::warm_up_turns;
use crate::core_distance::CoreLink;
use crate::failure::AllocFailed;
use crate::measurement::{Measurement, Stopwatch};
use crate::tally;
use std::hint::black_box;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Runs `body` with each of `handles` on its own thread.
///
/// The measurement has the mean of the CPU times, the wall time from the first start to the last
/// end, and the sum of the faults. With two threads it also has their round-trip time.
pub(crate) fn threaded_round<H: Send>(
    handles: Vec<H>,
    turns: u64,
    body: impl Fn(&mut H, u64) -> Result<(), AllocFailed> + Sync,
) -> Result<Measurement, AllocFailed> {
    measure_round(handles, |handle| body(handle, warm_up_turns(turns)), |handle| body(handle, turns))
}

/// Maximum number of turns that a thread claims at once, and the minimum number of portions for
/// short work.
const MAX_PORTION: u64 = 8192;
const MIN_PORTIONS: u64 = 16;

/// Runs `body` on threads that share the work: `turns` turns each on average, more on a faster
/// thread.
///
/// All threads end together, so the wall time measures the work and not the slowest processor.
pub(crate) fn shared_round<H: Send>(
    handles: Vec<H>,
    turns: u64,
    body: impl Fn(&mut H, u64) -> Result<(), AllocFailed> + Sync,
) -> Result<Measurement, AllocFailed> {
    let started = AtomicU64::new(0);
    let all = turns * handles.len() as u64;
    let portion = all.div_ceil(MIN_PORTIONS).clamp(1, MAX_PORTION);
    let portions = |handle: &mut H| loop {
        let from = started.fetch_add(portion, Ordering::Relaxed);
        if from >= all {
            return Ok(());
        }
        body(handle, portion.min(all - from))?;
    };
    measure_round(handles, |handle| body(handle, warm_up_turns(turns)), portions)
}

/// Runs `warm`, a barrier and the measured `work` on one thread per handle.
fn measure_round<H: Send>(
    handles: Vec<H>,
    warm: impl Fn(&mut H) -> Result<(), AllocFailed> + Sync,
    work: impl Fn(&mut H) -> Result<(), AllocFailed> + Sync,
) -> Result<Measurement, AllocFailed> {
    let count = handles.len();
    let (ready, link) = (&AtomicUsize::new(0), &CoreLink::default());
    let (warm, work) = (&warm, &work);
    let results: Vec<Result<ThreadResult, AllocFailed>> = std::thread::scope(|scope| {
        let threads: Vec<_> = handles
            .into_iter()
            .enumerate()
            .map(|(index, mut handle)| {
                scope.spawn(move || {
                    let round_trip = if count == 2 { measure_distance(link, index) } else { None };
                    let warmed = warm(&mut handle);
                    wait_for_all(ready, count);
                    warmed?;
                    let before = Stopwatch::start();
                    work(&mut handle)?;
                    let measurement = Measurement { round_trip, ..before.elapsed() };
                    Ok(ThreadResult {
                        began: before.started(),
                        ended: before.started() + measurement.wall,
                        measurement,
                        work: tally::reset(),
                    })
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|cause| resume_unwind(cause))).collect()
    });
    results.into_iter().collect::<Result<Vec<ThreadResult>, AllocFailed>>().map(|results| combine(&results))
}

/// Number of alternations between one thread and both, per round.
const SLICES: u64 = 16;

/// Runs `body` on two threads, alternately on one alone and on both at once.
///
/// In each of 16 slices one thread works alone while the other multiplies numbers; then both work.
/// The slices alternate, so a clock change or a moved thread affects both phases alike. The
/// waiting thread must not use `pause`, which would speed up the other's clock.
///
/// The measurement has the mean CPU and wall times of `turns` turns at once, and of as many turns
/// alone.
pub(crate) fn alternating_round<H: Send>(
    handles: [H; 2],
    turns: u64,
    body: impl Fn(&mut H, u64) -> Result<(), AllocFailed> + Sync,
) -> Result<Measurement, AllocFailed> {
    let barrier = &SpinBarrier::default();
    let (slice, body) = (turns.div_ceil(SLICES), &body);
    let results: Vec<Result<(Measurement, tally::Tally), AllocFailed>> = std::thread::scope(|scope| {
        let threads = [0, 1].into_iter().zip(handles).map(|(index, mut handle)| {
            scope.spawn(move || {
                // A thread that fails releases the other from the barrier.
                let _close = CloseOnDrop(barrier);
                body(&mut handle, warm_up_turns(turns))?;
                let mut sum = Measurement::default();
                for number in 0..SLICES {
                    barrier.wait();
                    if number % 2 == index {
                        // The stopwatch is the same as for the concurrent phase, because it takes
                        // some time too.
                        let before = Stopwatch::start();
                        body(&mut handle, slice)?;
                        // Each thread has half of the slices alone.
                        sum.alone += 2 * before.elapsed().wall;
                    }
                    barrier.wait();
                    let before = Stopwatch::start();
                    body(&mut handle, slice)?;
                    let both = before.elapsed();
                    sum.cpu += both.cpu;
                    sum.wall += both.wall;
                    sum.faults += both.faults;
                }
                Ok((sum, tally::reset()))
            })
        });
        let threads: Vec<_> = threads.collect();
        let joined = |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join();
        threads
            .into_iter()
            .map(|thread| joined(thread).unwrap_or_else(|cause| resume_unwind(cause)))
            .collect()
    });
    let mut all = Measurement::default();
    for result in results {
        let (measurement, work) = result?;
        tally::add(work);
        all.cpu += measurement.cpu / 2;
        all.wall += measurement.wall / 2;
        all.alone += measurement.alone / 2;
        all.faults += measurement.faults;
    }
    Ok(all)
}

/// A barrier for two threads, which multiply numbers while they wait.
#[derive(Debug, Default)]
struct SpinBarrier {
    arrivals: AtomicUsize,
    closed: AtomicBool,
}

impl SpinBarrier {
    fn wait(&self) {
        // The second arrival finds an odd number.
        let next = (self.arrivals.fetch_add(1, Ordering::AcqRel) | 1) + 1;
        let mut lanes = [1_u64, 2, 3, 4];
        while self.arrivals.load(Ordering::Acquire) < next && !self.closed.load(Ordering::Acquire) {
            for _ in 0..8 {
                let step = |lane: u64| lane.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                lanes = black_box(lanes.map(step));
            }
        }
    }
}

/// A guard that closes the barrier when its thread ends, however it ends.
struct CloseOnDrop<'a>(&'a SpinBarrier);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Release);
    }
}

/// The result of one thread.
struct ThreadResult {
    began: Instant,
    ended: Instant,
    measurement: Measurement,
    work: tally::Tally,
}

/// Measures the distance on the first of two threads; the second echoes.
fn measure_distance(link: &CoreLink, index: usize) -> Option<Duration> {
    if index == 0 {
        return Some(link.measure());
    }
    link.echo();
    None
}

/// Waits until `count` threads have arrived.
fn wait_for_all(ready: &AtomicUsize, count: usize) {
    ready.fetch_add(1, Ordering::AcqRel);
    let mut spins = 0u32;
    while ready.load(Ordering::Acquire) < count {
        spins += 1;
        if spins.is_multiple_of(1000) {
            std::thread::yield_now();
        }
        std::hint::spin_loop();
    }
}

fn combine(results: &[ThreadResult]) -> Measurement {
    for result in results {
        tally::add(result.work);
    }
    let count = u32::try_from(results.len()).unwrap_or(1).max(1);
    let began = results.iter().map(|result| result.began).min();
    let ended = results.iter().map(|result| result.ended).max();
    Measurement {
        cpu: results.iter().map(|result| result.measurement.cpu).sum::<Duration>() / count,
        wall: began.zip(ended).map_or_else(Default::default, |(began, ended)| ended - began),
        faults: results.iter().map(|result| result.measurement.faults).sum(),
        bytes: 0,
        alone: Duration::ZERO,
        round_trip: results.iter().find_map(|result| result.measurement.round_trip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_work_is_done_once() {
        for turns in [1, 7, 1000, 100_000] {
            let (done, calls) = (AtomicU64::new(0), AtomicU64::new(0));
            let count = |_: &mut (), turns: u64| {
                done.fetch_add(turns, Ordering::Relaxed);
                calls.fetch_add(1, Ordering::Relaxed);
                Ok(())
            };
            let measurement = shared_round(vec![(); 3], turns, count).unwrap();
            // The sum of the warm-up and the measured work.
            assert_eq!(done.into_inner(), 3 * warm_up_turns(turns) + 3 * turns);
            assert!((4..=3 + 3 * turns.div_ceil(1000).max(16)).contains(&calls.into_inner()));
            assert!(measurement.round_trip.is_none());
        }
    }

    #[test]
    fn alternating_round_measures_both_phases_and_ends_when_one_thread_fails() {
        let (done, at_once, lonely) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let count = |_: &mut (), turns: u64| {
            let before = at_once.fetch_add(1, Ordering::AcqRel);
            done.fetch_add(turns, Ordering::Relaxed);
            std::thread::sleep(Duration::from_micros(500));
            let after = at_once.fetch_sub(1, Ordering::AcqRel);
            if (before, after) == (0, 1) {
                lonely.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let measurement = alternating_round([(), ()], 160, count).unwrap();
        // Each thread runs the warm-up, half of the slices alone, and all slices at once.
        assert_eq!(done.into_inner(), 2 * (warm_up_turns(160) + 80 + 160));
        // Two concurrent calls of the 50 overlap unless one is delayed longer than the other
        // sleeps.
        assert!((16..50).contains(&lonely.into_inner()), "half of the slices of each thread run alone");
        let slept = Duration::from_micros(500) * 16;
        assert!(measurement.wall >= slept && measurement.alone >= slept, "{measurement:?}");
        assert!(alternating_round([(), ()], 8, |(), _| Err(AllocFailed)).is_err());
        let calls = AtomicUsize::new(0);
        let second_fails = |(): &mut (), _| {
            if calls.fetch_add(1, Ordering::Relaxed) > 5 { Err(AllocFailed) } else { Ok(()) }
        };
        assert!(alternating_round([(), ()], 8, second_fails).is_err(), "the other thread stops waiting");
        let panics =
            std::panic::catch_unwind(|| alternating_round([(), ()], 8, |(), _| panic!("a panicking body")));
        assert!(panics.is_err());
    }
}
