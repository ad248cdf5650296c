//! Regression tests: one per finding of a review.
//!
//! Each finding was undefined behaviour or a broken contract that safe code could reach.

use arenite_alloc::*;
use arenite_core::{AllocErrorKind, Block, Event, EventKind, MemoryAllocator, Resource, Sink, Trim};
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
