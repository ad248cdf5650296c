//! The suite `pools`: buffers of several sizes, contexts, one region cut into blocks, and charges.
//!
//! Rests on [`Resource`], which all of arenite's pools are, and on the heaps. Every contestant writes a word into each block that it
//! takes, and all get the same sizes.
#![expect(unsafe_code, reason = "takes and gives blocks by their layouts")]

use super::heap::Sequence;
use super::pool::pairs;
use super::{Case, made};
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::blocks::Blocks;
use crate::competitor::{Contestant, Side};
use crate::failure::{Failure, Refused};
use crate::heaps::{ForHeap, Heap, HeapBlocks, each};
use crate::report::Row;
use crate::measurement::Reading;
use crate::tally;
use crate::threads::{by_turns, shared_round};
use arenite_alloc::{
    AnalyticsContext, Budget, CacheOptimizedAllocator, LocalStratifiedPool, MemoryPool, StratifiedMemoryPool,
};
use arenite_core::Resource;
use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub(super) const CASES: &[Case] = &[
    ("stratified pool, pair, 1 KiB", stratified),
    ("stratified pool that threads share, pair, 1 KiB, 1 thread", stratified_one),
    ("stratified pool that threads share, pair, 1 KiB, 2 threads", stratified_two),
    ("the same: a pair of two threads at once over one of each alone", stratified_at_once),
    ("64 KiB of zeroes", zeroes),
    ("context: made, three of 1 KiB, dropped", context),
    ("memory pool, pair of 64 KiB, 10 % full", pair_at::<10, true>),
    ("memory pool, pair of 64 KiB, 50 % full", pair_at::<50, true>),
    ("memory pool, pair of 64 KiB, 90 % full", pair_at::<90, true>),
    ("memory pool, pairs of 4 KiB to 1 MiB, 50 % full", pair_at::<50, false>),
    ("memory pool, one of a million freed and another taken, median", churn_median),
    ("memory pool, one of a million freed and another taken, worst", churn_worst),
    ("a word of each of 64 blocks of 64 KiB in turn", columns),
    ("budget: charged and released, at a root", charge::<0>),
    ("budget: charged and released, two levels below it", charge::<2>),
];

/// Lends blocks of `SIZE` bytes of any resource.
#[derive(Clone, Copy)]
struct Lender<'r, R: ?Sized, const SIZE: usize>(&'r R);

const fn layout(size: usize) -> Layout {
    // SAFETY: a power of two, and sizes of the suite.
    unsafe { Layout::from_size_align_unchecked(size, 64) }
}

impl<R: Resource, const SIZE: usize> Blocks for Lender<'_, R, SIZE> {
    type Token = NonNull<u8>;

    #[inline(always)]
    fn take(&mut self, word: u64) -> Result<NonNull<u8>, Refused> {
        let block = self.0.allocate(layout(SIZE)).map_err(|_| Refused)?.cast::<u8>();
        tally::lent(SIZE);
        tally::wrote();
        // SAFETY: a fresh block, at 64.
        unsafe { block.cast::<u64>().write(word) };
        Ok(black_box(block))
    }

    #[inline(always)]
    fn give(&mut self, token: NonNull<u8>) -> Result<(), Refused> {
        tally::freed();
        // SAFETY: lent above with this layout.
        unsafe { self.0.deallocate(token, layout(SIZE)) };
        Ok(())
    }
}

/// Makes a contestant of any heap.
trait Enter {
    fn heap<H: Heap>(&self) -> Option<Contestant<'static>>;
}

struct Field<'a, F> {
    contestants: Vec<Contestant<'a>>,
    enter: F,
}

impl<F: Enter> ForHeap for Field<'_, F> {
    fn visit<H: Heap>(&mut self) {
        self.contestants.extend(self.enter.heap::<H>());
    }
}

fn with_heaps<'a>(contestants: Vec<Contestant<'a>>, enter: impl Enter) -> Vec<Contestant<'a>> {
    let mut field = Field { contestants, enter };
    each(&mut field);
    field.contestants
}

const PLAIN: Plan = Plan { units: 1, metrics: &[Metric::Cpu], rounds_of: RoundsOf::Time(1) };

/// One thread's pairs of 1 KiB.
struct Pair;

impl Enter for Pair {
    fn heap<H: Heap>(&self) -> Option<Contestant<'static>> {
        let mut lender = HeapBlocks::<H, 1024>::new();
        Some(Contestant::timed(H::NAME, Side::Rival, move |turns| pairs(&mut lender, turns)))
    }
}

