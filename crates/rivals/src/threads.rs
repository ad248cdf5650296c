//! A round of several threads that work on one shared thing.
//!
//! Rests on [`Stamp`]. Threads are spawned outside the measured time and meet at a spinning barrier, so that they overlap; CPU
//! time is each thread's own.

use crate::contestant::unmeasured;
use crate::distance::Between;
use crate::failure::Refused;
use crate::stamp::{Reading, Stamp};
use crate::tally;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Runs `body` with each of `handles` on a thread of its own. The reading has the mean of the threads' CPU times, the wall
/// time from the first start to the last end, the sum of the faults, and how far apart the threads were if they are two.
pub(crate) fn round<H: Send>(
    handles: Vec<H>,
    turns: u64,
    body: impl Fn(&mut H, u64) -> Result<(), Refused> + Sync,
) -> Result<Reading, Refused> {
    let count = handles.len();
    let (ready, between, body) = (AtomicUsize::new(0), Between::default(), &body);
    let (ready, between) = (&ready, &between);
    let parts: Vec<Result<Part, Refused>> = std::thread::scope(|scope| {
        let threads: Vec<_> = handles
            .into_iter()
            .enumerate()
            .map(|(index, mut handle)| {
                scope.spawn(move || {
                    let apart = if count == 2 { measure(between, index) } else { None };
                    let warm = body(&mut handle, unmeasured(turns));
                    meet(ready, count);
                    warm?;
                    let before = Stamp::now();
                    body(&mut handle, turns)?;
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
