//! Regression tests: one per finding of a review.
//!
//! Each finding was undefined behaviour or a broken contract that safe code could reach.

use arenite_alloc::*;
use arenite_core::{AllocErrorKind, Block, Event, EventKind, MemoryAllocator, Owns, Resource, Sink, Trim};
use arenite_pages::PageAllocator;
use core::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use testkit::doubles::{Counting, Scribbling};

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a small layout")
}

/// A value that detects overwriting and counts its drops in one of the counters of [`DROPS`].
struct Canary {
    marks: [u64; 4],
    counter: usize,
}

static DROPS: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

impl Canary {
    const MARKS: [u64; 4] = [0x0123_4567_89AB_CDEF; 4];

    fn new(counter: usize) -> Self {
        Self { marks: Self::MARKS, counter }
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        assert_eq!(self.marks, Self::MARKS, "overwritten while owned");
        DROPS[self.counter].fetch_add(1, Relaxed);
    }
}

#[test]
fn root_mark_restores_after_the_first_chunk_is_freed() {
    let mut arena = Arena::with_chunk_size(Scribbling::new(PageAllocator::new()), 4096);
    drop(Block::new_in(layout(64), &arena).unwrap());
    arena.reset();
    let mark = arena.mark().unwrap();
    arena.trim(0);
    drop(Block::new_in(layout(9000), &arena).unwrap());
    arena.restore(mark).unwrap();
    let seven = arena.alloc(7u64).unwrap();
    let chunk = arena.chunks()[0];
    let offset = (&raw const *seven).addr() - chunk.data.addr();
    assert!(offset < chunk.size, "a block outside the arena's chunks");
}

#[test]
fn block_below_a_touching_chunk_does_not_grow_in_place() {
    let outer = Arena::new();
    let arena = Arena::with_chunk_size(&outer, 64);
    let mut low = Block::new_in(layout(64), &arena).unwrap();
    let high = Block::new_in(layout(64), &arena).unwrap();
    assert_eq!(low.as_ptr().addr().get() + 64, high.as_ptr().addr().get(), "the chunks touch");
    drop(high);
    low.resize(100).unwrap();
    let home = arena
        .chunks()
        .into_iter()
        .find(|chunk| low.as_ptr().addr().get().wrapping_sub(chunk.data.addr()) < chunk.size);
    let home = home.unwrap();
    assert!(low.as_ptr().addr().get() + 100 <= home.data.addr() + home.size, "a block over two chunks");
    drop(low);
    let state = arena.state();
    assert!(state.live_blocks == 0 && state.in_use <= state.held, "{state}");
    assert!(arena.chunks().iter().all(|chunk| chunk.used <= chunk.size));
}

#[test]
fn shared_arena_scope_survives_a_restore_below_its_start() {
    let mut arena = SharedArena::new();
    let _kept = ArenaBox::leak(arena.alloc(1u64).unwrap());
    let mark = arena.mark().unwrap();
    drop(Block::new_in(layout(24), &arena).unwrap());
    arena.scope(|scope| {
        let _either: Result<(), RestoreError> = scope.restore(mark);
        let _adopted = scope.alloc_with_drop(Canary::new(0)).unwrap();
    });
    assert_eq!(DROPS[0].load(Relaxed), 1, "adopted values are dropped at the end of the scope");
    let _over = arena.alloc_slice_copy(&[0u64; 50]).unwrap();
    arena.reset();
    assert_eq!(DROPS[0].load(Relaxed), 1);
}

#[test]
fn values_adopted_by_threads_are_dropped_above_a_concurrent_mark() {
    const EACH: usize = 2000;
    for round in 1..=50 {
        let mut arena = SharedArena::new();
        let marks: Vec<_> = std::thread::scope(|threads| {
            for _ in 0..3 {
                threads.spawn(|| {
                    (0..EACH).for_each(|_| arena.alloc_with_drop(Canary::new(1)).map(drop).unwrap())
                });
            }
            let mark_further_on = |last: &mut usize| {
                while arena.in_use() <= *last && arena.state().live_blocks < 3 * EACH {
                    std::hint::spin_loop();
                }
                *last = arena.in_use();
                arena.mark().ok()
            };
            (0..63).scan(0, |last, _| Some(mark_further_on(last))).flatten().collect()
        });
        for mark in marks.into_iter().rev() {
            arena.restore_mut(mark).unwrap();
            let dropped = DROPS[1].load(Relaxed) - (round - 1) * 3 * EACH;
            assert_eq!(
                dropped + arena.state().live_blocks,
                3 * EACH,
                "a value lost its memory before it was dropped"
            );
        }
        arena.reset();
        assert_eq!(DROPS[1].load(Relaxed), round * 3 * EACH);
    }
}

