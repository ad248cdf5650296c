//! The suite `pools`: buffers of several sizes, contexts, one region cut into blocks, and budget
//! charges.
//!
//! Every competitor writes a word into each block, and all use the same sizes.
#![expect(unsafe_code, reason = "allocates and frees raw blocks")]

use super::case::{Case, require};
use super::pool::pairs;
use super::sequence::Sequence;
use crate::bench::{Bench, Metric, Plan, RoundsOf};
use crate::blocks::Blocks;
use crate::competitor::{Competitor, Side};
use crate::failure::{AllocFailed, Failure};
use crate::heaps::{Heap, HeapBlocks, PerHeap, with_peers};
use crate::measurement::Measurement;
use crate::report::Row;
use crate::tally;
use crate::threads::{alternating_round, shared_round};
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

/// Any resource as an allocator of blocks of `SIZE` bytes.
#[derive(Clone, Copy)]
struct ResourceBlocks<'r, R: ?Sized, const SIZE: usize>(&'r R);

const fn layout(size: usize) -> Layout {
    // SAFETY: 64 is a power of two, and the sizes of the suite are far below the maximum.
    unsafe { Layout::from_size_align_unchecked(size, 64) }
}

impl<R: Resource, const SIZE: usize> Blocks for ResourceBlocks<'_, R, SIZE> {
    type Token = NonNull<u8>;

    #[inline(always)]
    fn alloc(&mut self, word: u64) -> Result<NonNull<u8>, AllocFailed> {
        let block = self.0.allocate(layout(SIZE)).map_err(|_| AllocFailed)?.cast::<u8>();
        tally::allocated(SIZE);
        tally::wrote();
        // SAFETY: a fresh block of at least 8 bytes, aligned to 64.
        unsafe { block.cast::<u64>().write(word) };
        Ok(black_box(block))
    }

    #[inline(always)]
    fn free(&mut self, token: NonNull<u8>) -> Result<(), AllocFailed> {
        tally::freed();
        // SAFETY: allocated above with this layout, and not used again.
        unsafe { self.0.deallocate(token, layout(SIZE)) };
        Ok(())
    }
}

const PLAIN: Plan = Plan { units: 1, metrics: &[Metric::Cpu], rounds_of: RoundsOf::Time(1) };

/// One thread's pairs of 1 KiB.
struct Pair;

impl PerHeap<'static> for Pair {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        let mut allocator = HeapBlocks::<H, 1024>::new();
        Competitor::timed(H::NAME, side, move |turns| pairs(&mut allocator, turns))
    }
}

fn stratified(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let local = LocalStratifiedPool::new("local");
    let shared = StratifiedMemoryPool::new("shared");
    let own = vec![
        Competitor::timed("arenite", Side::Ours, |turns| {
            pairs(&mut ResourceBlocks::<_, 1024>(&local), turns)
        }),
        Competitor::timed("arenite shared", Side::Variant, |turns| {
            pairs(&mut ResourceBlocks::<_, 1024>(&shared), turns)
        }),
    ];
    bench.compare(case, PLAIN, with_peers(own, &Pair))
}

/// A number of threads that use a heap at once.
struct Threads(usize);

impl PerHeap<'static> for Threads {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        let threads = self.0;
        Competitor::self_timed(H::NAME, side, move |turns| {
            shared_round((0..threads).map(|_| HeapBlocks::<H, 1024>::new()).collect(), turns, pairs)
        })
    }
}

fn stratified_by(bench: &Bench, case: &str, threads: usize) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: 1, metrics: &[Metric::Cpu, Metric::Wall], rounds_of: RoundsOf::Time(4) };
    let pool = StratifiedMemoryPool::new("shared");
    let separate = [StratifiedMemoryPool::new("first"), StratifiedMemoryPool::new("second")];
    let mut own = vec![Competitor::self_timed("arenite", Side::Ours, |turns| {
        shared_round((0..threads).map(|_| ResourceBlocks::<_, 1024>(&pool)).collect(), turns, pairs)
    })];
    if threads == 2 {
        // The result of two threads that share nothing.
        own.push(Competitor::self_timed("a pool each", Side::Variant, |turns| {
            shared_round(separate.iter().map(ResourceBlocks::<_, 1024>).collect(), turns, pairs)
        }));
    }
    bench.compare(case, plan, with_peers(own, &Threads(threads)))
}

