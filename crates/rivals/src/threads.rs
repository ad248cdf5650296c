//! A round of several threads that work on one shared thing.
//!
//! Rests on [`Stamp`]. Threads are spawned outside the measured time and meet at a spinning barrier, so that they overlap; CPU
//! time is each thread's own.

use crate::competitor::unmeasured;
use crate::core_distance::Between;
use crate::failure::Refused;
use crate::measurement::{Reading, Stamp};
use crate::tally;
use std::hint::black_box;
use std::panic::resume_unwind;
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
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|cause| resume_unwind(cause))).collect()
    });
    parts.into_iter().collect::<Result<Vec<Part>, Refused>>().map(|parts| together(&parts))
}

/// How often two threads go from working alone to working at once, in one round.
const SLICES: u64 = 16;

/// Runs `body` on two threads, by turns on one alone and on both at once: a slice of the work on one, while the other multiplies numbers;
/// then one on both; then one on the other alone. A slice is a sixteenth of a round, and what is alone lies between what is at once: a
/// clock that changes, or a thread that is moved, mostly changes both. A thread that waited in `pause` would leave the other a faster clock.
///
/// The reading has the mean of the threads' CPU and wall times of `turns` turns at once, and of as many alone.
pub(crate) fn by_turns<H: Send>(
    handles: [H; 2],
    turns: u64,
    body: impl Fn(&mut H, u64) -> Result<(), Refused> + Sync,
) -> Result<Reading, Refused> {
    let meeting = &Meeting::default();
    let (slice, body) = (turns.div_ceil(SLICES), &body);
    let parts: Vec<Result<(Reading, tally::Tally), Refused>> = std::thread::scope(|scope| {
        let threads = [0, 1].into_iter().zip(handles).map(|(index, mut handle)| {
            scope.spawn(move || {
                // who ends early lets the other go on
                let _left = Left(meeting);
                body(&mut handle, unmeasured(turns))?;
                let mut sum = Reading::default();
                for number in 0..SLICES {
                    meeting.meet();
                    if number % 2 == index {
                        // read in the same way as what is done at once, which takes some time, too
                        let before = Stamp::now();
                        body(&mut handle, slice)?;
                        // each has half of the slices to itself
                        sum.alone += 2 * before.elapsed().wall;
                    }
                    meeting.meet();
                    let before = Stamp::now();
                    body(&mut handle, slice)?;
                    let both = before.elapsed();
                    sum.cpu += both.cpu;
                    sum.wall += both.wall;
                    sum.faults += both.faults;
                }
                Ok((sum, tally::take()))
            })
        });
        let threads: Vec<_> = threads.collect();
        let joined = |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join();
        threads
            .into_iter()
            .map(|thread| joined(thread).unwrap_or_else(|cause| resume_unwind(cause)))
            .collect()
    });
    let mut all = Reading::default();
    for part in parts {
        let (reading, work) = part?;
        tally::add(work);
        all.cpu += reading.cpu / 2;
        all.wall += reading.wall / 2;
        all.alone += reading.alone / 2;
        all.faults += reading.faults;
    }
    Ok(all)
}

/// Where two threads wait for each other, again and again, and multiply numbers meanwhile.
#[derive(Debug, Default)]
struct Meeting {
    came: AtomicUsize,
    left: AtomicBool,
}

impl Meeting {
    fn meet(&self) {
        // the second to come finds an odd number
        let next = (self.came.fetch_add(1, Ordering::AcqRel) | 1) + 1;
        let mut lanes = [1_u64, 2, 3, 4];
        while self.came.load(Ordering::Acquire) < next && !self.left.load(Ordering::Acquire) {
            for _ in 0..8 {
                let step = |lane: u64| lane.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                lanes = black_box(lanes.map(step));
            }
        }
    }
}

/// Tells who waits that nobody comes any more, however the other's work ended.
struct Left<'a>(&'a Meeting);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.left.store(true, Ordering::Release);
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
        alone: Duration::ZERO,
        apart: parts.iter().find_map(|part| part.reading.apart),
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
            let reading = shared_round(vec![(); 3], turns, count).unwrap();
            // what was not measured, and the work
            assert_eq!(done.into_inner(), 3 * unmeasured(turns) + 3 * turns);
            assert!((4..=3 + 3 * turns.div_ceil(1000).max(16)).contains(&calls.into_inner()));
            assert!(reading.apart.is_none());
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
        let reading = by_turns([(), ()], 160, count).unwrap();
        // warm, half of the slices alone and all at once, on each
        assert_eq!(done.into_inner(), 2 * (unmeasured(160) + 80 + 160));
        // of 50; two that are at once see one another, if neither is held up for longer than the other sleeps
        assert!((16..50).contains(&lonely.into_inner()), "half of the slices of each are alone, and not all");
        let slept = Duration::from_micros(500) * 16;
        assert!(reading.wall >= slept && reading.alone >= slept, "{reading:?}");
        assert!(by_turns([(), ()], 8, |(), _| Err(Refused)).is_err());
        let calls = AtomicUsize::new(0);
        let second_fails = |(): &mut (), _| {
            if calls.fetch_add(1, Ordering::Relaxed) > 5 { Err(Refused) } else { Ok(()) }
        };
        assert!(by_turns([(), ()], 8, second_fails).is_err(), "and no thread waits for ever");
        let panics = std::panic::catch_unwind(|| by_turns([(), ()], 8, |(), _| panic!("as a body may")));
        assert!(panics.is_err());
    }
}