fn stratified(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let local = LocalStratifiedPool::new("local");
    let shared = StratifiedMemoryPool::new("shared");
    let own = vec![
        Contestant::timed("arenite", Side::Ours, |turns| pairs(&mut Lender::<_, 1024>(&local), turns)),
        Contestant::timed("arenite shared", Side::Variant, |turns| {
            pairs(&mut Lender::<_, 1024>(&shared), turns)
        }),
    ];
    bench.compare(case, PLAIN, with_heaps(own, Pair))
}

/// Threads that use a heap at once.
struct Threads(usize);

impl Enter for Threads {
    fn heap<H: Heap>(&self) -> Option<Contestant<'static>> {
        let threads = self.0;
        Some(Contestant::reading(H::NAME, Side::Rival, move |turns| {
            shared_round((0..threads).map(|_| HeapBlocks::<H, 1024>::new()).collect(), turns, pairs)
        }))
    }
}

fn stratified_by(bench: &Bench, case: &str, threads: usize) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: 1, metrics: &[Metric::Cpu, Metric::Wall], rounds_of: RoundsOf::Time(4) };
    let pool = StratifiedMemoryPool::new("shared");
    let apart = [StratifiedMemoryPool::new("first"), StratifiedMemoryPool::new("second")];
    let mut own = vec![Contestant::reading("arenite", Side::Ours, |turns| {
        shared_round((0..threads).map(|_| Lender::<_, 1024>(&pool)).collect(), turns, pairs)
    })];
    if threads == 2 {
        // what two threads that share nothing get here
        own.push(Contestant::reading("a pool each", Side::Variant, |turns| {
            shared_round(apart.iter().map(Lender::<_, 1024>).collect(), turns, pairs)
        }));
    }
    bench.compare(case, plan, with_heaps(own, Threads(threads)))
}

/// Two threads that use a heap alone and at once, by turns.
struct ByTurns;

impl Enter for ByTurns {
    fn heap<H: Heap>(&self) -> Option<Contestant<'static>> {
        Some(Contestant::reading(H::NAME, Side::Rival, |turns| {
            by_turns([HeapBlocks::<H, 1024>::new(), HeapBlocks::new()], turns, pairs)
        }))
    }
}

fn stratified_at_once(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: 1, metrics: &[Metric::PerAlone], rounds_of: RoundsOf::Time(8) };
    let pool = StratifiedMemoryPool::new("shared");
    let apart = [StratifiedMemoryPool::new("first"), StratifiedMemoryPool::new("second")];
    let own = vec![
        Contestant::reading("arenite", Side::Ours, |turns| {
            by_turns([Lender::<_, 1024>(&pool), Lender(&pool)], turns, pairs)
        }),
        // what two threads that share nothing get here
        Contestant::reading("a pool each", Side::Variant, |turns| {
            by_turns(apart.each_ref().map(Lender::<_, 1024>), turns, pairs)
        }),
    ];
    bench.compare(case, plan, with_heaps(own, ByTurns))
}

fn stratified_one(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    stratified_by(bench, case, 1)
}

fn stratified_two(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    stratified_by(bench, case, 2)
}

struct Zeroes;

impl Enter for Zeroes {
    fn heap<H: Heap>(&self) -> Option<Contestant<'static>> {
        Some(Contestant::timed(H::NAME, Side::Rival, |turns| {
            for _ in 0..turns {
                // SAFETY: a size that is not zero.
                let block = unsafe { H::allocator().alloc_zeroed(layout(65_536)) };
                let block = NonNull::new(black_box(block)).ok_or(Refused)?;
                // SAFETY: lent just now.
                unsafe { H::allocator().dealloc(block.as_ptr(), layout(65_536)) };
            }
            Ok(())
        }))
    }
}

fn zeroes(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let pool = StratifiedMemoryPool::new("zeroes");
    let own = vec![Contestant::timed("arenite", Side::Ours, |turns| {
        for _ in 0..turns {
            drop(black_box(pool.allocate_zeroed(65_536).map_err(|_| Refused)?));
        }
        Ok(())
    })];
    bench.compare(case, PLAIN, with_heaps(own, Zeroes))
}

/// Three blocks, then all freed.
struct Three;

impl Enter for Three {
    fn heap<H: Heap>(&self) -> Option<Contestant<'static>> {
        let mut lender = HeapBlocks::<H, 1024>::new();
        Some(Contestant::timed(H::NAME, Side::Rival, move |turns| {
            for turn in 0..turns {
                let three = [lender.take(turn)?, lender.take(turn)?, lender.take(turn)?];
                for block in three {
                    lender.give(block)?;
                }
            }
            Ok(())
        }))
    }
}