/// Two threads that use a heap alone and at once, in turns.
struct ByTurns;

impl PerHeap<'static> for ByTurns {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        Competitor::self_timed(H::NAME, side, |turns| {
            alternating_round([HeapBlocks::<H, 1024>::new(), HeapBlocks::new()], turns, pairs)
        })
    }
}

fn stratified_at_once(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: 1, metrics: &[Metric::PerAlone], rounds_of: RoundsOf::Time(8) };
    let pool = StratifiedMemoryPool::new("shared");
    let separate = [StratifiedMemoryPool::new("first"), StratifiedMemoryPool::new("second")];
    let own = vec![
        Competitor::self_timed("arenite", Side::Ours, |turns| {
            alternating_round([ResourceBlocks::<_, 1024>(&pool), ResourceBlocks(&pool)], turns, pairs)
        }),
        // The result of two threads that share nothing.
        Competitor::self_timed("a pool each", Side::Variant, |turns| {
            alternating_round(separate.each_ref().map(ResourceBlocks::<_, 1024>), turns, pairs)
        }),
    ];
    bench.compare(case, plan, with_peers(own, &ByTurns))
}

fn stratified_one(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    stratified_by(bench, case, 1)
}

fn stratified_two(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    stratified_by(bench, case, 2)
}

struct Zeroes;

impl PerHeap<'static> for Zeroes {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        Competitor::timed(H::NAME, side, |turns| {
            for _ in 0..turns {
                // SAFETY: the size is not zero.
                let block = unsafe { H::allocator().alloc_zeroed(layout(65_536)) };
                let block = NonNull::new(black_box(block)).ok_or(AllocFailed)?;
                // SAFETY: allocated just now with this layout, and not used again.
                unsafe { H::allocator().dealloc(block.as_ptr(), layout(65_536)) };
            }
            Ok(())
        })
    }
}

fn zeroes(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let pool = StratifiedMemoryPool::new("zeroes");
    let own = vec![Competitor::timed("arenite", Side::Ours, |turns| {
        for _ in 0..turns {
            drop(black_box(pool.allocate_zeroed(65_536).map_err(|_| AllocFailed)?));
        }
        Ok(())
    })];
    bench.compare(case, PLAIN, with_peers(own, &Zeroes))
}

/// Three blocks, then all freed.
struct ThreeBlocks;

impl PerHeap<'static> for ThreeBlocks {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        let mut allocator = HeapBlocks::<H, 1024>::new();
        Competitor::timed(H::NAME, side, move |turns| {
            for turn in 0..turns {
                let three = [allocator.alloc(turn)?, allocator.alloc(turn)?, allocator.alloc(turn)?];
                for block in three {
                    allocator.free(block)?;
                }
            }
            Ok(())
        })
    }
}

