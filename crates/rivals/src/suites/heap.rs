//! The suite `heap`: blocks of any size and lifetime.
//!
//! Every heap is called as a program's global allocator is. Only arenite has batches; they are
//! compared with the same blocks allocated one by one.

use super::case::{Case, require};
use super::pool::pairs;
use super::sequence::Sequence;
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::blocks::{Blocks, Local};
use crate::competitor::{Competitor, Side};
use crate::failure::{AllocFailed, Failure};
use crate::heaps::{AnyBlock, AnyBlocks, Arenite, Heap, HeapBlocks, PerHeap, all_heaps, batches, singles};
use crate::measurement::unmeasured;
use crate::report::Row;
use crate::threads::threaded_round;
use std::alloc::Layout;
use std::hint::black_box;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

pub(super) const CASES: &[Case] = &[
    ("pair, 16 B", pair::<16>),
    ("pair, 64 B", pair::<64>),
    ("pair, 256 B", pair::<256>),
    ("pair, 1 KiB", pair::<1024>),
    ("10,000 taken, then all freed, 64 B", bulk::<64>),
    ("10,000 taken, then all freed, 256 B", bulk::<256>),
    ("10,000 taken, then all freed, 1 KiB", bulk::<1024>),
    ("10,000 taken by one call, then freed by one, untouched, 256 B", batched),
    ("10,000 live, one of 8 B to 64 KiB freed, another taken", |bench, case| {
        mixed(bench, case, &ChurnThreads(1, Write::Word))
    }),
    ("the same by two threads", |bench, case| mixed(bench, case, &ChurnThreads(2, Write::Word))),
    ("the same by one, a byte of each OS page written", |bench, case| {
        mixed(bench, case, &ChurnThreads(1, Write::OsPages))
    }),
    ("the same by one, of what another thread has just taken", |bench, case| mixed(bench, case, &Inherited)),
    ("one thread takes, another frees, 256 B, 250 at a time", |bench, case| {
        cross_thread(bench, case, 250, 40, false)
    }),
    ("the same, 2,500 at a time", |bench, case| cross_thread(bench, case, 2500, 4, false)),
    ("one thread takes, another frees, 8 B to 64 KiB, 250 at a time", |bench, case| {
        cross_thread(bench, case, 250, 4, true)
    }),
    ("allocate, touch, free, 1 MiB", |bench, case| tensor(bench, case, 1 << 20)),
    ("allocate, touch, free, 64 MiB", |bench, case| tensor(bench, case, 64 << 20)),
    ("doubled by realloc from 1 to 256 MiB, touched", doubled),
    ("in memory, 90 % of 8 B to 64 KiB freed, trimmed", super::resident::trimmed),
    ("in memory at most, 10,000 live of 8 B to 64 KiB", super::resident::churned),
];

struct Doubled;

impl PerHeap<'static> for Doubled {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        Competitor::timed(H::NAME, side, |turns| {
            let allocator = AnyBlocks::<H>::new();
            for _ in 0..turns {
                let mut block = allocator
                    .alloc_touched(Layout::from_size_align(1 << 20, 16).map_err(|_| AllocFailed)?)?;
                for doubling in 21..=28 {
                    block = allocator.grow(block, 1 << doubling)?;
                }
                allocator.free(block);
            }
            Ok(())
        })
    }
}

fn doubled(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let metrics = &[Metric::CpuMicros, Metric::PageFaults];
    bench.compare(case, Plan { units: 1, metrics, rounds_of: RoundsOf::OneTurn }, all_heaps(&Doubled))
}

fn plan(units: u32, rounds_of: RoundsOf) -> Plan {
    Plan { units, metrics: &[Metric::Cpu], rounds_of }
}

struct Pair<const SIZE: usize>;

impl<const SIZE: usize> PerHeap<'static> for Pair<SIZE> {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        let mut allocator = HeapBlocks::<H, SIZE>::new();
        Competitor::timed(H::NAME, side, move |turns| pairs(&mut allocator, turns))
    }
}

fn pair<const SIZE: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let mut competitors = all_heaps(&Pair::<SIZE>);
    let mut pool = require(case, "a pool", Local::<SIZE>::new(100))?;
    competitors.push(Competitor::timed("a pool", Side::Variant, move |turns| pairs(&mut pool, turns)));
    bench.compare(case, plan(1, RoundsOf::Time(1)), competitors)
}

const BULK_BLOCKS: u32 = 10_000;

struct Bulk<const SIZE: usize>;

impl<const SIZE: usize> PerHeap<'static> for Bulk<SIZE> {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        let mut allocator = HeapBlocks::<H, SIZE>::new();
        let mut blocks = Vec::with_capacity(BULK_BLOCKS as usize);
        Competitor::timed(H::NAME, side, move |turns| {
            let allocator = black_box(&mut allocator);
            for _ in 0..turns {
                for word in 0..u64::from(BULK_BLOCKS) {
                    blocks.push(allocator.alloc(word)?);
                }
                blocks.drain(..).try_for_each(|block| allocator.free(block))?;
            }
            Ok(())
        })
    }
}

