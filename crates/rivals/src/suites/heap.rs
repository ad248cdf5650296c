//! The suite `heap`: blocks of any size and life time.
//!
//! Rests on [`heaps`](crate::heaps). Every heap is called as a program's global allocator is. A batch is arenite's alone: it stands
//! beside the same blocks taken one by one, from it and from the others.

use super::Case;
use super::pool::pairs;
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::blocks::{Blocks, Local};
use crate::competitor::{Contestant, Side};
use crate::failure::{Failure, Refused};
use crate::heaps::{AnyBlock, AnyBlocks, Arenite, ForHeap, Heap, HeapBlocks, batches, each, singles};
use crate::report::Row;
use crate::measurement::unread;
use crate::threads::round;
use std::alloc::Layout;
use std::hint::black_box;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

pub(super) const CASES: &[Case] = &[
    ("pair, 16 B", pair::<16>),
    ("pair, 64 B", pair::<64>),
    ("pair, 256 B", pair::<256>),
    ("pair, 1 KiB", pair::<1024>),
    ("10,000 taken, then all freed, 64 B", many::<64>),
    ("10,000 taken, then all freed, 256 B", many::<256>),
    ("10,000 taken, then all freed, 1 KiB", many::<1024>),
    ("10,000 taken by one call, then freed by one, untouched, 256 B", batched),
    ("10,000 live, one of 8 B to 64 KiB freed, another taken", |bench, case| {
        mixed(bench, case, Mixed(1, Write::Word))
    }),
    ("the same by two threads", |bench, case| mixed(bench, case, Mixed(2, Write::Word))),
    ("the same by one, a byte of each OS page written", |bench, case| {
        mixed(bench, case, Mixed(1, Write::Pages))
    }),
    ("the same by one, of what another thread has just taken", |bench, case| mixed(bench, case, Inherited)),
    ("one thread takes, another frees, 256 B, 250 at a time", |bench, case| {
        across(bench, case, 250, 40, false)
    }),
    ("the same, 2,500 at a time", |bench, case| across(bench, case, 2500, 4, false)),
    ("one thread takes, another frees, 8 B to 64 KiB, 250 at a time", |bench, case| {
        across(bench, case, 250, 4, true)
    }),
    ("allocate, touch, free, 1 MiB", |bench, case| tensor(bench, case, 1 << 20)),
    ("allocate, touch, free, 64 MiB", |bench, case| tensor(bench, case, 64 << 20)),
    ("doubled by realloc from 1 to 256 MiB, touched", doubled),
    ("in memory, 90 % of 8 B to 64 KiB freed, trimmed", super::resident::trimmed),
    ("in memory at most, 10,000 live of 8 B to 64 KiB", super::resident::churned),
];

struct Doubled;

impl Enter for Doubled {
    fn heap<H: Heap>(&self, side: Side) -> Contestant<'static> {
        Contestant::timed(H::NAME, side, |turns| {
            let lender = AnyBlocks::<H>::new();
            for _ in 0..turns {
                let mut block = lender.take(Layout::from_size_align(1 << 20, 16).map_err(|_| Refused)?)?;
                for doubling in 21..=28 {
                    block = lender.grow(block, 1 << doubling)?;
                }
                lender.give(block);
            }
            Ok(())
        })
    }
}

fn doubled(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let metrics = &[Metric::CpuMicros, Metric::Faults];
    bench.compare(case, Plan { units: 1, metrics, rounds_of: RoundsOf::OneTurn }, all(Doubled))
}

/// Makes a contestant of any heap.
pub(super) trait Enter {
    fn heap<H: Heap>(&self, side: Side) -> Contestant<'static>;
}

struct Field<F> {
    contestants: Vec<Contestant<'static>>,
    enter: F,
}

impl<F: Enter> ForHeap for Field<F> {
    fn visit<H: Heap>(&mut self) {
        self.contestants.push(self.enter.heap::<H>(Side::Rival));
    }
}

/// Arenite's heap first, then the others.
pub(super) fn all(enter: impl Enter) -> Vec<Contestant<'static>> {
    let ours = enter.heap::<Arenite>(Side::Ours);
    let mut field = Field { contestants: vec![ours], enter };
    each(&mut field);
    field.contestants
}

fn plan(units: u32, rounds_of: RoundsOf) -> Plan {
    Plan { units, metrics: &[Metric::Cpu], rounds_of }
}

struct Pair<const SIZE: usize>;

impl<const SIZE: usize> Enter for Pair<SIZE> {
    fn heap<H: Heap>(&self, side: Side) -> Contestant<'static> {
        let mut lender = HeapBlocks::<H, SIZE>::new();
        Contestant::timed(H::NAME, side, move |turns| pairs(&mut lender, turns))
    }
}

fn pair<const SIZE: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let mut contestants = all(Pair::<SIZE>);
    let mut pool = super::made(case, "a pool", Local::<SIZE>::new(100))?;
    contestants.push(Contestant::timed("a pool", Side::Variant, move |turns| pairs(&mut pool, turns)));
    bench.compare(case, plan(1, RoundsOf::Time(1)), contestants)
}

