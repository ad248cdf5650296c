//! The suite `pool`: equal blocks, taken and given back one by one.
//!
//! Rests on the lenders of [`blocks`](crate::blocks) and [`heaps`](crate::heaps). Every check of arenite's pools is on, as there is no other
//! door; the heaps check nothing, and slab checks its keys.

use super::{Case, made};
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::blocks::{Blocks, Local, Shared, SlabBlocks};
use crate::competitor::{Contestant, Side};
use crate::failure::{Failure, Refused};
use crate::heaps::{ForHeap, Heap, HeapBlocks, each};
use crate::report::Row;
use crate::threads::round;
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

/// Blocks of a local pool, and of a burst.
const COUNT: u16 = 1000;

/// The contestants of a case, filled heap by heap.
struct Field<'a, F> {
    contestants: Vec<Contestant<'a>>,
    /// Makes a contestant of a heap.
    enter: F,
}

/// Makes a contestant of any heap.
trait Enter {
    fn heap<H: Heap>(&self) -> Contestant<'static>;
}

impl<F: Enter> ForHeap for Field<'_, F> {
    fn visit<H: Heap>(&mut self) {
        self.contestants.push(self.enter.heap::<H>());
    }
}

fn with_heaps<'a>(contestants: Vec<Contestant<'a>>, enter: impl Enter) -> Vec<Contestant<'a>> {
    let mut field = Field { contestants, enter };
    each(&mut field);
    field.contestants
}

/// Takes a block and gives it back, each turn.
pub(super) fn pairs(lender: &mut impl Blocks, turns: u64) -> Result<(), Refused> {
    let lender = black_box(lender);
    for turn in 0..turns {
        let block = lender.take(turn)?;
        lender.give(block)?;
    }
    Ok(())
}

struct Pair<const SIZE: usize>;

impl<const SIZE: usize> Enter for Pair<SIZE> {
    fn heap<H: Heap>(&self) -> Contestant<'static> {
        let mut lender = HeapBlocks::<H, SIZE>::new();
        Contestant::timed(H::NAME, Side::Rival, move |turns| pairs(&mut lender, turns))
    }
}

fn pair<const SIZE: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: 1, metrics: &[Metric::Cpu], rounds_of: RoundsOf::Time(1) };
    let mut pool = made(case, "arenite", Local::<SIZE>::new(COUNT.into()))?;
    let mut slab = SlabBlocks::<SIZE>::new(COUNT.into());
    let own = vec![
        Contestant::timed("arenite", Side::Ours, |turns| pairs(&mut pool, turns)),
        Contestant::timed("slab", Side::Rival, |turns| pairs(&mut slab, turns)),
    ];
    bench.compare(case, plan, with_heaps(own, Pair::<SIZE>))
}

/// Takes `COUNT` blocks and gives them back in an order of no pattern, each turn.
fn bursts<L: Blocks>(lender: &mut L, turns: u64) -> Result<(), Refused> {
    let lender = black_box(lender);
    let order = shuffled();
    let mut taken: Vec<Option<L::Token>> = Vec::with_capacity(order.len());
    for _ in 0..turns {
        for word in 0..u64::from(COUNT) {
            taken.push(Some(lender.take(word)?));
        }
        for &index in &order {
            if let Some(token) = taken[usize::from(index)].take() {
                lender.give(token)?;
            }
        }
        taken.clear();
    }
    Ok(())
}

/// The numbers below `COUNT` in an order of no pattern, always the same.
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

impl<const SIZE: usize> Enter for Burst<SIZE> {
    fn heap<H: Heap>(&self) -> Contestant<'static> {
        let mut lender = HeapBlocks::<H, SIZE>::new();
        Contestant::timed(H::NAME, Side::Rival, move |turns| bursts(&mut lender, turns))
    }
}

fn burst<const SIZE: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: COUNT.into(), metrics: &[Metric::Cpu], rounds_of: RoundsOf::Time(1) };
    let mut pool = made(case, "arenite", Local::<SIZE>::new(COUNT.into()))?;
    let mut slab = SlabBlocks::<SIZE>::new(COUNT.into());
    let own = vec![
        Contestant::timed("arenite", Side::Ours, |turns| bursts(&mut pool, turns)),
        Contestant::timed("slab", Side::Rival, |turns| bursts(&mut slab, turns)),
    ];
    bench.compare(case, plan, with_heaps(own, Burst::<SIZE>))
}

/// Threads that use a heap at once.
struct Threads(usize);

impl Enter for Threads {
    fn heap<H: Heap>(&self) -> Contestant<'static> {
        let threads = self.0;
        Contestant::reading(H::NAME, Side::Rival, move |turns| {
            round((0..threads).map(|_| HeapBlocks::<H, 64>::new()).collect(), turns, pairs)
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
    let pool = made(case, "arenite", Shared::<64>::pool(COUNT.into()))?;
    let own = vec![Contestant::reading("arenite", Side::Ours, |turns| {
        round(vec![Shared::<64>::of(&pool); threads], turns, pairs)
    })];
    bench.compare(case, plan, with_heaps(own, Threads(threads)))
}

fn shared_one(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    shared(bench, case, 1, &[Metric::Cpu])
}

fn shared_two(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    shared(bench, case, 2, &[Metric::Cpu, Metric::Wall])
}