fn context(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let own = vec![
        Contestant::timed("arenite", Side::Ours, |turns| {
            for turn in 0..turns {
                let context = AnalyticsContext::new(black_box("bench"));
                for _ in 0..3 {
                    let mut block = context.allocate_uninit::<u64>(128).map_err(|_| Refused)?;
                    tally::lent(1024);
                    tally::wrote();
                    black_box(block[0].write(turn));
                }
                (0..3).for_each(|_| tally::freed());
                black_box(&context);
            }
            Ok(())
        }),
        Contestant::timed("arenite, zeroes", Side::Variant, |turns| {
            for turn in 0..turns {
                let context = AnalyticsContext::new(black_box("bench"));
                for _ in 0..3 {
                    let mut block = context.allocate_typed::<u64>(128).map_err(|_| Refused)?;
                    tally::lent(1024);
                    tally::wrote();
                    block[0] = turn;
                    black_box(&mut block[0]);
                }
                (0..3).for_each(|_| tally::freed());
                black_box(&context);
            }
            Ok(())
        }),
    ];
    bench.compare(case, PLAIN, with_heaps(own, Three))
}

/// What the memory pool's cases may take.
const POOL: usize = if cfg!(debug_assertions) { 16 << 20 } else { 256 << 20 };

/// A size from 4 KiB to 1 MiB, each doubling as likely.
fn tensor(sequence: &mut Sequence) -> usize {
    let top = 12 + sequence.next() % 8;
    (1 << top) + (sequence.next() % (1 << top)) / 64 * 64
}

/// Blocks of a pool, of tensors' sizes, which fill a part of it.
fn filled(pool: &MemoryPool, percent: usize) -> Result<Vec<(NonNull<u8>, usize)>, Refused> {
    let mut sequence = Sequence(5);
    let (mut blocks, mut bytes) = (Vec::new(), 0);
    // twice as many as stay, so that there are gaps
    while bytes < POOL / 100 * percent {
        let size = tensor(&mut sequence);
        let Ok(block) = Resource::allocate(pool, layout(size)) else { break };
        blocks.push((block.cast(), size));
        bytes += size;
        if sequence.next().is_multiple_of(3) {
            let (block, size) = blocks.swap_remove(sequence.next() % blocks.len());
            // SAFETY: a live block of the pool.
            unsafe { pool.deallocate(block, layout(size)) };
            bytes -= size;
        }
    }
    Ok(blocks)
}

/// Pairs of a sequence of sizes, or of one.
struct Tensors {
    same: bool,
}

impl Tensors {
    #[inline(always)]
    fn layout(&self, sequence: &mut Sequence) -> Layout {
        layout(if self.same { 65_536 } else { tensor(sequence) })
    }
}

impl Enter for Tensors {
    fn heap<H: Heap>(&self) -> Option<Contestant<'static>> {
        let sizes = Self { same: self.same };
        Some(Contestant::timed(H::NAME, Side::Rival, move |turns| {
            let mut sequence = Sequence(9);
            for turn in 0..turns {
                let layout = sizes.layout(&mut sequence);
                // SAFETY: a size that is not zero.
                let block = NonNull::new(unsafe { H::allocator().alloc(layout) }).ok_or(Refused)?;
                // SAFETY: at 64, and larger than a word.
                unsafe { block.cast::<u64>().write(turn) };
                // SAFETY: lent just now.
                unsafe { H::allocator().dealloc(black_box(block).as_ptr(), layout) };
            }
            Ok(())
        }))
    }
}

fn pair_at<const PERCENT: usize, const SAME: bool>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let pool = MemoryPool::new(POOL).with_alignment(64);
    let blocks = made(case, "arenite", filled(&pool, PERCENT))?;
    let own = vec![Contestant::timed("arenite", Side::Ours, |turns| {
        let mut sequence = Sequence(9);
        let (pool, sizes) = (black_box(&pool), Tensors { same: SAME });
        for turn in 0..turns {
            let layout = sizes.layout(&mut sequence);
            let block = Resource::allocate(pool, layout).map_err(|_| Refused)?.cast::<u8>();
            // SAFETY: at 64, and larger than a word.
            unsafe { block.cast::<u64>().write(turn) };
            // SAFETY: lent just now.
            unsafe { pool.deallocate(black_box(block), layout) };
        }
        Ok(())
    })];
    let rows = bench.compare(case, PLAIN, with_heaps(own, Tensors { same: SAME }));
    for (block, size) in blocks {
        // SAFETY: a live block of the pool.
        unsafe { pool.deallocate(block, layout(size)) };
    }
    rows
}