const MANY: u32 = 10_000;

struct Many<const SIZE: usize>;

impl<const SIZE: usize> Enter for Many<SIZE> {
    fn heap<H: Heap>(&self, side: Side) -> Contestant<'static> {
        let mut lender = HeapBlocks::<H, SIZE>::new();
        let mut taken = Vec::with_capacity(MANY as usize);
        Contestant::timed(H::NAME, side, move |turns| {
            let lender = black_box(&mut lender);
            for _ in 0..turns {
                for word in 0..u64::from(MANY) {
                    taken.push(lender.take(word)?);
                }
                taken.drain(..).try_for_each(|block| lender.give(block))?;
            }
            Ok(())
        })
    }
}

struct Singles(Layout);

impl Enter for Singles {
    fn heap<H: Heap>(&self, side: Side) -> Contestant<'static> {
        let layout = self.0;
        Contestant::timed(H::NAME, side, move |turns| singles::<H>(layout, MANY as usize, turns))
    }
}

/// Arenite's batches against the others' single calls.
fn batched(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let layout = Layout::new::<[u64; 32]>();
    let mut contestants = all(Singles(layout));
    contestants[0] =
        Contestant::timed("arenite", Side::Ours, move |turns| batches(layout, MANY as usize, turns));
    let singly = move |turns| singles::<Arenite>(layout, MANY as usize, turns);
    contestants.insert(1, Contestant::timed("one by one", Side::Variant, singly));
    bench.compare(case, plan(MANY, RoundsOf::Time(2)), contestants)
}

fn many<const SIZE: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    bench.compare(case, plan(MANY, RoundsOf::Time(2)), all(Many::<SIZE>))
}

/// Sizes of 8 B to 64 KiB, each doubling as likely as any other, and places of no pattern.
pub(super) struct Sequence(pub(super) u64);

impl Sequence {
    pub(super) fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        usize::try_from(self.0 >> 33).unwrap_or(0)
    }

    pub(super) fn layout(&mut self) -> Layout {
        let doubling = 8 << (self.next() % 13);
        let size = doubling + self.next() % doubling;
        Layout::from_size_align(size, 8).unwrap_or(Layout::new::<u64>())
    }
}

/// Steps in a turn.
const STEPS: u32 = 1000;
/// Steps that are thought out; afterwards they come again.
const PLANNED: usize = 32 * STEPS as usize;

/// Live blocks of one thread, and what comes next: thought out before, so that a step is what the heap does and little else.
struct Churn<H: Heap> {
    live: Vec<Option<AnyBlock<H>>>,
    /// Which block is freed, and of how many bytes one is taken then.
    steps: Vec<(u32, u32)>,
    next: usize,
    write: Write,
}

/// What is written of a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    Word,
    /// A byte of each OS page.
    Pages,
}

impl<H: Heap> Churn<H> {
    fn begin(seed: u64, count: u32, write: Write) -> Result<Self, Refused> {
        let (mut sequence, lender) = (Sequence(seed), AnyBlocks::<H>::new());
        let live = (0..count).map(|_| lender.take(sequence.layout()).map(Some)).collect::<Result<_, _>>()?;
        let short = |number: usize| u32::try_from(number).map_err(|_| Refused);
        let mut step = || Ok((short(sequence.next() % count as usize)?, short(sequence.layout().size())?));
        let steps = (0..PLANNED).map(|_| step()).collect::<Result<_, _>>()?;
        Ok(Self { live, steps, next: 0, write })
    }

    fn turn(&mut self) -> Result<(), Refused> {
        let lender = AnyBlocks::<H>::new();
        let steps = self.steps.get(self.next..).unwrap_or_default();
        for &(at, size) in steps.iter().take(STEPS as usize) {
            let Some(place) = self.live.get_mut(at as usize) else { return Err(Refused) };
            if let Some(block) = place.take() {
                lender.give(block);
            }
            let layout = Layout::from_size_align(size as usize, 8).map_err(|_| Refused)?;
            *place = Some(match self.write {
                Write::Word => lender.take_with_a_word(layout)?,
                Write::Pages => lender.take(layout)?,
            });
        }
        self.next = (self.next + STEPS as usize) % PLANNED;
        Ok(())
    }
}

impl<H: Heap> Drop for Churn<H> {
    fn drop(&mut self) {
        self.live.drain(..).flatten().for_each(|block| AnyBlocks::<H>::new().give(block));
    }
}

/// Steps before those that count, as many as ten times the live blocks: what the first steps find fresh is long used then.
const SETTLED: u32 = 10 * MANY / STEPS;

/// So many threads.
struct Mixed(usize, Write);