#[test]
fn zero_size_blocks_are_freed_once_by_the_checked_api() {
    let allocator = SystemAllocator::new();
    let blocks: Vec<_> = (0..10).map(|_| allocator.allocate(0, 8).unwrap()).collect();
    for block in blocks {
        allocator.deallocate(block, 0, 8).unwrap();
        assert!(allocator.deallocate(std::ptr::without_provenance_mut(12_345), 0, 8).is_err());
    }
    assert_eq!(allocator.allocated_size(), 0);
}

#[test]
fn chunks_can_be_listed_after_a_trim_of_an_empty_arena() {
    let arena = Arena::with_chunk_size(PageAllocator::new(), 4096);
    drop(Block::new_in(layout(64), &arena).unwrap());
    drop(Block::new_in(layout(90_000), &arena).unwrap());
    arena.trim(4096);
    assert_eq!(arena.chunks().iter().map(|chunk| chunk.used).sum::<usize>(), 0);
    let _kept = arena.alloc_slice_copy(&[1u8; 5000]).unwrap();
    assert_eq!(arena.in_use(), 5000);
}

#[test]
fn shared_arena_fails_beyond_its_largest_position() {
    let arena = SharedArena::with_capacity(8 << 40);
    let vast = Layout::from_size_align(5 << 40, 8).unwrap();
    let error = arena.allocate(vast).unwrap_err();
    assert!(
        matches!(error.kind, AllocErrorKind::CapacityReached | AllocErrorKind::Exhausted { .. }),
        "{error}"
    );
}

#[test]
fn pool_checked_free_rejects_blocks_owned_by_containers() {
    let (pool, shared) = (Pool::new(64, 4).unwrap(), SharedPool::new(64, 4).unwrap());
    let owned = Block::new_in(layout(64), &pool).unwrap();
    assert!(
        pool.deallocate_block(owned.as_ptr()).is_err(),
        "a block that a container owns was freed by safe code"
    );
    let other = Block::new_in(layout(64), &pool).unwrap();
    assert_ne!(owned.as_ptr(), other.as_ptr());
    let owned = Block::new_in(layout(64), &shared).unwrap();
    assert!(
        shared.deallocate_block(owned.as_ptr()).is_err(),
        "a block that a container owns was freed by safe code"
    );
    let allocator: &dyn MemoryAllocator<Error = arenite_core::AllocError> = &shared;
    assert!(allocator.deallocate(owned.as_ptr().as_ptr(), 64, 8).is_err());
    assert!(allocator.reallocate(owned.as_ptr().as_ptr(), 64, 32, 8).is_err());
    drop(owned);
    let block = pool.allocate_block().unwrap();
    pool.deallocate_block(block).unwrap();
    let block = shared.allocate_block().unwrap();
    shared.deallocate_block(block).unwrap();
}

#[test]
fn pool_aligns_blocks_or_fails_above_two_mebibytes() {
    for align in [4 << 20, 16 << 20, 64 << 20] {
        let layout = Layout::from_size_align(100, align).unwrap();
        if let Ok(pool) = Pool::with_alignment(100, align, 2) {
            let block = pool.allocate_block().unwrap();
            assert!(block.addr().get().is_multiple_of(align), "{block:?} for {align}");
        }
        if let Ok(block) = Block::new_in(layout, &BinnedPools::new()) {
            assert!(block.as_ptr().addr().get().is_multiple_of(align), "{block:?}");
        }
    }
}

#[test]
fn failed_request_does_not_raise_the_peak_of_a_limit() {
    let limit = Limit::new(Failing::fail_nth(CountedGlobal::new(), 0), 1000);
    assert_eq!(limit.allocate(layout(900)).unwrap_err().kind, AllocErrorKind::Injected);
    assert_eq!(limit.state().peak, 0);
    let mut block = Block::new_in(layout(10), &limit).unwrap();
    assert!(block.resize(2000).is_err());
    assert_eq!((limit.state().in_use, limit.state().peak), (10, 10));
}