/// Steps of a churn, and how often each is timed: what other tenants add falls on another step each time.
#[derive(Clone, Copy)]
struct Churning {
    steps: usize,
    times: usize,
}

const OURS: Churning = if cfg!(debug_assertions) {
    Churning { steps: 20_000, times: 2 }
} else {
    Churning { steps: 1_000_000, times: 7 }
};
/// Peers take fewer, as one of them takes 130 us for each: their median is as good, and their worst could only be worse.
const THEIRS: Churning = Churning { steps: 5_000, times: 3 };

/// The least time of each step of a churn, in order.
fn churn<T>(
    by: Churning,
    mut begin: impl FnMut() -> T,
    mut step: impl FnMut(&mut T, &mut Sequence) -> Result<(), Refused>,
    mut end: impl FnMut(T),
) -> Result<Vec<u32>, Refused> {
    let mut least = vec![u32::MAX; by.steps];
    for _ in 0..by.times {
        let mut state = begin();
        let mut sequence = Sequence(3);
        for time in &mut least {
            let before = Instant::now();
            step(&mut state, &mut sequence)?;
            let took = u32::try_from(before.elapsed().as_nanos()).unwrap_or(u32::MAX);
            *time = (*time).min(took);
        }
        end(state);
    }
    least.sort_unstable();
    Ok(least)
}

/// A block of a heap or of the pool, by its layout.
trait Give {
    fn take(&self, layout: Layout) -> Option<NonNull<u8>>;
    fn give(&self, block: NonNull<u8>, layout: Layout);
}

impl Give for &MemoryPool {
    fn take(&self, layout: Layout) -> Option<NonNull<u8>> {
        Some(Resource::allocate(*self, layout).ok()?.cast())
    }

    fn give(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: lent by `take` with this layout.
        unsafe { self.deallocate(block, layout) };
    }
}

/// A heap, as [`Give`].
struct Of<H>(PhantomData<H>);

impl<H: Heap> Give for Of<H> {
    fn take(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: a size that is not zero.
        NonNull::new(unsafe { H::allocator().alloc(layout) })
    }

    fn give(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: lent by `take` with this layout.
        unsafe { H::allocator().dealloc(block.as_ptr(), layout) };
    }
}

/// Blocks of a lender, and the steps of a churn over them.
fn churn_of(lender: impl Give, by: Churning, at: fn(&[u32]) -> u32) -> Result<Reading, Refused> {
    let times = churn(
        by,
        || {
            let mut sequence = Sequence(5);
            let (mut blocks, mut bytes) = (Vec::new(), 0);
            while bytes < POOL / 100 * 30 {
                let size = tensor(&mut sequence);
                let Some(block) = lender.take(layout(size)) else { break };
                blocks.push((block, size));
                bytes += size;
            }
            blocks
        },
        |blocks, sequence| {
            let (block, size) = blocks.swap_remove(sequence.next() % blocks.len());
            lender.give(block, layout(size));
            let size = tensor(sequence);
            blocks.push((lender.take(layout(size)).ok_or(Refused)?, size));
            Ok(())
        },
        |blocks| blocks.into_iter().for_each(|(block, size)| lender.give(block, layout(size))),
    )?;
    Ok(Reading { cpu: Duration::from_nanos(at(&times).into()), ..Reading::default() })
}

struct Churned(fn(&[u32]) -> u32);

impl Enter for Churned {
    fn heap<H: Heap>(&self) -> Option<Contestant<'static>> {
        let at = self.0;
        Some(Contestant::reading(H::NAME, Side::Rival, move |_| churn_of(Of::<H>(PhantomData), THEIRS, at)))
    }
}

fn churned(bench: &Bench, case: &str, at: fn(&[u32]) -> u32) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: 1, metrics: &[Metric::Cpu], rounds_of: RoundsOf::OneTurn };
    let pool = MemoryPool::new(POOL).with_alignment(64);
    // what was never touched would fault once, whoever lends it
    let warm = Resource::allocate(&pool, layout(POOL / 2)).map_err(|_| Refused);
    let warm = made(case, "arenite", warm)?.cast::<u8>();
    // SAFETY: a fresh block of that size.
    unsafe { warm.write_bytes(1, POOL / 2) };
    // SAFETY: lent just now.
    unsafe { pool.deallocate(warm, layout(POOL / 2)) };
    let own = vec![Contestant::reading("arenite", Side::Ours, |_| churn_of(&pool, OURS, at))];
    bench.few().compare(case, plan, with_heaps(own, Churned(at)))
}

