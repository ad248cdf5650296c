//! What asks for memory on its way, where there is none: it answers, and the program goes on.
//!
//! Rests on a global allocator that refuses. The law over every resource is in `laws.rs`; here is what is more than a resource.

use arenite_alloc::*;
use arenite_core::{AllocCause, Resource, Trim};
use arenite_observe::{MemoryMonitor, MemoryTracker};
use arenite_pages::machine::PressureReading;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use testkit::doubles::{ThreadCounter, with_blocks_left};

#[global_allocator]
static COUNTER: ThreadCounter = ThreadCounter;

fn exhausted<A: core::fmt::Debug>(result: Result<A, arenite_core::AllocError>) {
    let refused = matches!(&result, Err(error) if error.cause == AllocCause::Exhausted { errno: 0 });
    assert!(refused, "{result:?}");
}

#[test]
fn r18_a_context_refuses_what_it_cannot_remember() {
    let pool = StratifiedMemoryPool::new("contexts");
    drop((0..40).map(|_| pool.allocate(1000).unwrap()).collect::<Vec<_>>());
    let before = pool.state();
    let context = AnalyticsContext::with_pool("no memory", &pool);
    with_blocks_left(0, || {
        // what stands in the context itself needs none
        let first: [_; 4] = core::array::from_fn(|at| context.allocate_typed::<u64>(100 + at).unwrap());
        assert!(first.iter().all(|slice| slice.iter().all(|&word| word == 0)));
        for _ in 0..3 {
            exhausted(context.allocate(1000));
        }
        assert_eq!((context.stats().allocation_count, context.stats().current_bytes), (4, 3248));
    });
    assert_eq!(pool.state().in_use - before.in_use, 4 * 1024, "refused ones are back");
    let fifth = with_blocks_left(1, || context.allocate(1000).is_ok());
    assert!(fifth, "one block is enough for the list");
    assert_eq!(context.stats().allocation_count, 5);
    with_blocks_left(0, || drop(context));
    assert_eq!((pool.state().in_use, pool.state().live_blocks), (before.in_use, before.live_blocks));
}

#[test]
fn r22_a_builder_refuses_what_it_cannot_remember() {
    let pool = StratifiedMemoryPool::new("contexts");
    drop(pool.allocate(10_000).unwrap());
    let builder = AnalyticsContextBuilder::new("no memory").with_pool(&pool);
    let builder = builder.with_expected_allocations(100).with_preallocation(10_000);
    exhausted(with_blocks_left(0, || builder.build()));
    assert_eq!(pool.state().live_blocks, 0);
}

#[test]
fn r14_a_thread_without_memory_uses_the_shelves_of_all() {
    let pool = StratifiedMemoryPool::new("shared");
    let kept = pool.allocate(1000).unwrap();
    let began = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let (pool, began) = (&pool, &began);
            scope.spawn(move || {
                began.wait();
                with_blocks_left(0, || {
                    for turn in 0..2000_usize {
                        let mut buffers: [_; 3] =
                            core::array::from_fn(|at| pool.allocate(200 << at).unwrap());
                        for buffer in &mut buffers {
                            buffer.fill_with(|| core::mem::MaybeUninit::new(thread));
                        }
                        drop(pool.allocate(100_000 + turn).unwrap());
                    }
                });
            });
        }
    });
    let stats = pool.stats();
    assert_eq!((stats.total_allocations, pool.state().live_blocks), (4 * 2000 * 4 + 1, 1));
    // from the second turn on they find what they gave back
    assert!(stats.hits() >= 3 * (4 * 2000 - 4 * 4), "{stats:?}");
    assert!(stats.free_bytes > 0);
    drop(kept);
    with_blocks_left(0, || pool.shrink_to(0));
    assert_eq!(pool.state().held, 0, "the shelves of all give back, too");
}

#[test]
fn u34_a_refused_charge_answers_with_less_where_there_is_no_memory() {
    let process = Budget::new("process", 1000);
    let job = process.child("job", 900);
    let kept = Arc::new(std::sync::Mutex::new(Some(job.child("cache", usize::MAX).reserve(800).unwrap())));
    let error = with_blocks_left(0, || job.charge(200).unwrap_err());
    assert_eq!((error.node.as_str(), error.asked, error.used, error.limit), ("job", 200, 800, 900));
    assert_eq!((error.path.as_str(), error.largest.len()), ("", 0));
    let error = job.charge(200).unwrap_err();
    assert_eq!((error.path.as_str(), error.largest.len()), ("process/job", 1));
    let relieved = Arc::clone(&kept);
    job.on_refusal(move |_| relieved.lock().unwrap().take().map_or(0, |kept| kept.bytes()));
    // no memory for the list of whom to ask, for one entry of each list, and for all
    assert!(with_blocks_left(0, || job.charge(200)).is_err());
    assert_eq!(process.used(), 800);
    assert!(job.charge(200).is_ok());
    assert_eq!((process.used(), kept.lock().unwrap().is_none()), (200, true));
    for left in 0..8 {
        let stats = with_blocks_left(left, || process.stats());
        assert!(stats.len() <= 2 && stats.iter().all(|stats| stats.used == 200), "{stats:?}");
    }
}