#[test]
fn a_panicking_destructor_leaves_no_scope_of_a_shared_arena_open() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a destructor that panics");
        }
    }
    let mut arena = SharedArena::new();
    let mark = arena.mark().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        arena.scope(|scope| scope.alloc_with_drop(Bomb).map(drop).unwrap())
    }));
    assert!(panicked.is_err());
    assert!(!matches!(arena.restore(mark), Err(RestoreError::OutsideScope)), "no scope is open");
    arena.restore_mut(mark).unwrap();
    assert_eq!(arena.in_use(), 0);
}

type Reentrant = Arena<Chunked<Traced<CountedGlobal, CallBack>>>;

thread_local! {
    static ARENA: RefCell<Option<LocalHandle<Reentrant>>> = const { RefCell::new(None) };
    static BLOCKS: RefCell<Vec<Block<LocalHandle<Reentrant>>>> = const { RefCell::new(Vec::new()) };
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// A sink that allocates from the arena whose upstream sends the event.
struct CallBack;

impl Sink for CallBack {
    fn record(&self, _event: &Event) {
        if BUSY.replace(true) {
            return;
        }
        let arena = ARENA.with_borrow(|arena| arena.clone());
        if let Some(arena) = arena {
            let block = Block::zeroed_in(layout(16), arena.clone());
            BLOCKS.with_borrow_mut(|blocks| blocks.extend(block));
        }
        BUSY.set(false);
    }
}

#[test]
fn reentrant_upstream_gets_no_block_twice() {
    let arena = LocalHandle::new(Arena::with_chunk_size(
        Traced::new(CountedGlobal::new(), CallBack, "upstream"),
        256,
    ));
    ARENA.set(Some(arena.clone()));
    let root = arena.mark().unwrap();
    let mut held: Vec<Block<_>> = Vec::new();
    for size in [64, 100, 64, 100, 300, 8, 200, 2000] {
        let mut block = Block::new_in(layout(size), arena.clone()).unwrap();
        block.bytes_mut().fill(core::mem::MaybeUninit::new(0xEE));
        held.push(block);
        let blocks = BLOCKS.with_borrow(Vec::len);
        assert_eq!(arena.state().live_blocks, held.len() + blocks);
        assert_eq!(arena.restore(root), Err(RestoreError::BlocksAlive { count: held.len() + blocks }));
    }
    drop(BLOCKS.take());
    let top = arena.mark().unwrap();
    arena.restore(top).unwrap();
    held.clear();
    arena.restore(root).unwrap();
    // Every chunk is freed, and each time the sink allocates a block.
    arena.trim(0);
    let blocks = BLOCKS.take();
    assert_eq!(arena.state().live_blocks, blocks.len());
    let chunks = arena.chunks();
    for block in &blocks {
        let at = block.as_ptr().addr().get();
        assert!(
            chunks.iter().any(|chunk| at.wrapping_sub(chunk.data.addr()) < chunk.size),
            "a block in freed memory"
        );
    }
    drop(blocks);
    ARENA.set(None);
}

type FallbackArena<U> = Fallback<Arena<Chunked<U>>, Counting<CountedGlobal>>;
type FallbackBlock<U> = Block<LocalHandle<FallbackArena<U>>>;

/// Returns the live blocks of both resources, and the number of frees that reached the wrong one.
fn counts<U: Resource>(both: &FallbackArena<U>) -> [usize; 3] {
    let second = both.second();
    [both.first().state().live_blocks, second.state().live_blocks, second.invalid_frees()]
}

#[test]
fn reclaimer_frees_older_blocks_where_they_were_allocated() {
    type Upstream = Budgeted<PageAllocator>;
    thread_local! {
        static CACHE: RefCell<Vec<FallbackBlock<Upstream>>> = const { RefCell::new(Vec::new()) };
    }
    let budget = Budget::new("job", 8192);
    budget.on_exhausted(|_| CACHE.take().iter().map(Block::len).sum());
    let arena = Arena::with_chunk_size(Budgeted::new(PageAllocator::new(), budget), 4096);
    let both = LocalHandle::new(Fallback::new(arena, Counting::new(CountedGlobal::new())));
    let new = || Block::new_in(layout(3000), both.clone()).unwrap();
    let oldest = new(); // chunk 0
    CACHE.with_borrow_mut(|cache| cache.push(oldest));
    let _second = new(); // chunk 1
    assert_eq!(counts(&both), [2, 0, 0]);
    let _third = new(); // no third chunk: the reclaimer frees the oldest block
    assert!(CACHE.with_borrow(Vec::is_empty), "the reclaimer did not run");
    assert_eq!(counts(&both), [1, 1, 0]);
}

/// A sink that calls back into the arena whose upstream sends the event: it resizes and frees
/// blocks of older chunks, marks, trims, and reads the state. `Traced` catches its panics, so the
/// test compares the calls begun with those completed.
struct UseOlderBlocks;

type Sunk = Traced<CountedGlobal, UseOlderBlocks>;

thread_local! {
    static OLDER: RefCell<Vec<FallbackBlock<Sunk>>> = const { RefCell::new(Vec::new()) };
    static OWNER: RefCell<Option<LocalHandle<FallbackArena<Sunk>>>> = const { RefCell::new(None) };
    static BEGUN: Cell<usize> = const { Cell::new(0) };
    static COMPLETED: Cell<usize> = const { Cell::new(0) };
}

impl Sink for UseOlderBlocks {
    fn record(&self, _event: &Event) {
        let Some(both) = OWNER.take() else { return };
        let call = BEGUN.replace(BEGUN.get() + 1);
        let arena = both.first();
        assert!(arena.chunks().len() < 1000 && arena.state().held < 1 << 20);
        for _attempt in 0..3 {
            assert!(arena.allocate(layout(5000)).is_err(), "a growth inside a growth or a trim");
        }
        assert_eq!(arena.trim(0), 0, "a trim inside a growth or a trim");
        assert!(arena.mark().is_ok());
        let mut older = OLDER.take();
        if let Some(first) = older.first_mut() {
            match call % 3 {
                0 => drop(older.remove(0)),
                1 => assert!(first.resize(10).is_ok()),
                _ => assert!(first.resize(200).is_ok()),
            }
        }
        OLDER.set(older);
        OWNER.set(Some(both));
        COMPLETED.set(COMPLETED.get() + 1);
    }
}

#[test]
fn sink_uses_older_blocks_while_the_arena_grows_and_trims() {
    let arena = Arena::with_chunk_size(Traced::new(CountedGlobal::new(), UseOlderBlocks, "upstream"), 256);
    let both = LocalHandle::new(Fallback::new(arena, Counting::new(CountedGlobal::new())));
    let root = both.first().mark().unwrap();
    OWNER.set(Some(both.clone()));
    for round in 0..20 {
        for number in 0..30 {
            let mut block = Block::new_in(layout(64 + number), both.clone()).unwrap();
            block.bytes_mut().fill(core::mem::MaybeUninit::new(0xEE));
            OLDER.with_borrow_mut(|older| older.push(block));
        }
        // Chunks above the position are freed while blocks below it are in use.
        OWNER.set(None);
        let mark = both.first().mark().unwrap();
        let large: Vec<_> = (0..3).map(|_| Block::new_in(layout(4000), both.clone()).unwrap()).collect();
        drop(large);
        both.first().restore(mark).unwrap();
        OWNER.set(Some(both.clone()));
        assert!(both.first().trim(0) >= 3 * 4000);
        OLDER.with_borrow_mut(|older| older.truncate(10 - round % 10));
    }
    assert!(BEGUN.get() > 100, "the sink ran");
    assert_eq!(BEGUN.get(), COMPLETED.get(), "an assertion of the sink failed");
    OWNER.set(None);
    drop(OLDER.take());
    assert_eq!(counts(&both), [0; 3]);
    both.first().restore(root).unwrap();
    both.first().trim(0);
    assert_eq!(both.first().state().held, 0);
}

/// A sink that restores an older mark while the arena grows, and allocates there.
struct RestoreInside;

type Restored = Arena<Chunked<Traced<CountedGlobal, RestoreInside>>>;

thread_local! {
    static TARGET: RefCell<Option<(LocalHandle<Restored>, Mark)>> = const { RefCell::new(None) };
    static INSIDE: RefCell<Vec<Block<LocalHandle<Restored>>>> = const { RefCell::new(Vec::new()) };
}

impl Sink for RestoreInside {
    fn record(&self, _event: &Event) {
        let Some((arena, mark)) = TARGET.take() else { return };
        if arena.restore(mark).is_ok()
            && let Ok(block) = Block::new_in(layout(16), arena)
        {
            INSIDE.with_borrow_mut(|inside| inside.push(block));
        }
    }
}

#[test]
fn sink_restores_an_older_mark_while_the_arena_grows() {
    let upstream = Traced::new(CountedGlobal::new(), RestoreInside, "upstream");
    let arena = LocalHandle::new(Arena::with_chunk_size(upstream, 256));
    let new = |size| Block::new_in(layout(size), arena.clone()).unwrap();
    let first = new(40);
    let mark = arena.mark().unwrap();
    drop(new(250)); // a second chunk, empty again
    TARGET.set(Some((arena.clone(), mark)));
    let large = new(1000);
    let inside = INSIDE.take();
    assert_eq!(inside.len(), 1, "the sink ran");
    let mut blocks = [&first, &large, &inside[0]].map(|block| (block.as_ptr(), block.len()));
    assert!(blocks.iter().all(|&(start, _)| arena.owns(start)));
    blocks.sort_unstable();
    assert!(blocks.windows(2).all(|two| two[0].0.addr().get() + two[0].1 <= two[1].0.addr().get()));
    assert_eq!(arena.in_use(), 40 + 16 + 1000);
    assert_eq!(arena.chunks().iter().map(|chunk| chunk.used).sum::<usize>(), arena.in_use());
    drop((first, large, inside));
    assert_eq!(arena.state().live_blocks, 0);
}

#[test]
fn arena_grows_again_after_its_upstream_panicked() {
    let budget = Budget::new("job", 1000);
    budget.on_exhausted(|_| panic!("a reclaimer that panics"));
    let arena = Arena::with_chunk_size(Budgeted::new(PageAllocator::new(), budget.clone()), 4096);
    for _attempt in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| arena.allocate(layout(64)).is_ok())).is_err());
    }
    budget.set_limit(1 << 20);
    assert!(arena.allocate(layout(64)).is_ok());
    assert_eq!((arena.state().live_blocks, arena.chunks().len()), (1, 1));
}