fn churn_median(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    churned(bench, case, |times| times[times.len() / 2])
}

fn churn_worst(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    churned(bench, case, |times| times[times.len() - 1])
}

/// Blocks that a loop goes through side by side, and the words of each.
const COLUMNS: usize = 64;
const WORDS: usize = 512;

/// Adds up a word of each block, and the next word of each, and so on.
fn column_by_column(blocks: &[NonNull<u8>], turns: u64) -> Result<(), Refused> {
    let mut sum = 0_u64;
    for _ in 0..turns {
        for word in 0..WORDS {
            for block in black_box(blocks) {
                // SAFETY: below the block's end.
                let at = unsafe { block.cast::<u64>().add(word) };
                // SAFETY: as above, and written before.
                sum = sum.wrapping_add(unsafe { at.read() });
            }
        }
    }
    black_box(sum);
    Ok(())
}

/// Blocks of 64 KiB with their first words written; they are not given back.
fn written(mut take: impl FnMut() -> Option<NonNull<u8>>) -> Result<Vec<NonNull<u8>>, Refused> {
    let blocks: Option<Vec<_>> = (0..COLUMNS).map(|_| take()).collect();
    let blocks = blocks.ok_or(Refused)?;
    for block in &blocks {
        // SAFETY: a fresh block of more bytes.
        unsafe { block.write_bytes(1, WORDS * 8) };
    }
    Ok(blocks)
}

struct Columns;

impl Enter for Columns {
    fn heap<H: Heap>(&self) -> Option<Contestant<'static>> {
        // SAFETY: a size that is not zero.
        let blocks = written(|| NonNull::new(unsafe { H::allocator().alloc(layout(65_536)) })).ok()?;
        Some(Contestant::timed(H::NAME, Side::Rival, move |turns| column_by_column(&blocks, turns)))
    }
}

fn columns(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let units = u32::try_from(COLUMNS * WORDS).unwrap_or(u32::MAX);
    let plan = Plan { units, metrics: &[Metric::Cpu], rounds_of: RoundsOf::Time(4) };
    let (coloured, plain) = (CacheOptimizedAllocator::new(), arenite_alloc::Heap::new());
    let of = |resource: &dyn Resource| written(|| Some(resource.allocate(layout(65_536)).ok()?.cast()));
    let (ours, without) = (made(case, "arenite", of(&coloured))?, made(case, "arenite", of(&plain))?);
    let own = vec![
        Contestant::timed("arenite", Side::Ours, |turns| column_by_column(&ours, turns)),
        Contestant::timed("arenite without colours", Side::Variant, |turns| {
            column_by_column(&without, turns)
        }),
    ];
    bench.compare(case, plan, with_heaps(own, Columns))
}

fn charge<const DEPTH: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let mut budget = Budget::new("root", 1 << 30);
    for _ in 0..DEPTH {
        budget = budget.child("node", usize::MAX);
    }
    // as in a program that has run for a while: each charge below the peak
    made(case, "arenite", budget.charge(1 << 29).map_err(|_| Refused))?;
    budget.release(1 << 29);
    let own = vec![
        Contestant::timed("arenite", Side::Ours, |turns| {
            let budget = black_box(&budget);
            for _ in 0..turns {
                budget.charge(black_box(100)).map_err(|_| Refused)?;
                budget.release(100);
            }
            Ok(())
        }),
        Contestant::timed("arenite, the charge alone", Side::Variant, |turns| {
            let budget = black_box(&budget);
            for _ in 0..turns {
                budget.charge(black_box(1)).map_err(|_| Refused)?;
            }
            budget.release(usize::try_from(turns).map_err(|_| Refused)?);
            Ok(())
        }),
    ];
    // what no limit on several levels can cost less than
    let alone = AtomicUsize::new(0);
    let counter = Contestant::timed("one atomic counter", Side::Rival, |turns| {
        let counter = black_box(&alone);
        for _ in 0..turns {
            let below = |used: usize| used.checked_add(100).filter(|&sum| sum <= 1 << 30);
            counter.fetch_update(Relaxed, Relaxed, below).map_err(|_| Refused)?;
            counter.fetch_sub(100, Relaxed);
        }
        Ok(())
    });
    bench.compare(case, PLAIN, own.into_iter().chain([counter]).collect())
}
