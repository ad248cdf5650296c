//! Arenas that threads share: allocation of 64 B by one and by two threads.
//!
//! Rests on [`threads`](crate::threads). The arena is reset between rounds, outside the measured time. blink-alloc offers a proxy for
//! each thread, which draws chunks from the shared arena; arenite's likeness of it is an `Arena` chunked over a
//! `SharedArena`, and the two are a case of their own.

use crate::arenas::Take;
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Contestant, Side};
use crate::failure::{Failure, Refused};
use crate::report::Row;
use crate::threads::round;
use arenite_alloc::{Arena, SharedArena};
use blink_alloc::SyncBlinkAlloc;
use std::alloc::Layout;
use std::hint::black_box;

const BLOCK: Layout = Layout::new::<[u64; 8]>();
/// Blocks in a turn.
const BATCH: u32 = 100;
/// What an arena of one thread takes from the shared one at a time.
const CHUNK: usize = 64 << 10;

fn body(lender: &mut impl Take, turns: u64) -> Result<(), Refused> {
    let lender = black_box(lender);
    for _ in 0..turns {
        for _ in 0..BATCH {
            lender.take(BLOCK)?.keep();
        }
    }
    Ok(())
}

fn shared(
    bench: &Bench,
    case: &str,
    threads: usize,
    metrics: &'static [Metric],
) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: BATCH, metrics, rounds_of: RoundsOf::Time(4) };
    let (mut arena, mut blink) = (SharedArena::new(), SyncBlinkAlloc::new());
    let contestants = vec![
        Contestant::reading("arenite", Side::Ours, |turns| {
            arena.reset();
            round(vec![&arena; threads], turns, body)
        }),
        Contestant::reading("blink-alloc", Side::Rival, |turns| {
            blink.reset();
            round(vec![&blink; threads], turns, body)
        }),
    ];
    bench.compare(case, plan, contestants)
}

pub(super) fn one(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    shared(bench, case, 1, &[Metric::Cpu])
}

pub(super) fn two(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    shared(bench, case, 2, &[Metric::Cpu, Metric::Wall])
}

pub(super) fn fronts(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let metrics = &[Metric::Cpu, Metric::Wall];
    let plan = Plan { units: BATCH, metrics, rounds_of: RoundsOf::Time(4) };
    let (mut arena, mut blink) = (SharedArena::new(), SyncBlinkAlloc::new());
    let contestants = vec![
        Contestant::reading("arenite", Side::Ours, |turns| {
            arena.reset();
            round((0..2).map(|_| Arena::chunked_by(&arena, CHUNK)).collect(), turns, body)
        }),
        Contestant::reading("blink-alloc", Side::Rival, |turns| {
            blink.reset();
            round((0..2).map(|_| blink.local()).collect(), turns, body)
        }),
    ];
    bench.compare(case, plan, contestants)
}