struct Singles(Layout);

impl PerHeap<'static> for Singles {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        let layout = self.0;
        Competitor::timed(H::NAME, side, move |turns| singles::<H>(layout, BULK_BLOCKS as usize, turns))
    }
}

/// Compares arenite's batches with single calls.
fn batched(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let layout = Layout::new::<[u64; 32]>();
    let mut competitors = all_heaps(&Singles(layout));
    competitors[0] =
        Competitor::timed("arenite", Side::Ours, move |turns| batches(layout, BULK_BLOCKS as usize, turns));
    let singly = move |turns| singles::<Arenite>(layout, BULK_BLOCKS as usize, turns);
    competitors.insert(1, Competitor::timed("one by one", Side::Variant, singly));
    bench.compare(case, plan(BULK_BLOCKS, RoundsOf::Time(2)), competitors)
}

fn bulk<const SIZE: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    bench.compare(case, plan(BULK_BLOCKS, RoundsOf::Time(2)), all_heaps(&Bulk::<SIZE>))
}

/// Number of steps per turn.
const STEPS_PER_TURN: u32 = 1000;
/// Number of precomputed steps, after which they repeat.
const PLANNED_STEPS: usize = 32 * STEPS_PER_TURN as usize;

/// Live blocks of one thread and its precomputed steps, so that a step is little more than the
/// heap's work.
struct Churn<H: Heap> {
    live: Vec<Option<AnyBlock<H>>>,
    /// The index of the block to free, and the size of the next block in bytes.
    steps: Vec<(u32, u32)>,
    next: usize,
    write: Write,
}

/// The part of a block that is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    Word,
    /// A byte of each OS page.
    OsPages,
}

impl<H: Heap> Churn<H> {
    fn new(seed: u64, count: u32, write: Write) -> Result<Self, AllocFailed> {
        let (mut sequence, allocator) = (Sequence(seed), AnyBlocks::<H>::new());
        let live = (0..count)
            .map(|_| allocator.alloc_touched(sequence.layout()).map(Some))
            .collect::<Result<_, _>>()?;
        let short = |number: usize| u32::try_from(number).map_err(|_| AllocFailed);
        let mut step = || Ok((short(sequence.next() % count as usize)?, short(sequence.layout().size())?));
        let steps = (0..PLANNED_STEPS).map(|_| step()).collect::<Result<_, _>>()?;
        Ok(Self { live, steps, next: 0, write })
    }

    fn turn(&mut self) -> Result<(), AllocFailed> {
        let allocator = AnyBlocks::<H>::new();
        let steps = self.steps.get(self.next..).unwrap_or_default();
        for &(at, size) in steps.iter().take(STEPS_PER_TURN as usize) {
            let Some(slot) = self.live.get_mut(at as usize) else { return Err(AllocFailed) };
            if let Some(block) = slot.take() {
                allocator.free(block);
            }
            let layout = Layout::from_size_align(size as usize, 8).map_err(|_| AllocFailed)?;
            *slot = Some(match self.write {
                Write::Word => allocator.alloc_word(layout)?,
                Write::OsPages => allocator.alloc_touched(layout)?,
            });
        }
        self.next = (self.next + STEPS_PER_TURN as usize) % PLANNED_STEPS;
        Ok(())
    }
}

impl<H: Heap> Drop for Churn<H> {
    fn drop(&mut self) {
        self.live.drain(..).flatten().for_each(|block| AnyBlocks::<H>::new().free(block));
    }
}

/// Number of warm-up turns: ten times as many steps as live blocks, after which no memory is
/// fresh.
const WARM_UP_TURNS: u32 = 10 * BULK_BLOCKS / STEPS_PER_TURN;

/// A number of threads that each churn their own blocks.
struct ChurnThreads(usize, Write);

impl PerHeap<'static> for ChurnThreads {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        let Self(threads, write) = *self;
        Competitor::self_timed(H::NAME, side, move |turns| {
            let share = BULK_BLOCKS / u32::try_from(threads).unwrap_or(1);
            let churns = (1..=threads as u64).map(|seed| (seed, None)).collect();
            threaded_round(churns, turns, |(seed, churn): &mut (u64, Option<Churn<H>>), turns| {
                let churn = match churn {
                    Some(churn) => churn,
                    None => {
                        let churn = churn.insert(Churn::new(*seed, share, write)?);
                        (0..WARM_UP_TURNS).try_for_each(|_| churn.turn())?;
                        churn
                    }
                };
                (0..turns).try_for_each(|_| churn.turn())
            })
        })
    }
}

struct Inherited;

