//! Code that allocates internally, while the global allocator fails: it returns an error, and the
//! program goes on.
//!
//! The law over every resource is in `laws.rs`; this file tests everything else.
#![expect(unsafe_code, reason = "offers a range without users")]

use arenite_alloc::*;
use arenite_core::{AllocErrorKind, Resource, Trim};
use arenite_observe::{MemoryMonitor, MemoryTracker};
use arenite_pages::machine::PressureReading;
use arenite_pages::{PageStatus, Protection, Region, WriteWatch};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;
use testkit::doubles::{ThreadCounter, allocations_of_this_thread, with_blocks_left};

#[global_allocator]
static COUNTER: ThreadCounter = ThreadCounter;

fn assert_exhausted<A: core::fmt::Debug>(result: Result<A, arenite_core::AllocError>) {
    let exhausted = matches!(&result, Err(error) if error.kind == AllocErrorKind::Exhausted { errno: 0 });
    assert!(exhausted, "{result:?}");
}

#[test]
fn r18_context_fails_when_its_list_cannot_grow() {
    let pool = StratifiedMemoryPool::new("contexts");
    drop((0..40).map(|_| pool.allocate(1000).unwrap()).collect::<Vec<_>>());
    let before = pool.state();
    let context = AnalyticsContext::with_pool("no memory", &pool);
    with_blocks_left(0, || {
        // The first four entries are stored in the context itself.
        let first: [_; 4] = core::array::from_fn(|at| context.allocate_typed::<u64>(100 + at).unwrap());
        assert!(first.iter().all(|slice| slice.iter().all(|&word| word == 0)));
        for _ in 0..3 {
            assert_exhausted(context.allocate(1000));
        }
        assert_eq!((context.stats().allocation_count, context.stats().current_bytes), (4, 3248));
    });
    assert_eq!(pool.state().in_use - before.in_use, 4 * 1024, "failed requests hold nothing");
    let fifth = with_blocks_left(1, || context.allocate(1000).is_ok());
    assert!(fifth, "one allocation is enough for the list");
    assert_eq!(context.stats().allocation_count, 5);
    with_blocks_left(0, || drop(context));
    assert_eq!((pool.state().in_use, pool.state().live_blocks), (before.in_use, before.live_blocks));
}

#[test]
fn r22_builder_fails_when_its_list_cannot_grow() {
    let pool = StratifiedMemoryPool::new("contexts");
    drop(pool.allocate(10_000).unwrap());
    let builder = AnalyticsContextBuilder::new("no memory").with_pool(&pool);
    let builder = builder.with_expected_allocations(100).with_preallocation(10_000);
    assert_exhausted(with_blocks_left(0, || builder.build()));
    assert_eq!(pool.state().live_blocks, 0);
}

#[test]
fn r14_thread_uses_the_shared_shelves_when_out_of_memory() {
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
    // From the second round on, each request hits a freed buffer.
    assert!(stats.hits() >= 3 * (4 * 2000 - 4 * 4), "{stats:?}");
    assert!(stats.free_bytes > 0);
    drop(kept);
    with_blocks_left(0, || pool.shrink_to(0));
    assert_eq!(pool.state().held, 0, "the shared shelves are trimmed too");
}

#[test]
fn r14_upstream_may_reenter_a_pool_when_the_thread_has_no_shelves() {
    let budget = Budget::new("upstream", 64 << 10);
    let pool = Arc::new(StratifiedMemoryPool::with_upstream(
        "over a budget",
        Budgeted::new(Heap::new(), budget.clone()),
    ));
    // The shelves of a running thread belong to it; this thread exits at once.
    let clone = Arc::clone(&pool);
    std::thread::spawn(move || drop(StratifiedMemoryPool::allocate(&clone, 40_000).unwrap())).join().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let (weak, ran) = (Arc::downgrade(&pool), Arc::clone(&calls));
    budget.on_exhausted(move |_| {
        ran.fetch_add(1, Relaxed);
        weak.upgrade().map_or(0, |pool| pool.shrink_to(0))
    });
    let allocated = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            with_blocks_left(0, || StratifiedMemoryPool::allocate(&pool, 10_000).map(drop).is_ok())
        });
        thread.join().unwrap()
    });
    assert_eq!(
        (allocated, calls.load(Relaxed)),
        (true, 1),
        "the budget was full and the pool released its cache"
    );
    assert_eq!((pool.state().in_use, pool.state().held), (0, 16 << 10));
    // A buffer on the shared shelves is found by a thread that has its own shelves.
    let fresh = StratifiedMemoryPool::new("stranded");
    std::thread::scope(|scope| {
        scope.spawn(|| with_blocks_left(0, || drop(fresh.allocate(1000).unwrap())));
    });
    let _first = fresh.allocate(1000).unwrap();
    assert_eq!((fresh.stats().hits(), fresh.stats().free_bytes), (1, 0));
}