/// A sink that panics on a resize, with a payload that panics on drop.
struct Panicking;

struct Payload;

impl Drop for Payload {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a payload that panics");
    }
}

impl Sink for Panicking {
    fn record(&self, event: &Event) {
        if matches!(event.kind, EventKind::Resize { .. }) {
            std::panic::panic_any(Payload);
        }
    }
}

#[test]
fn panicking_sink_frees_no_block_twice() {
    let upstream = Counting::new(CountedGlobal::new());
    // The double grows a block by a new block and a free of the old one.
    let traced = Traced::new(Scribbling::new(&upstream), Panicking, "traced");
    for size in [100, 10_000, 8] {
        // The old block must not be freed again, whether or not the panic passes through.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let mut block = Block::zeroed_in(layout(64), &traced).unwrap();
            assert!(block.resize(size).is_ok());
        }));
        if let Err(payload) = ended {
            let _kept = std::mem::ManuallyDrop::new(payload);
        }
        assert_eq!(upstream.invalid_frees(), 0, "a block was freed twice");
    }
}

#[test]
fn upstream_blocks_are_freed_as_allocated() {
    let upstream = Counting::new(CountedGlobal::new());
    for chunk in [0, 1, 7, 100, 4096] {
        let mut arena = Arena::with_chunk_size(&upstream, chunk);
        for size in [0, 1, 100, 5000, 3] {
            let _kept = ArenaBox::leak(arena.alloc([0u8; 10]).unwrap());
            assert!(arena.alloc_bytes(size).is_ok());
        }
        arena.reset();
        arena.trim(100);
    }
    assert_eq!((upstream.allocations(), upstream.state().in_use), (upstream.deallocations(), 0));
}