impl PerHeap<'static> for Inherited {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        Competitor::self_timed(H::NAME, side, move |turns| {
            let mut churn = Churn::<H>::new(1, BULK_BLOCKS, Write::OsPages)?;
            threaded_round(vec![&mut churn], turns, |churn: &mut &mut Churn<H>, turns| {
                (0..turns).try_for_each(|_| churn.turn())
            })
        })
    }
}

fn mixed(bench: &Bench, case: &str, factory: &impl PerHeap<'static>) -> Result<Vec<Row>, Failure> {
    bench.compare(case, plan(STEPS_PER_TURN, RoundsOf::Time(10)), all_heaps(factory))
}

/// The settings of a case in which one thread allocates and another frees.
///
/// The CPU time covers the allocations and frees, not the channel. How often a thread sleeps in
/// the channel depends on which is faster, and costs as much as the blocks.
#[derive(Clone, Copy)]
struct CrossThread {
    /// Number of blocks in a message.
    message: usize,
    /// Maximum number of messages in the channel.
    ahead: usize,
    /// Whether sizes are 8 B to 64 KiB instead of 256 B.
    mixed: bool,
}

struct Endpoint<H: Heap> {
    role: Role<H>,
    warmed_up: bool,
}

enum Role<H: Heap> {
    Allocates(SyncSender<Vec<AnyBlock<H>>>, Sequence),
    Frees(Receiver<Vec<AnyBlock<H>>>),
}

impl<H: Heap> Endpoint<H> {
    fn new(role: Role<H>) -> Self {
        Self { role, warmed_up: false }
    }

    fn work(&mut self, how: CrossThread, turns: u64) -> Result<(), AllocFailed> {
        // The warm-up ends the effects of fresh memory and of the previous round's threads.
        let before = if core::mem::replace(&mut self.warmed_up, true) { 0 } else { CROSS_WARM_UP_TURNS };
        self.pass(how, before + turns)
    }

    fn pass(&mut self, how: CrossThread, turns: u64) -> Result<(), AllocFailed> {
        let allocator = AnyBlocks::<H>::new();
        for _ in 0..turns * u64::from(CROSS_BLOCKS_PER_TURN) / how.message as u64 {
            match &mut self.role {
                Role::Allocates(to, sequence) => {
                    let layout = || if how.mixed { sequence.layout() } else { Layout::new::<[u64; 32]>() };
                    let layouts = std::iter::repeat_with(layout).take(how.message);
                    let blocks =
                        layouts.map(|layout| allocator.alloc_touched(layout)).collect::<Result<_, _>>()?;
                    unmeasured(|| to.send(blocks)).map_err(|_| AllocFailed)?;
                }
                Role::Frees(from) => {
                    let blocks = unmeasured(|| from.recv()).map_err(|_| AllocFailed)?;
                    blocks.into_iter().for_each(|block| allocator.free(block));
                }
            }
        }
        Ok(())
    }
}

impl PerHeap<'static> for CrossThread {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        let how = *self;
        Competitor::self_timed(H::NAME, side, move |turns| {
            let (to, from) = sync_channel(how.ahead);
            let ends = [Role::<H>::Allocates(to, Sequence(1)), Role::Frees(from)];
            threaded_round(ends.map(Endpoint::new).into(), turns, |end, turns| end.work(how, turns))
        })
    }
}

/// Number of blocks per turn.
const CROSS_BLOCKS_PER_TURN: u32 = 5000;
/// Number of warm-up turns: ten times the blocks in the channel.
const CROSS_WARM_UP_TURNS: u64 = 20;

fn cross_thread(
    bench: &Bench,
    case: &str,
    message: usize,
    ahead: usize,
    mixed: bool,
) -> Result<Vec<Row>, Failure> {
    let plan =
        Plan { metrics: &[Metric::Cpu, Metric::Wall], ..plan(CROSS_BLOCKS_PER_TURN, RoundsOf::Time(20)) };
    bench.compare(case, plan, all_heaps(&CrossThread { message, ahead, mixed }))
}

struct Tensor(Layout);

impl PerHeap<'static> for Tensor {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        let (allocator, layout) = (AnyBlocks::<H>::new(), self.0);
        Competitor::timed(H::NAME, side, move |turns| {
            for _ in 0..turns {
                let block = black_box(&allocator).alloc_touched(layout)?;
                allocator.free(block);
            }
            Ok(())
        })
    }
}

fn tensor(bench: &Bench, case: &str, size: usize) -> Result<Vec<Row>, Failure> {
    let layout = Layout::from_size_align(size, 64).unwrap_or(Layout::new::<u64>());
    let plan =
        Plan { units: 1, metrics: &[Metric::CpuMicros, Metric::PageFaults], rounds_of: RoundsOf::Time(1) };
    bench.compare(case, plan, all_heaps(&Tensor(layout)))
}