#[test]
fn u34_failed_charge_reports_less_when_out_of_memory() {
    let process = Budget::new("process", 1000);
    let job = process.child("job", 900);
    let kept = Arc::new(std::sync::Mutex::new(Some(job.child("cache", usize::MAX).reserve(800).unwrap())));
    let error = with_blocks_left(0, || job.charge(200).unwrap_err());
    assert_eq!((error.node.as_str(), error.requested, error.used, error.limit), ("job", 200, 800, 900));
    assert_eq!((error.path.as_str(), error.largest.len()), ("", 0));
    let error = job.charge(200).unwrap_err();
    assert_eq!((error.path.as_str(), error.largest.len()), ("process/job", 1));
    let reservation = Arc::clone(&kept);
    job.on_exhausted(move |_| reservation.lock().unwrap().take().map_or(0, |kept| kept.bytes()));
    // Callbacks on the failing node need no list; the list is for callbacks of its children.
    let cache = job.child("cache", usize::MAX);
    let other = cache.reserve(50).unwrap();
    cache.on_exhausted(|_| 0);
    assert!(with_blocks_left(0, || job.charge(200)).is_ok());
    assert_eq!((process.used(), kept.lock().unwrap().is_none()), (250, true));
    for left in 0..8 {
        let stats = with_blocks_left(left, || process.stats());
        assert!(stats.iter().all(|stats| [50, 250].contains(&stats.used)), "{stats:?}");
        let expected = if left == 0 {
            0..=0
        } else if left == 7 {
            3..=3
        } else {
            1..=3
        };
        assert!(expected.contains(&stats.len()), "{left}: {stats:?}");
    }
    drop(other);
}

#[test]
fn u34_budget_callbacks_below_the_failing_node_run_when_memory_suffices() {
    for left in 0..12 {
        let job = Budget::new("job", 1000);
        let cache = job.child("cache", usize::MAX);
        let kept = std::sync::Mutex::new(Some(cache.reserve(900).unwrap()));
        cache.on_exhausted(move |_| kept.lock().unwrap().take().map_or(0, |kept| kept.bytes()));
        let charged = with_blocks_left(left, || job.charge(200).is_ok());
        assert_eq!(job.used(), if charged { 200 } else { 900 }, "{left}");
        assert!(left > 0 || !charged, "the callback is found through a list");
        assert!(left < 11 || charged);
    }
}

#[test]
fn u34_each_budget_callback_runs_once_when_memory_is_short() {
    for left in 0..16 {
        let process = Budget::new("process", 1000);
        let job = process.child("job", 500);
        // The job's limit fails first; once the job has headroom, the process's limit fails.
        let held = [(&job, 450), (&process, 500)].map(|(node, bytes)| {
            let kept = std::sync::Mutex::new(Some(node.reserve(bytes).unwrap()));
            let calls = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&calls);
            // A callback that frees nothing stands before each.
            node.on_exhausted(|_| 0);
            node.on_exhausted(move |_| {
                count.fetch_add(1, Relaxed);
                kept.lock().unwrap().take().map_or(0, |kept| kept.bytes())
            });
            calls
        });
        process.charge(40).unwrap();
        let charged = with_blocks_left(left, || job.charge(480).is_ok());
        assert!(charged, "{left}");
        assert_eq!(held.map(|calls| calls.load(Relaxed)), [1, 1], "{left}");
        assert_eq!((process.used(), job.used()), (520, 480));
    }
}