fn context(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let own = vec![
        Competitor::timed("arenite", Side::Ours, |turns| {
            for turn in 0..turns {
                let context = AnalyticsContext::new(black_box("bench"));
                for _ in 0..3 {
                    let mut block = context.allocate_uninit::<u64>(128).map_err(|_| AllocFailed)?;
                    tally::allocated(1024);
                    tally::wrote();
                    black_box(block[0].write(turn));
                }
                (0..3).for_each(|_| tally::freed());
                black_box(&context);
            }
            Ok(())
        }),
        Competitor::timed("arenite, zeroes", Side::Variant, |turns| {
            for turn in 0..turns {
                let context = AnalyticsContext::new(black_box("bench"));
                for _ in 0..3 {
                    let mut block = context.allocate_typed::<u64>(128).map_err(|_| AllocFailed)?;
                    tally::allocated(1024);
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
    bench.compare(case, PLAIN, with_peers(own, &ThreeBlocks))
}

/// Capacity of the memory pool in its cases.
const POOL: usize = if cfg!(debug_assertions) { 16 << 20 } else { 256 << 20 };

/// Returns a log-uniform size of 4 KiB to 1 MiB.
fn tensor(sequence: &mut Sequence) -> usize {
    let top = 12 + sequence.next() % 8;
    (1 << top) + (sequence.next() % (1 << top)) / 64 * 64
}

/// Fills a part of a pool with blocks of tensors' sizes.
fn fill_pool(pool: &MemoryPool, percent: usize) -> Result<Vec<(NonNull<u8>, usize)>, AllocFailed> {
    let mut sequence = Sequence(5);
    let (mut blocks, mut bytes) = (Vec::new(), 0);
    // Some blocks are freed on the way, so that there are gaps.
    while bytes < POOL / 100 * percent {
        let size = tensor(&mut sequence);
        let Ok(block) = Resource::allocate(pool, layout(size)) else { break };
        blocks.push((block.cast(), size));
        bytes += size;
        if sequence.next().is_multiple_of(3) {
            let (block, size) = blocks.swap_remove(sequence.next() % blocks.len());
            // SAFETY: a live block of the pool with this layout, which leaves the list.
            unsafe { pool.deallocate(block, layout(size)) };
            bytes -= size;
        }
    }
    Ok(blocks)
}

/// Pairs of varying sizes, or of one size.
struct Tensors {
    same: bool,
}

impl Tensors {
    #[inline(always)]
    fn layout(&self, sequence: &mut Sequence) -> Layout {
        layout(if self.same { 65_536 } else { tensor(sequence) })
    }
}

impl PerHeap<'static> for Tensors {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        let sizes = Self { same: self.same };
        Competitor::timed(H::NAME, side, move |turns| {
            let mut sequence = Sequence(9);
            for turn in 0..turns {
                let layout = sizes.layout(&mut sequence);
                // SAFETY: the size is not zero.
                let block = NonNull::new(unsafe { H::allocator().alloc(layout) }).ok_or(AllocFailed)?;
                // SAFETY: a fresh block, aligned to 64 and larger than a word.
                unsafe { block.cast::<u64>().write(turn) };
                // SAFETY: allocated just now with this layout, and not used again.
                unsafe { H::allocator().dealloc(black_box(block).as_ptr(), layout) };
            }
            Ok(())
        })
    }
}

fn pair_at<const PERCENT: usize, const SAME: bool>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let pool = MemoryPool::new(POOL).with_alignment(64);
    let blocks = require(case, "arenite", fill_pool(&pool, PERCENT))?;
    let own = vec![Competitor::timed("arenite", Side::Ours, |turns| {
        let mut sequence = Sequence(9);
        let (pool, sizes) = (black_box(&pool), Tensors { same: SAME });
        for turn in 0..turns {
            let layout = sizes.layout(&mut sequence);
            let block = Resource::allocate(pool, layout).map_err(|_| AllocFailed)?.cast::<u8>();
            // SAFETY: a fresh block, aligned to 64 and larger than a word.
            unsafe { block.cast::<u64>().write(turn) };
            // SAFETY: allocated just now with this layout, and not used again.
            unsafe { pool.deallocate(black_box(block), layout) };
        }
        Ok(())
    })];
    let rows = bench.compare(case, PLAIN, with_peers(own, &Tensors { same: SAME }));
    for (block, size) in blocks {
        // SAFETY: a live block of the pool with this layout, which leaves the list.
        unsafe { pool.deallocate(block, layout(size)) };
    }
    rows
}

/// The steps of a churn and the repetitions of each, so that disturbances hit another step each
/// time.
#[derive(Clone, Copy)]
struct ChurnSettings {
    steps: usize,
    times: usize,
}

const OWN_CHURN: ChurnSettings = if cfg!(debug_assertions) {
    ChurnSettings { steps: 20_000, times: 2 }
} else {
    ChurnSettings { steps: 1_000_000, times: 7 }
};
/// Peers run fewer steps, because one takes 130 µs per step: the median is as good, and the
/// maximum could only grow.
const PEER_CHURN: ChurnSettings = ChurnSettings { steps: 5_000, times: 3 };

/// Returns the fastest time of each step of a churn, sorted.
fn churn<T>(
    by: ChurnSettings,
    mut setup: impl FnMut() -> T,
    mut step: impl FnMut(&mut T, &mut Sequence) -> Result<(), AllocFailed>,
    mut teardown: impl FnMut(T),
) -> Result<Vec<u32>, AllocFailed> {
    let mut fastest = vec![u32::MAX; by.steps];
    for _ in 0..by.times {
        let mut state = setup();
        let mut sequence = Sequence(3);
        for time in &mut fastest {
            let before = Instant::now();
            step(&mut state, &mut sequence)?;
            let took = u32::try_from(before.elapsed().as_nanos()).unwrap_or(u32::MAX);
            *time = (*time).min(took);
        }
        teardown(state);
    }
    fastest.sort_unstable();
    Ok(fastest)
}

/// An allocator of blocks by their layouts.
trait LayoutAlloc {
    fn alloc(&self, layout: Layout) -> Option<NonNull<u8>>;
    fn free(&self, block: NonNull<u8>, layout: Layout);
}

impl LayoutAlloc for &MemoryPool {
    fn alloc(&self, layout: Layout) -> Option<NonNull<u8>> {
        Some(Resource::allocate(*self, layout).ok()?.cast())
    }

    fn free(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: allocated by `alloc` with this layout, and not used again.
        unsafe { self.deallocate(block, layout) };
    }
}

/// A heap as a [`LayoutAlloc`].
struct HeapAlloc<H>(PhantomData<H>);

impl<H: Heap> LayoutAlloc for HeapAlloc<H> {
    fn alloc(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the size is not zero.
        NonNull::new(unsafe { H::allocator().alloc(layout) })
    }

    fn free(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: allocated by `alloc` with this layout, and not used again.
        unsafe { H::allocator().dealloc(block.as_ptr(), layout) };
    }
}

/// Runs a churn over blocks of `allocator` and returns the chosen step's time.
fn churn_of(
    allocator: impl LayoutAlloc,
    by: ChurnSettings,
    at: fn(&[u32]) -> u32,
) -> Result<Measurement, AllocFailed> {
    let times = churn(
        by,
        || {
            let mut sequence = Sequence(5);
            let (mut blocks, mut bytes) = (Vec::new(), 0);
            while bytes < POOL / 100 * 30 {
                let size = tensor(&mut sequence);
                let Some(block) = allocator.alloc(layout(size)) else { break };
                blocks.push((block, size));
                bytes += size;
            }
            blocks
        },
        |blocks, sequence| {
            let (block, size) = blocks.swap_remove(sequence.next() % blocks.len());
            allocator.free(block, layout(size));
            let size = tensor(sequence);
            blocks.push((allocator.alloc(layout(size)).ok_or(AllocFailed)?, size));
            Ok(())
        },
        |blocks| blocks.into_iter().for_each(|(block, size)| allocator.free(block, layout(size))),
    )?;
    Ok(Measurement { cpu: Duration::from_nanos(at(&times).into()), ..Measurement::default() })
}

struct Churned(fn(&[u32]) -> u32);

impl PerHeap<'static> for Churned {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        let at = self.0;
        Competitor::self_timed(H::NAME, side, move |_| churn_of(HeapAlloc::<H>(PhantomData), PEER_CHURN, at))
    }
}