#[test]
fn r41_a_spill_moves_buffers_out_and_back_with_what_it_had() {
    let spill = Spill::new("no memory").with_limit(100 << 10);
    let fill = |number: u64| {
        let mut buffer = spill.buffer::<u64>(4096)?; // 32 KiB: three are in memory at once
        buffer.write()?.fill(number);
        Ok::<_, SpillError>(buffer)
    };
    let mut buffers: Vec<_> = (0..3).map(|number| fill(number).unwrap()).collect();
    buffers.reserve(100);
    // the fourth needs a file, whose name and places need memory
    for left in 0..3 {
        let refused = with_blocks_left(left, || fill(9).map(drop));
        assert!(refused.is_ok() || matches!(refused, Err(SpillError::Memory(_) | SpillError::File { .. })));
        assert_eq!(spill.stats().resident + spill.stats().spilled, 96 << 10, "{left}: {refused:?}");
    }
    buffers.extend((3..20).map(|number| fill(number).unwrap()));
    with_blocks_left(0, || {
        for (number, buffer) in buffers.iter().enumerate() {
            let view = buffer.read().unwrap();
            assert!(view.iter().all(|&value| value == number as u64), "{number}");
        }
        spill.trim(0);
        // every other goes, which leaves gaps in the file
        let mut number = 0;
        buffers.retain(|_| {
            number += 1;
            number % 2 == 0
        });
    });
    assert_eq!((spill.stats().resident, spill.stats().spilled), (0, 320 << 10));
    buffers.iter().zip((1..20).step_by(2)).for_each(|(buffer, number)| {
        assert!(buffer.read().unwrap().iter().all(|&value| value == number));
    });
}

#[test]
fn u13_a_strategy_serves_large_blocks_without_a_range_of_its_own() {
    let strategy = IntelligentAllocationStrategy::new();
    let size = 4 << 20;
    let mut first = None;
    for left in 0..12 {
        let block = with_blocks_left(left, || arenite_core::MemoryAllocator::allocate(&strategy, size, 64));
        first = first.or_else(|| block.ok().map(|block| (left, block)));
    }
    let (_, block) = first.expect("a door's entry needs a few, the range's lists one");
    arenite_core::MemoryAllocator::deallocate(&strategy, block, size, 64).unwrap();
}

#[test]
fn u22_a_monitor_shrinks_and_tells_where_there_is_no_memory() {
    let reading = |free| move || PressureReading { free, some: 0.0, full: 0.0 };
    let monitor = MemoryMonitor::reading(reading(0.001), Duration::from_secs(3600));
    let pools: [Arc<StratifiedMemoryPool>; 5] =
        core::array::from_fn(|_| Arc::new(StratifiedMemoryPool::new("idle")));
    for (number, pool) in pools.iter().enumerate() {
        let taken: Vec<_> =
            (0..=number).map(|_| StratifiedMemoryPool::allocate(pool, 60_000).unwrap()).collect();
        drop(taken);
        monitor.register(pool);
    }
    let told = Arc::new(AtomicUsize::new(0));
    let heard = Arc::clone(&told);
    with_blocks_left(0, || monitor.trigger_garbage_collection());
    assert_eq!(
        (monitor.given_back(), pools.iter().map(|pool| pool.state().held).sum::<usize>()),
        (15 << 16, 0)
    );
    monitor.on_level_change(move |_, new| _ = heard.fetch_add(new as usize, Relaxed)).unwrap();
    while told.load(Relaxed) == 0 {
        with_blocks_left(0, || monitor.level());
    }
    assert_eq!(told.load(Relaxed), arenite_core::PressureLevel::OutOfMemory as usize);
}

#[test]
fn n20_what_is_offered_is_whole_or_said_to_be_lost_where_there_is_no_memory() {
    let page = arenite_pages::page_size();
    let at = arenite_pages::memory::reserve(64 * page, "offered").unwrap().addr;
    arenite_pages::memory::commit(at, 64 * page).unwrap();
    for number in 0..64 {
        arenite_pages::memory::poke(at + number * page + 100, &[7; 8]).unwrap();
    }
    let whole = |at: usize| arenite_pages::memory::peek(at + 100, 8).unwrap() == [7; 8];
    let refused = with_blocks_left(0, || arenite_pages::memory::offer(at, 64 * page));
    assert!(refused.is_err(), "there is a list to keep");
    assert!((0..64).all(|number| whole(at + number * page)), "nothing was lent");
    arenite_pages::memory::offer(at, 64 * page).unwrap();
    let back = with_blocks_left(0, || arenite_pages::memory::reclaim(at).unwrap());
    for number in 0..64 {
        let lost = back.lost.iter().any(|range| range.contains(&(number * page)));
        assert!(lost || whole(at + number * page), "{number}: {back:?}");
    }
    arenite_pages::memory::release(at).unwrap();
}

#[test]
fn e38_a_tracker_counts_a_new_label_with_all_others() {
    let tracker = Arc::new(MemoryTracker::new());
    let layout = arenite_core::AllocError::layout(100, 64).unwrap();
    let heap = Heap::new();
    // until the next label needs a longer list
    let labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];
    let traced = labels.map(|label| Traced::new(&heap, Arc::clone(&tracker), label));
    let mut blocks = Vec::with_capacity(labels.len());
    with_blocks_left(1, || {
        for resource in &traced {
            blocks.push(arenite_core::Block::zeroed_in(layout, resource).unwrap());
        }
    });
    let listed = tracker.by_label().len();
    assert!((1..16).contains(&listed), "{listed}");
    assert_eq!(tracker.total().live_blocks, 16);
    blocks.clear();
    assert_eq!((tracker.total().live_blocks, tracker.by_label().len()), (0, 16));
}
