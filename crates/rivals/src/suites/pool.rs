//! The suite `pool`: equal blocks, allocated and freed one by one.
//!
//! Arenite's pools have all their checks on; slab checks its keys, and the heaps check nothing.

use super::case::{Case, require};
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::blocks::{Blocks, Local, Shared, SlabBlocks};
use crate::competitor::{Competitor, Side};
use crate::failure::{AllocFailed, Failure};
use crate::heaps::{Heap, HeapBlocks, PerHeap, with_peers};
use crate::report::Row;
use crate::threads::threaded_round;
use std::hint::black_box;

pub(super) const CASES: &[Case] = &[
    ("pair, 64 B", pair::<64>),
    ("pair, 256 B", pair::<256>),
    ("pair, 1 KiB", pair::<1024>),
    ("1000 taken, all freed in random order, 64 B", burst::<64>),
    ("1000 taken, all freed in random order, 256 B", burst::<256>),
    ("1000 taken, all freed in random order, 1 KiB", burst::<1024>),
    ("shared pool, pair, 64 B, 1 thread", shared_one),
    ("shared pool, pair, 64 B, 2 threads", shared_two),
];

/// Number of blocks of a local pool, and of a burst.
const COUNT: u16 = 1000;

/// Allocates a block and frees it, each turn.
pub(super) fn pairs(allocator: &mut impl Blocks, turns: u64) -> Result<(), AllocFailed> {
    let allocator = black_box(allocator);
    for turn in 0..turns {
        let block = allocator.alloc(turn)?;
        allocator.free(block)?;
    }
    Ok(())
}

struct Pair<const SIZE: usize>;

impl<const SIZE: usize> PerHeap<'static> for Pair<SIZE> {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        let mut allocator = HeapBlocks::<H, SIZE>::new();
        Competitor::timed(H::NAME, side, move |turns| pairs(&mut allocator, turns))
    }
}

fn pair<const SIZE: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: 1, metrics: &[Metric::Cpu], rounds_of: RoundsOf::Time(1) };
    let mut pool = require(case, "arenite", Local::<SIZE>::new(COUNT.into()))?;
    let mut slab = SlabBlocks::<SIZE>::new(COUNT.into());
    let own = vec![
        Competitor::timed("arenite", Side::Ours, |turns| pairs(&mut pool, turns)),
        Competitor::timed("slab", Side::Rival, |turns| pairs(&mut slab, turns)),
    ];
    bench.compare(case, plan, with_peers(own, &Pair::<SIZE>))
}

/// Allocates `COUNT` blocks and frees them in random order, each turn.
fn bursts<L: Blocks>(allocator: &mut L, turns: u64) -> Result<(), AllocFailed> {
    let allocator = black_box(allocator);
    let order = shuffled();
    let mut blocks: Vec<Option<L::Token>> = Vec::with_capacity(order.len());
    for _ in 0..turns {
        for word in 0..u64::from(COUNT) {
            blocks.push(Some(allocator.alloc(word)?));
        }
        for &index in &order {
            if let Some(token) = blocks[usize::from(index)].take() {
                allocator.free(token)?;
            }
        }
        blocks.clear();
    }
    Ok(())
}

/// Returns the numbers below `COUNT` in a random order that is always the same.
fn shuffled() -> Vec<u16> {
    let mut order: Vec<u16> = (0..COUNT).collect();
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    for last in (1..order.len()).rev() {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        let other = usize::try_from(state >> 33).unwrap_or(0) % (last + 1);
        order.swap(last, other);
    }
    order
}

struct Burst<const SIZE: usize>;

impl<const SIZE: usize> PerHeap<'static> for Burst<SIZE> {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        let mut allocator = HeapBlocks::<H, SIZE>::new();
        Competitor::timed(H::NAME, side, move |turns| bursts(&mut allocator, turns))
    }
}

fn burst<const SIZE: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: COUNT.into(), metrics: &[Metric::Cpu], rounds_of: RoundsOf::Time(1) };
    let mut pool = require(case, "arenite", Local::<SIZE>::new(COUNT.into()))?;
    let mut slab = SlabBlocks::<SIZE>::new(COUNT.into());
    let own = vec![
        Competitor::timed("arenite", Side::Ours, |turns| bursts(&mut pool, turns)),
        Competitor::timed("slab", Side::Rival, |turns| bursts(&mut slab, turns)),
    ];
    bench.compare(case, plan, with_peers(own, &Burst::<SIZE>))
}

/// A number of threads that use a heap at once.
struct Threads(usize);

impl PerHeap<'static> for Threads {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        let threads = self.0;
        Competitor::self_timed(H::NAME, side, move |turns| {
            threaded_round((0..threads).map(|_| HeapBlocks::<H, 64>::new()).collect(), turns, pairs)
        })
    }
}

fn shared(
    bench: &Bench,
    case: &str,
    threads: usize,
    metrics: &'static [Metric],
) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: 1, metrics, rounds_of: RoundsOf::Time(4) };
    let pool = require(case, "arenite", Shared::<64>::pool(COUNT.into()))?;
    let own = vec![Competitor::self_timed("arenite", Side::Ours, |turns| {
        threaded_round(vec![Shared::<64>::of(&pool); threads], turns, pairs)
    })];
    bench.compare(case, plan, with_peers(own, &Threads(threads)))
}

fn shared_one(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    shared(bench, case, 1, &[Metric::Cpu])
}

fn shared_two(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    shared(bench, case, 2, &[Metric::Cpu, Metric::Wall])
}
