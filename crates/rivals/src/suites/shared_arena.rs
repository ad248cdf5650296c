//! Shared arenas: allocations of 64 B on one and on two threads.
//!
//! The arena is reset between rounds, outside the measured time. blink-alloc has a proxy per
//! thread, which takes chunks from the shared arena. Its counterpart is an `Arena` chunked over a
//! `SharedArena`; the two have a case of their own.

use crate::arenas::AllocBlock;
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::competitor::{Competitor, Side};
use crate::failure::{AllocFailed, Failure};
use crate::report::Row;
use crate::threads::threaded_round;
use arenite_alloc::{Arena, SharedArena};
use blink_alloc::SyncBlinkAlloc;
use std::alloc::Layout;
use std::hint::black_box;

const BLOCK: Layout = Layout::new::<[u64; 8]>();
/// Number of blocks per turn.
const BATCH: u32 = 100;
/// Chunk size of a thread's arena, in bytes.
const CHUNK: usize = 64 << 10;

fn body(allocator: &mut impl AllocBlock, turns: u64) -> Result<(), AllocFailed> {
    let allocator = black_box(allocator);
    for _ in 0..turns {
        for _ in 0..BATCH {
            allocator.alloc_block(BLOCK)?.keep();
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
    let competitors = vec![
        Competitor::self_timed("arenite", Side::Ours, |turns| {
            arena.reset();
            threaded_round(vec![&arena; threads], turns, body)
        }),
        Competitor::self_timed("blink-alloc", Side::Rival, |turns| {
            blink.reset();
            threaded_round(vec![&blink; threads], turns, body)
        }),
    ];
    bench.compare(case, plan, competitors)
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
    let competitors = vec![
        Competitor::self_timed("arenite", Side::Ours, |turns| {
            arena.reset();
            threaded_round((0..2).map(|_| Arena::with_chunk_size(&arena, CHUNK)).collect(), turns, body)
        }),
        Competitor::self_timed("blink-alloc", Side::Rival, |turns| {
            blink.reset();
            threaded_round((0..2).map(|_| blink.local()).collect(), turns, body)
        }),
    ];
    bench.compare(case, plan, competitors)
}