fn churned(bench: &Bench, case: &str, at: fn(&[u32]) -> u32) -> Result<Vec<Row>, Failure> {
    let plan = Plan { units: 1, metrics: &[Metric::Cpu], rounds_of: RoundsOf::OneTurn };
    let pool = MemoryPool::new(POOL).with_alignment(64);
    // Untouched memory would fault once in any allocator, so it is touched first.
    let warm = Resource::allocate(&pool, layout(POOL / 2)).map_err(|_| AllocFailed);
    let warm = require(case, "arenite", warm)?.cast::<u8>();
    // SAFETY: a fresh block of that size.
    unsafe { warm.write_bytes(1, POOL / 2) };
    // SAFETY: allocated just now with this layout, and not used again.
    unsafe { pool.deallocate(warm, layout(POOL / 2)) };
    let own = vec![Competitor::self_timed("arenite", Side::Ours, |_| churn_of(&pool, OWN_CHURN, at))];
    bench.with_few_rounds().compare(case, plan, with_peers(own, &Churned(at)))
}

fn churn_median(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    churned(bench, case, |times| times[times.len() / 2])
}

fn churn_worst(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    churned(bench, case, |times| times[times.len() - 1])
}

/// Number of blocks that a loop reads in parallel, and of words in each.
const COLUMNS: usize = 64;
const WORDS: usize = 512;