impl Enter for Mixed {
    fn heap<H: Heap>(&self, side: Side) -> Contestant<'static> {
        let Self(threads, write) = *self;
        Contestant::reading(H::NAME, side, move |turns| {
            let share = MANY / u32::try_from(threads).unwrap_or(1);
            let parts = (1..=threads as u64).map(|seed| (seed, None)).collect();
            round(parts, turns, |(seed, part): &mut (u64, Option<Churn<H>>), turns| {
                let part = match part {
                    Some(part) => part,
                    None => {
                        let part = part.insert(Churn::begin(*seed, share, write)?);
                        (0..SETTLED).try_for_each(|_| part.turn())?;
                        part
                    }
                };
                (0..turns).try_for_each(|_| part.turn())
            })
        })
    }
}

struct Inherited;

impl Enter for Inherited {
    fn heap<H: Heap>(&self, side: Side) -> Contestant<'static> {
        Contestant::reading(H::NAME, side, move |turns| {
            let mut part = Churn::<H>::begin(1, MANY, Write::Pages)?;
            round(vec![&mut part], turns, |part: &mut &mut Churn<H>, turns| {
                (0..turns).try_for_each(|_| part.turn())
            })
        })
    }
}

fn mixed(bench: &Bench, case: &str, enter: impl Enter) -> Result<Vec<Row>, Failure> {
    bench.compare(case, plan(STEPS, RoundsOf::Time(10)), all(enter))
}

/// How blocks go from one thread to the other. The CPU time is that of taking and freeing, and not that of the channel: how often a
/// thread sleeps in it depends on which of the two is faster, and costs as much as the blocks.
#[derive(Clone, Copy)]
struct Across {
    /// Blocks in a message.
    message: usize,
    /// Messages on their way at most.
    ahead: usize,
    /// 8 B to 64 KiB, or 256 B.
    mixed: bool,
}

struct End<H: Heap> {
    side: TakesOrFrees<H>,
    settled: bool,
}

enum TakesOrFrees<H: Heap> {
    Takes(SyncSender<Vec<AnyBlock<H>>>, Sequence),
    Frees(Receiver<Vec<AnyBlock<H>>>),
}

impl<H: Heap> End<H> {
    fn new(side: TakesOrFrees<H>) -> Self {
        Self { side, settled: false }
    }

    fn work(&mut self, how: Across, turns: u64) -> Result<(), Refused> {
        // what the first blocks find fresh, or left by the threads of the round before, is long used then
        let before = if core::mem::replace(&mut self.settled, true) { 0 } else { SETTLED_ACROSS };
        self.pass(how, before + turns)
    }

    fn pass(&mut self, how: Across, turns: u64) -> Result<(), Refused> {
        let lender = AnyBlocks::<H>::new();
        for _ in 0..turns * u64::from(PASSED) / how.message as u64 {
            match &mut self.side {
                TakesOrFrees::Takes(to, sequence) => {
                    let layout = || if how.mixed { sequence.layout() } else { Layout::new::<[u64; 32]>() };
                    let layouts = std::iter::repeat_with(layout).take(how.message);
                    let blocks = layouts.map(|layout| lender.take(layout)).collect::<Result<_, _>>()?;
                    unread(|| to.send(blocks)).map_err(|_| Refused)?;
                }
                TakesOrFrees::Frees(from) => {
                    let blocks = unread(|| from.recv()).map_err(|_| Refused)?;
                    blocks.into_iter().for_each(|block| lender.give(block));
                }
            }
        }
        Ok(())
    }
}

impl Enter for Across {
    fn heap<H: Heap>(&self, side: Side) -> Contestant<'static> {
        let how = *self;
        Contestant::reading(H::NAME, side, move |turns| {
            let (to, from) = sync_channel(how.ahead);
            let ends = [TakesOrFrees::<H>::Takes(to, Sequence(1)), TakesOrFrees::Frees(from)];
            round(ends.map(End::new).into(), turns, |end, turns| end.work(how, turns))
        })
    }
}

/// Blocks in a turn.
const PASSED: u32 = 5000;
/// Turns before those that count: ten times the blocks that are on their way.
const SETTLED_ACROSS: u64 = 20;

fn across(bench: &Bench, case: &str, message: usize, ahead: usize, mixed: bool) -> Result<Vec<Row>, Failure> {
    let plan = Plan { metrics: &[Metric::Cpu, Metric::Wall], ..plan(PASSED, RoundsOf::Time(20)) };
    bench.compare(case, plan, all(Across { message, ahead, mixed }))
}

struct Tensor(Layout);

impl Enter for Tensor {
    fn heap<H: Heap>(&self, side: Side) -> Contestant<'static> {
        let (lender, layout) = (AnyBlocks::<H>::new(), self.0);
        Contestant::timed(H::NAME, side, move |turns| {
            for _ in 0..turns {
                let block = black_box(&lender).take(layout)?;
                lender.give(block);
            }
            Ok(())
        })
    }
}

fn tensor(bench: &Bench, case: &str, size: usize) -> Result<Vec<Row>, Failure> {
    let layout = Layout::from_size_align(size, 64).unwrap_or(Layout::new::<u64>());
    let plan = Plan { units: 1, metrics: &[Metric::CpuMicros, Metric::Faults], rounds_of: RoundsOf::Time(1) };
    bench.compare(case, plan, all(Tensor(layout)))
}
