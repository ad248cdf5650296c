//! The checked API over every allocator: random valid and invalid calls, from one thread and from
//! four.
//!
//! The type is chosen at run time, as in a program that separates temporary, streaming and
//! persistent data.

use arenite_alloc::*;
use arenite_core::{AllocError, MemoryAllocator};
use arenite_pages::PageAllocator;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use testkit::checked_api::{Caller, DynAllocator, Op, follow, ops};
use testkit::model::run;

macro_rules! allocators {
    ($($name:ident: $make:expr, $max_size:expr, $max_align:expr, $block:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn u38_random_valid_and_invalid_calls_follow_the_model() {
                run(&ops($max_size, $max_align), 300, |ops| {
                    let allocator: DynAllocator = Box::new($make);
                    follow(&allocator, &ops, $block);
                });
            }

            #[test]
            fn u33_four_threads_allocate_resize_and_free_each_others_blocks() {
                let allocator: DynAllocator = Box::new($make);
                four_threads(&allocator, $max_size.min(300), $max_align);
            }
        }
    )*};
}

allocators! {
    system: SystemAllocator::new(), 5000, 4096, None;
    arena: ArenaAllocator::new(10 * 1024 * 1024), 5000, 4096, None;
    pool: PoolAllocator::new(1024, 100).unwrap(), 1024, 64, Some(1024);
    shared_pool: SharedPool::new(24, 100).unwrap(), 24, 8, Some(24);
    thread_safe: ThreadSafeAllocator::new(), 5000, 4096, None;
    thread_safe_arena: ThreadSafeAllocator::with_upstream(Arena::new()), 5000, 4096, None;
    thread_safe_chunks: ThreadSafeAllocator::with_upstream(Arena::with_chunk_size(PageAllocator::new(), 4096)), 5000, 4096, None;
    checked_arena: Checked::new(SharedArena::new()), 5000, 4096, None;
    checked_pages: Checked::new(PageAllocator::new()), 5000, 4096, None;
    checked_pool: Checked::new(Locked::new(Pool::new(1024, 100).unwrap())), 1024, 64, None;
    checked_sizes: ThreadSafeAllocator::with_upstream(BinnedPools::new()), 5000, 4096, None;
    checked_limit: Checked::new(Limit::new(CountedGlobal::new(), 1 << 30)), 5000, 4096, None;
    logging: LoggingAllocator::with_log(SystemAllocator::new(), |_line| {}), 5000, 4096, None;
    boxed_twice: Box::new(SystemAllocator::new()) as DynAllocator, 5000, 4096, None;
    counted: Arc::new(SystemAllocator::new()), 5000, 4096, None;
}

/// Makes random calls on four threads, which pass some blocks to each other to be freed.
fn four_threads(allocator: &DynAllocator, max_size: usize, max_align: usize) {
    let exchange = Mutex::new(Caller::default());
    std::thread::scope(|threads| {
        for id in 0..4usize {
            let exchange = &exchange;
            threads.spawn(move || {
                let mut caller = Caller::default();
                for round in 0..1000usize {
                    caller.apply(&**allocator, nth(round * 4 + id, max_size, max_align));
                    if round % 7 == 0 {
                        caller.hand_over(&mut exchange.lock().expect("no panic"));
                    }
                    if round % 7 == 3 {
                        exchange.lock().expect("no panic").hand_over(&mut caller);
                    }
                    if caller.live_blocks() > 15 {
                        caller.deallocate_all(&**allocator);
                    }
                }
                caller.check();
                caller.deallocate_all(&**allocator);
            });
        }
    });
    exchange.lock().expect("no panic").deallocate_all(&**allocator);
    assert_eq!(allocator.allocated_size(), 0);
    assert!(allocator.peak_allocated() > 0);
}

/// Returns the call of a thread's step; one in three frees a block.
fn nth(step: usize, max_size: usize, max_align: usize) -> Op {
    let random = step.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    match random % 6 {
        0..3 => {
            Op::Allocate(random % (max_size + 1), 1 << (random % (max_align.min(64).ilog2() as usize + 1)))
        }
        3 => Op::Reallocate { at: random, size: random % (max_size + 1) },
        _ => Op::Deallocate { at: random },
    }
}

#[test]
fn u38_an_allocator_is_chosen_by_use_at_run_time() {
    let choose = |class: &str| -> Box<dyn MemoryAllocator<Error = AllocError>> {
        match class {
            "temporary" => Box::new(ArenaAllocator::new(1 << 20)),
            "streaming" => Box::new(PoolAllocator::new(4096, 16).unwrap()),
            "persistent" => Box::new(SystemAllocator::new()),
            "large_file" => Box::new(Checked::new(PageAllocator::new())),
            _ => Box::new(ThreadSafeAllocator::new()),
        }
    };
    for class in ["temporary", "streaming", "persistent", "large_file", "other"] {
        let allocator = choose(class);
        let block = allocator.allocate(4096, 64).unwrap();
        assert_eq!((allocator.allocated_size(), allocator.peak_allocated()), (4096, 4096), "{class}");
        allocator.deallocate(block, 4096, 64).unwrap();
        assert_eq!(allocator.allocated_size(), 0, "{class}");
        assert!(allocator.deallocate(block, 4096, 64).is_err(), "{class}");
    }
}