/// Adds up a word of each block, then the next word of each, and so on.
fn column_by_column(blocks: &[NonNull<u8>], turns: u64) -> Result<(), AllocFailed> {
    let mut sum = 0_u64;
    for _ in 0..turns {
        for word in 0..WORDS {
            for block in black_box(blocks) {
                // SAFETY: the word is inside the block.
                let at = unsafe { block.cast::<u64>().add(word) };
                // SAFETY: the word is inside the block and was written before.
                sum = sum.wrapping_add(unsafe { at.read() });
            }
        }
    }
    black_box(sum);
    Ok(())
}

/// Allocates blocks of 64 KiB and writes their first words; the blocks are not freed.
fn written(mut take: impl FnMut() -> Option<NonNull<u8>>) -> Result<Vec<NonNull<u8>>, AllocFailed> {
    let blocks: Option<Vec<_>> = (0..COLUMNS).map(|_| take()).collect();
    let blocks = blocks.ok_or(AllocFailed)?;
    for block in &blocks {
        // SAFETY: a fresh block with more bytes than these.
        unsafe { block.write_bytes(1, WORDS * 8) };
    }
    Ok(blocks)
}

struct Columns;

impl PerHeap<'static> for Columns {
    fn competitor<H: Heap>(&self, side: Side) -> Competitor<'static> {
        // SAFETY: the size is not zero.
        let blocks = written(|| NonNull::new(unsafe { H::allocator().alloc(layout(65_536)) }));
        Competitor::timed(H::NAME, side, move |turns| match &blocks {
            Ok(blocks) => column_by_column(blocks, turns),
            Err(failed) => Err(*failed),
        })
    }
}

fn columns(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let units = u32::try_from(COLUMNS * WORDS).unwrap_or(u32::MAX);
    let plan = Plan { units, metrics: &[Metric::Cpu], rounds_of: RoundsOf::Time(4) };
    let (coloured, plain) = (CacheOptimizedAllocator::new(), arenite_alloc::Heap::new());
    let of = |resource: &dyn Resource| written(|| Some(resource.allocate(layout(65_536)).ok()?.cast()));
    let (ours, without) = (require(case, "arenite", of(&coloured))?, require(case, "arenite", of(&plain))?);
    let own = vec![
        Competitor::timed("arenite", Side::Ours, |turns| column_by_column(&ours, turns)),
        Competitor::timed("arenite without colours", Side::Variant, |turns| {
            column_by_column(&without, turns)
        }),
    ];
    bench.compare(case, plan, with_peers(own, &Columns))
}

fn charge<const DEPTH: usize>(bench: &Bench, case: &str) -> Result<Vec<Row>, Failure> {
    let mut budget = Budget::new("root", 1 << 30);
    for _ in 0..DEPTH {
        budget = budget.child("node", usize::MAX);
    }
    // As in a program that has run for a while, each charge stays below the peak.
    require(case, "arenite", budget.charge(1 << 29).map_err(|_| AllocFailed))?;
    budget.release(1 << 29);
    let own = vec![
        Competitor::timed("arenite", Side::Ours, |turns| {
            let budget = black_box(&budget);
            for _ in 0..turns {
                budget.charge(black_box(100)).map_err(|_| AllocFailed)?;
                budget.release(100);
            }
            Ok(())
        }),
        Competitor::timed("arenite, the charge alone", Side::Variant, |turns| {
            let budget = black_box(&budget);
            for _ in 0..turns {
                budget.charge(black_box(1)).map_err(|_| AllocFailed)?;
            }
            budget.release(usize::try_from(turns).map_err(|_| AllocFailed)?);
            Ok(())
        }),
    ];
    // One counter is a lower bound for any limit on several levels.
    let alone = AtomicUsize::new(0);
    let counter = Competitor::timed("one atomic counter", Side::Rival, |turns| {
        let counter = black_box(&alone);
        for _ in 0..turns {
            let below = |used: usize| used.checked_add(100).filter(|&sum| sum <= 1 << 30);
            counter.fetch_update(Relaxed, Relaxed, below).map_err(|_| AllocFailed)?;
            counter.fetch_sub(100, Relaxed);
        }
        Ok(())
    });
    bench.compare(case, PLAIN, own.into_iter().chain([counter]).collect())
}
