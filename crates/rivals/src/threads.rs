//! A round of several threads that work on one shared thing.
//!
//! Rests on [`Stamp`]. Threads are spawned outside the measured time and meet at a spinning barrier, so that they overlap; CPU
//! time is each thread's own.

use crate::contestant::unmeasured;
use crate::distance::Between;
use crate::failure::Refused;
use crate::stamp::{Reading, Stamp};
use crate::tally;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Runs `body` with each of `handles` on a thread of its own. The reading has the mean of the threads' CPU times, the wall
/// time from the first start to the last end, the sum of the faults, and how far apart the threads were if they are two.
pub(crate) fn round<H: Send>(
    handles: Vec<H>,
    turns: u64,
    body: impl Fn(&mut H, u64) -> Result<(), Refused> + Sync,
) -> Result<Reading, Refused> {
    met(handles, |handle| body(handle, unmeasured(turns)), |handle| body(handle, turns))
}

/// How many turns a thread takes at once of the work that several do together, at the most and of short work.
const PORTION: u64 = 8192;
const PORTIONS: u64 = 16;

/// As [`round`], but the threads do `turns` each on average: who is faster does more, so that they end together, and the
/// wall time tells what all of them did and not how long the slowest processor took.
pub(crate) fn shared_round<H: Send>(
    handles: Vec<H>,
    turns: u64,
    body: impl Fn(&mut H, u64) -> Result<(), Refused> + Sync,
) -> Result<Reading, Refused> {
    let taken = AtomicU64::new(0);
    let all = turns * handles.len() as u64;
    let portion = all.div_ceil(PORTIONS).clamp(1, PORTION);
    let portions = |handle: &mut H| loop {
        let from = taken.fetch_add(portion, Ordering::Relaxed);
        if from >= all {
            return Ok(());
        }
        body(handle, portion.min(all - from))?;
    };
    met(handles, |handle| body(handle, unmeasured(turns)), portions)
}

/// One thread for each of `handles`; all do `warm`, meet, and do `work`, which is measured.
fn met<H: Send>(
    handles: Vec<H>,
    warm: impl Fn(&mut H) -> Result<(), Refused> + Sync,
    work: impl Fn(&mut H) -> Result<(), Refused> + Sync,
) -> Result<Reading, Refused> {
    let count = handles.len();
    let (ready, between) = (&AtomicUsize::new(0), &Between::default());
    let (warm, work) = (&warm, &work);
    let parts: Vec<Result<Part, Refused>> = std::thread::scope(|scope| {
        let threads: Vec<_> = handles
            .into_iter()
            .enumerate()
            .map(|(index, mut handle)| {
                scope.spawn(move || {
                    let apart = if count == 2 { measure(between, index) } else { None };
                    let warmed = warm(&mut handle);
                    meet(ready, count);
                    warmed?;
                    let before = Stamp::now();
                    work(&mut handle)?;
                    let reading = Reading { apart, ..before.elapsed() };
                    Ok(Part {
                        began: before.wall(),
                        ended: before.wall() + reading.wall,
                        reading,
                        work: tally::take(),
                    })
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)))
            .collect()
    });
    parts.into_iter().collect::<Result<Vec<Part>, Refused>>().map(|parts| together(&parts))
}

/// Runs `body` on one thread while another multiplies numbers: what one thread takes where as many processors are busy as in a
/// round of two, so that the processors' clock is the same in both. A thread that waited in `pause` would leave this one more. It does the
/// work of both threads of such a round, one after the other, and the reading is of half of it.
pub(crate) fn beside<H: Send>(
    mut handle: H,
    turns: u64,
    body: impl Fn(&mut H, u64) -> Result<(), Refused> + Sync,
) -> Result<Reading, Refused> {
    let (ready, over, body) = (&AtomicUsize::new(0), &AtomicBool::new(false), &body);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            meet(ready, 2);
            let mut lanes = [1_u64, 2, 3, 4];
            while !over.load(Ordering::Acquire) {
                for _ in 0..100 {
                    lanes = black_box(
                        lanes.map(|lane| lane.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1)),
                    );
                }
            }
        });
        let worker = scope.spawn(move || {
            let _over = Over { over, ready };
            let warm = body(&mut handle, 2 * unmeasured(turns));
            meet(ready, 2);
            warm?;
            let before = Stamp::now();
            body(&mut handle, 2 * turns)?;
            let both = before.elapsed();
            Ok((Reading { cpu: both.cpu / 2, wall: both.wall / 2, ..both }, tally::take()))
        });
        let (reading, work) = worker.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))?;
        tally::add(work);
        Ok(reading)
    })
}

/// Tells a spinning thread that it may end, however the other's work ended: also where that one waits to be met.
struct Over<'a> {
    over: &'a AtomicBool,
    ready: &'a AtomicUsize,
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.ready.fetch_add(1, Ordering::AcqRel);
    }
}

/// What one thread did.
struct Part {
    began: Instant,
    ended: Instant,
    reading: Reading,
    work: tally::Tally,
}

/// The first of two threads measures, the other answers.
fn measure(between: &Between, index: usize) -> Option<Duration> {
    if index == 0 {
        return Some(between.ask());
    }
    between.answer();
    None
}

/// Waits until `count` threads are here.
fn meet(ready: &AtomicUsize, count: usize) {
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

fn together(parts: &[Part]) -> Reading {
    for part in parts {
        tally::add(part.work);
    }
    let count = u32::try_from(parts.len()).unwrap_or(1).max(1);
    let began = parts.iter().map(|part| part.began).min();
    let ended = parts.iter().map(|part| part.ended).max();
    Reading {
        cpu: parts.iter().map(|part| part.reading.cpu).sum::<Duration>() / count,
        wall: began.zip(ended).map_or_else(Default::default, |(began, ended)| ended - began),
        faults: parts.iter().map(|part| part.reading.faults).sum(),
        bytes: 0,
        apart: parts.iter().find_map(|part| part.reading.apart),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_work_is_done_once_whoever_does_it() {
        for turns in [1, 7, 1000, 100_000] {
            let (done, calls) = (AtomicU64::new(0), AtomicU64::new(0));
            let count = |_: &mut (), turns: u64| {
                done.fetch_add(turns, Ordering::Relaxed);
                calls.fetch_add(1, Ordering::Relaxed);
                Ok(())
            };
            let reading = shared_round(vec![(); 3], turns, count).unwrap();
            // what was not measured, and the work
            assert_eq!(done.into_inner(), 3 * unmeasured(turns) + 3 * turns);
            assert!((4..=3 + 3 * turns.div_ceil(1000).max(16)).contains(&calls.into_inner()));
            assert!(reading.apart.is_none());
        }
    }

    #[test]
    fn one_beside_other_work_ends_with_it() {
        let done = AtomicU64::new(0);
        let count = |more: &mut u64, turns: u64| {
            done.fetch_add(*more * turns, Ordering::Relaxed);
            Ok(())
        };
        assert!(beside(2, 800, count).unwrap().wall > Duration::ZERO);
        assert_eq!(done.into_inner(), 2 * 2 * (unmeasured(800) + 800));
        assert!(beside((), 8, |(), _| Err(Refused)).is_err());
        let panics = std::panic::catch_unwind(|| beside((), 8, |(), _| panic!("as a body may")));
        assert!(panics.is_err(), "and the spinning thread was not waited for");
    }
}