#[test]
fn r41_spill_evicts_and_reloads_when_out_of_memory() {
    let spill = Spill::new("no memory").with_limit(100 << 10);
    let fill = |number: u64| {
        // 32 KiB: three buffers fit in memory
        let mut buffer = spill.allocate_buffer::<u64>(4096)?;
        buffer.write()?.fill(number);
        Ok::<_, SpillError>(buffer)
    };
    let mut buffers: Vec<_> = (0..3).map(|number| fill(number).unwrap()).collect();
    buffers.reserve(100);
    // The fourth buffer needs a file, whose name and free list allocate.
    for left in 0..3 {
        let result = with_blocks_left(left, || fill(9).map(drop));
        assert!(result.is_ok() || matches!(result, Err(SpillError::Memory(_) | SpillError::File { .. })));
        assert_eq!(spill.stats().resident + spill.stats().spilled, 96 << 10, "{left}: {result:?}");
    }
    buffers.extend((3..20).map(|number| fill(number).unwrap()));
    with_blocks_left(0, || {
        for (number, buffer) in buffers.iter().enumerate() {
            let view = buffer.read().unwrap();
            assert!(view.iter().all(|&value| value == number as u64), "{number}");
        }
        spill.trim(0);
        // Dropping every other buffer leaves gaps in the file.
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
fn u13_failed_request_leaves_the_strategy_unchanged() {
    let strategy = IntelligentAllocationStrategy::new();
    let (size, mut blocks) = (4 << 20, Vec::with_capacity(20));
    for left in 0..12 {
        let block = with_blocks_left(left, || arenite_core::MemoryAllocator::allocate(&strategy, size, 64));
        assert!(left > 0 || block.is_err(), "the lists of the range and of the checked API need memory");
        blocks.extend(block);
    }
    assert!(!blocks.is_empty());
    for block in blocks {
        arenite_core::MemoryAllocator::deallocate(&strategy, block, size, 64).unwrap();
    }
    // Large blocks are in the range, not in the middle layer, so the range's unused memory can be
    // trimmed.
    assert!(strategy.trim(0) >= size);
}

#[test]
fn u21_u24_pressure_is_read_when_out_of_memory() {
    let monitor = MemoryMonitor::new();
    let read = || (PressureReading::read(), monitor.available_memory(), monitor.current_pressure_level());
    let before = allocations_of_this_thread();
    let (with, left_with, _) = read();
    assert_eq!(allocations_of_this_thread(), before, "reading the files must not allocate");
    let (without, left_without, level) = with_blocks_left(0, read);
    assert!((with.free - without.free).abs() < 0.2 && without.free < 1.0, "{with:?} {without:?}");
    let all = arenite_pages::machine::Available::read().bytes().unwrap();
    assert!(left_without.abs_diff(all) < 2 << 30, "{left_with} {left_without} {all}");
    assert!(level >= arenite_core::MemoryPressure::Low);
}

#[test]
fn u22_monitor_shrinks_and_notifies_when_out_of_memory() {
    let reading = |free| move || PressureReading { free, some: 0.0, full: 0.0 };
    let monitor = MemoryMonitor::with_source(reading(0.001), Duration::from_secs(3600));
    let pools: [Arc<StratifiedMemoryPool>; 5] =
        core::array::from_fn(|_| Arc::new(StratifiedMemoryPool::new("idle")));
    for (number, pool) in pools.iter().enumerate() {
        let buffers: Vec<_> =
            (0..=number).map(|_| StratifiedMemoryPool::allocate(pool, 60_000).unwrap()).collect();
        drop(buffers);
        monitor.register(pool);
    }
    let reclaimed = with_blocks_left(0, || monitor.trigger_garbage_collection());
    assert_eq!((reclaimed, pools.iter().map(|pool| pool.state().held).sum::<usize>()), (15 << 16, 0));

    // This thread detects a change after the monitor's first reading.
    let free = Arc::new(AtomicUsize::new(90));
    let now = Arc::clone(&free);
    let reads = Arc::new(AtomicUsize::new(0));
    let count_read = Arc::clone(&reads);
    let source = move || {
        let free = if now.load(SeqCst) == 90 { 0.9 } else { 0.001 };
        // The count follows the load, so a reading that is visible in the count has taken its
        // value.
        count_read.fetch_add(1, SeqCst);
        PressureReading { free, some: 0.0, full: 0.0 }
    };
    let monitor = MemoryMonitor::with_source(source, Duration::from_secs(3600));
    let (notified, thread) = (Arc::new(AtomicUsize::new(0)), std::thread::current().id());
    let level_seen = Arc::clone(&notified);
    let on_change = move |_, new: arenite_core::PressureLevel| {
        assert_eq!(std::thread::current().id(), thread);
        level_seen.store(new as usize, Relaxed);
    };
    monitor.on_level_change(on_change).unwrap();
    while reads.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    free.store(0, SeqCst);
    with_blocks_left(0, || monitor.level());
    assert_eq!(notified.load(Relaxed), arenite_core::PressureLevel::OutOfMemory as usize);
}

#[test]
fn n20_offered_pages_are_intact_or_reported_lost_when_out_of_memory() {
    let page = arenite_pages::page_size();
    let at = arenite_pages::memory::reserve(64 * page, "offered").unwrap().addr;
    arenite_pages::memory::commit(at, 64 * page).unwrap();
    for number in 0..64 {
        arenite_pages::memory::poke(at + number * page + 100, &[7; 8]).unwrap();
    }
    let intact = |at: usize| arenite_pages::memory::peek(at + 100, 8).unwrap() == [7; 8];
    // Each of the internal lists may fail to grow.
    let needed = (0..20).find(|&left| {
        let offered = with_blocks_left(left, || arenite_pages::memory::offer(at, 64 * page));
        assert!(
            offered.is_ok() || (0..64).all(|number| intact(at + number * page)),
            "{left}: a failed offer changed a page"
        );
        offered.is_ok()
    });
    assert!((2..10).contains(&needed.unwrap()), "{needed:?}");
    let back = with_blocks_left(0, || arenite_pages::memory::reclaim(at).unwrap());
    assert!(
        (0..64).all(|number| back.lost.iter().any(|lost| lost.contains(&(number * page)))
            || intact(at + number * page))
    );
    arenite_pages::memory::release(at).unwrap();
}

#[test]
fn n05_failed_protect_changes_nothing_when_out_of_memory() {
    let page = arenite_pages::page_size();
    let region = Region::reserve(64 * page, "closed").unwrap();
    region.commit(0, 64 * page).unwrap();
    // SAFETY: the region has no user.
    let close = |at: usize| unsafe { region.protect(at * page, page, Protection::None) };
    let protections = || region.query_all().unwrap().iter().map(|info| info.protection).collect::<Vec<_>>();
    assert!(with_blocks_left(0, || close(1)).is_err());
    assert_eq!(protections(), [Protection::ReadWrite]);
    // The calls succeed until the list must grow.
    let closed = with_blocks_left(1, || (0..32).take_while(|number| close(number * 2).is_ok()).count());
    assert!((1..32).contains(&closed), "{closed}");
    assert_eq!(protections().len(), 2 * closed);
    // Every change of closed ranges may need memory; none is done partly.
    //
    // SAFETY: the region has no user.
    let opened = with_blocks_left(0, || unsafe { region.decommit(0, page) }.is_ok());
    assert_eq!(
        region.query(0).unwrap().state,
        if opened { PageStatus::Reserved } else { PageStatus::Committed }
    );
    let infos = with_blocks_left(0, || region.query_all().map(drop));
    assert!(infos.is_err(), "the result is a list");
    let info = with_blocks_left(0, || region.query(3 * page)).unwrap();
    assert_eq!((info.range, info.protection), (3 * page..4 * page, Protection::ReadWrite));
}

#[test]
fn n22_write_watch_loses_no_write_when_out_of_memory() {
    let page = arenite_pages::page_size();
    let mut region = Region::reserve(64 * page, "watched").unwrap();
    region.commit(0, 64 * page).unwrap();
    (0..64).for_each(|number| region.poke(number * page, b"there").unwrap());
    let base = region.as_ptr().as_ptr();
    let mut watch = match WriteWatch::new(0..64 * page, &region) {
        Ok(watch) => watch,
        Err(error) => return println!("skipped: {error}"),
    };
    for number in [3, 9, 20, 30, 40, 50] {
        // SAFETY: a committed byte, which has no other user.
        unsafe { base.wrapping_add(number * page).write(1) };
    }
    assert!(
        with_blocks_left(0, || watch.written().map(drop)).is_err(),
        "a failed query keeps the written pages"
    );
    // One list, which need not grow.
    let written = with_blocks_left(1, || watch.written()).unwrap();
    for number in [3, 9, 20, 30, 40, 50] {
        assert!(written.iter().any(|range| range.contains(&(number * page))), "{number}: {written:?}");
    }
    assert_eq!(watch.written().unwrap(), [0..0; 0]);
}

#[test]
fn n20_reclaim_reports_a_wider_lost_range_when_out_of_memory() {
    let page = arenite_pages::page_size();
    let mut region = Region::reserve(64 * page, "offered").unwrap();
    region.commit(0, 64 * page).unwrap();
    (0..64).for_each(|number| region.poke(number * page + 100, &[7; 8]).unwrap());
    // SAFETY: the range has no user until it is reclaimed.
    let offer = unsafe { region.offer(0, 64 * page) }.unwrap();
    // These pages are dropped: more ranges than the result has space for.
    let dropped = [3, 40, 41];
    // Pages on the list of another processor cannot be dropped yet.
    let start = region.as_ptr().addr().get();
    let resident = |number: &usize| {
        region.page_out(number * page, page).unwrap();
        std::thread::sleep(Duration::from_millis(1));
        arenite_pages::resident_bytes(start + number * page..start + (number + 1) * page).unwrap() > 0
    };
    let stays = (0..100).all(|_| dropped.iter().any(resident));
    let back = with_blocks_left(0, || offer.reclaim());
    let intact = |number: usize| region.peek(number * page + 100, 8).unwrap() == [7; 8];
    let lost = |number: usize| back.lost.iter().any(|range| range.contains(&(number * page)));
    for number in 0..64 {
        assert!(lost(number) || intact(number), "{number}: {back:?}");
    }
    if stays {
        println!("skipped: this kernel did not drop offered pages on MADV_PAGEOUT");
    } else {
        assert_eq!(back.lost.len(), 1, "one range covers the lost pages and those between");
        assert_eq!(back.lost[0], 3 * page..42 * page);
        assert_eq!(back.kept, 25 * page);
    }
}

#[test]
fn e38_a_tracker_without_memory_counts_new_labels_together() {
    let tracker = Arc::new(MemoryTracker::new());
    let layout = arenite_core::layout(100, 64).unwrap();
    let heap = Heap::new();
    // The calls succeed until the next label needs a longer list.
    let labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];
    let traced = labels.map(|label| Traced::new(&heap, Arc::clone(&tracker), label));
    let mut blocks = Vec::with_capacity(labels.len());
    with_blocks_left(1, || {
        for resource in &traced {
            blocks.push(arenite_core::Block::zeroed_in(layout, resource).unwrap());
        }
    });
    let (listed, unlisted) = (tracker.by_label(), tracker.other_labels().unwrap());
    assert!((1..16).contains(&listed.len()), "{listed:?}");
    assert!(listed.iter().all(|usage| usage.live_blocks == 1));
    assert_eq!((tracker.total().live_blocks, unlisted.live_blocks), (16, 16 - listed.len()));
    // With memory again, a label without an entry is still counted with the others, and every entry
    // keeps its counts.
    blocks.truncate(15);
    let again = arenite_core::Block::zeroed_in(layout, &traced[15]).unwrap();
    assert_eq!(tracker.by_label(), listed);
    assert_eq!(tracker.other_labels().unwrap().allocations, unlisted.allocations + 1);
    drop(again);
    blocks.clear();
    assert_eq!((tracker.total().live_blocks, tracker.other_labels().unwrap().live_blocks), (0, 0));
    assert!(tracker.by_label().iter().all(|usage| usage.live_blocks == 0 && usage.allocations == 1));
    assert_eq!(tracker.by_label().len(), listed.len());
}