#[test]
fn u01_trait_object_is_shared_and_all_methods_work() {
    fn shared<T: Send + Sync + ?Sized>(_: &T) {}
    let allocator: DynAllocator = Box::new(SystemAllocator::new());
    shared(&allocator);
    let block = allocator.allocate(100, 8).unwrap();
    let block = allocator.reallocate(block, 100, 200, 8).unwrap();
    assert_eq!((allocator.allocated_size(), allocator.peak_allocated() >= 200), (200, true));
    allocator.deallocate(block, 200, 8).unwrap();
    allocator.reset_peak();
    assert_eq!(allocator.peak_allocated(), 0);
}

#[test]
fn u05_arena_allocates_ten_mebibytes_and_resets() {
    let mut arena = ArenaAllocator::new(10 * 1024 * 1024);
    let blocks: Vec<_> = (0..10).map(|_| arena.allocate(1_000_000, 64).unwrap()).collect();
    assert_eq!(arena.allocated_size(), 10_000_000);
    let error = arena.allocate(1_000_000, 64).unwrap_err();
    assert_eq!(error.size, 1_000_000);
    arena.reset();
    assert_eq!((arena.allocated_size(), arena.peak_allocated()), (0, 10_000_000));
    assert!(
        blocks.iter().all(|&block| arena.deallocate(block, 1_000_000, 64).is_err()),
        "the reset freed them"
    );
    let _again = arena.allocate(10_000_000, 64).unwrap();
}

#[test]
fn u12_system_allocator_tracks_allocated_bytes() {
    let system = SystemAllocator::new();
    let a = system.allocate(1000, 8).unwrap();
    let b = system.allocate(2000, 16).unwrap();
    system.deallocate(a, 1000, 8).unwrap();
    assert_eq!((system.allocated_size(), system.peak_allocated()), (2000, 3000));
    system.deallocate(b, 2000, 16).unwrap();
    assert_eq!((system.allocated_size(), system.peak_allocated()), (0, 3000));
}

#[test]
fn u29_logging_allocator_forwards_all_six_methods() {
    let lines = Mutex::new(0);
    let logging = LoggingAllocator::with_log(SystemAllocator::new(), |_line| *lines.lock().unwrap() += 1);
    let block = logging.allocate(64, 8).unwrap();
    let block = logging.reallocate(block, 64, 128, 8).unwrap();
    assert_eq!(logging.allocated_size(), logging.inner().allocated_size());
    assert_eq!(logging.peak_allocated(), logging.inner().peak_allocated());
    logging.deallocate(block, 128, 8).unwrap();
    logging.reset_peak();
    assert_eq!((logging.calls(), *lines.lock().unwrap(), logging.inner().peak_allocated()), (3, 3, 0));
}

#[test]
fn u33_four_threads_of_a_hundred_allocations_return_to_zero_and_keep_the_peak() {
    let allocator = Arc::new(ThreadSafeAllocator::new());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let allocator = Arc::clone(&allocator);
            std::thread::spawn(move || {
                for size in 1..=100 {
                    let block = allocator.allocate(size * 1024, 8).unwrap();
                    allocator.deallocate(block, size * 1024, 8).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(allocator.allocated_size(), 0);
    assert!(allocator.peak_allocated() >= 100 * 1024);
}

#[test]
fn u08_pool_allocates_exactly_its_block_count() {
    let pool = PoolAllocator::new(1024, 100).unwrap();
    let blocks: Vec<_> = (0..100).map(|_| pool.allocate_block().unwrap()).collect();
    assert!(pool.allocate_block().is_err());
    assert_eq!(pool.fragmentation_level(), 0.0);
    for &block in &blocks[..50] {
        pool.deallocate_block(block).unwrap(); // u09
    }
    assert_eq!(pool.fragmentation_level(), 0.5); // u10
    // u11: the same blocks
    let again: Vec<_> = (0..50).map(|_| pool.allocate_block().unwrap()).collect();
    assert!(again.iter().all(|block| blocks.contains(block)));
}

proptest! {
    #[test]
    fn u09_pool_frees_only_its_own_live_blocks(offsets in proptest::collection::vec(0usize..6000, 1..40)) {
        let pool = PoolAllocator::new(100, 40).unwrap();
        let block = pool.state().limit.unwrap() / 40;
        let first = pool.allocate_block().unwrap();
        let mut live: Vec<usize> = vec![0];
        for offset in offsets {
            let pointer = core::ptr::without_provenance_mut::<u8>(first.addr() + offset);
            let before = pool.state();
            match live.iter().position(|&at| at == offset) {
                Some(index) => {
                    pool.deallocate_block(pointer).unwrap();
                    live.swap_remove(index);
                }
                None => {
                    prop_assert!(pool.deallocate_block(pointer).is_err(), "offset {offset}");
                    prop_assert_eq!(pool.state(), before);
                    if live.len() < 20 {
                        live.push(pool.allocate_block().unwrap().addr() - first.addr());
                    }
                }
            }
            prop_assert_eq!(pool.allocated_size(), live.len() * block);
        }
    }
}
