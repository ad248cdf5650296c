//! The heap returns memory to the OS: inside free blocks, on request and by decay; its statistics
//! match the kernel's.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use arenite_alloc::{Heap, SizeClasses};
use arenite_core::{Resource, Trim};
use core::alloc::Layout;
use core::num::NonZero;
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
use core::time::Duration;
use std::collections::HashSet;
use std::time::Instant;
use testkit::{PatternBlock, Random};

/// Returns a log-uniform size of 8 bytes to 64 KiB.
fn random_size(random: &mut Random) -> usize {
    let doubling = random.below(13);
    8 << doubling | random.below(8 << doubling)
}

fn alloc(heap: &Heap, size: usize) -> PatternBlock {
    static SEED: AtomicU8 = AtomicU8::new(0);
    let layout = Layout::from_size_align(size, 8).unwrap();
    PatternBlock::allocate(heap, layout, SEED.fetch_add(1, Relaxed) | 1).unwrap()
}

fn alloc_all(heap: &Heap, count: usize, size: usize) -> Vec<PatternBlock> {
    (0..count).map(|_| alloc(heap, size)).collect()
}

/// Checks every byte of the blocks and frees them.
fn free_all(heap: &Heap, blocks: impl IntoIterator<Item = PatternBlock>) {
    blocks.into_iter().for_each(|block| block.free(heap));
}

fn addresses<'a>(blocks: impl IntoIterator<Item = &'a PatternBlock>) -> HashSet<NonZero<usize>> {
    blocks.into_iter().map(|block| block.start().addr()).collect()
}

fn purge_fragmented(classes: SizeClasses) {
    let (heap, mut random) = (Heap::with_classes(classes).with_decay(None), Random(7));
    let mut blocks = Vec::new();
    let mut bytes = 0;
    while bytes < 200 << 20 {
        let size = random_size(&mut random);
        blocks.push(alloc(&heap, size));
        bytes += size;
    }
    let full = heap.resident().unwrap();
    assert!(full >= bytes, "{full} of {bytes}");
    let (stay, go): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|_| random.below(10) == 0);
    free_all(&heap, go);
    let live: usize = stay.iter().map(|block| block.layout().size()).sum();
    let held = heap.state().held;
    let purged = heap.defrag();
    let (resident, state) = (heap.resident().unwrap(), heap.state());
    println!("{classes:?}: live {live}, resident {full} → {resident}, purged {purged}, {state}");
    assert!(resident * 10 <= live * 25, "resident {resident} for {live} live");
    assert_eq!(held - state.held, purged, "the returned byte count");
    assert!(
        state.held >= resident && purged >= full - resident - full / 10,
        "{purged} returned, {} purged",
        full - resident
    );
    // Purged blocks are allocated again, and none twice.
    let mut more = Vec::new();
    while bytes > live {
        let size = random_size(&mut random);
        more.push(alloc(&heap, size));
        bytes -= size.min(bytes);
    }
    free_all(&heap, stay.into_iter().chain(more));
    let end = heap.state();
    assert_eq!((end.in_use, end.live_blocks), (0, 0));
    heap.defrag();
    assert_eq!(heap.stats().purged_bytes, 0);
    // Only the tables of two arenas, which may be on huge pages by now, and an empty slab per class
    // remain of 250 MiB.
    let resident = heap.resident().unwrap();
    assert!(resident < 8 << 20, "{resident} {:?}", heap.state());
}

#[test]
fn n13_defrag_purges_pages_inside_free_blocks() {
    purge_fragmented(SizeClasses::Fine);
}

#[test]
fn n13_n15_defrag_purges_pages_inside_free_blocks_of_binary_classes() {
    purge_fragmented(SizeClasses::Binary);
}

#[test]
fn n13_slabs_of_exited_and_of_other_threads_are_purged() {
    let heap = Heap::new().with_decay(None);
    let heap = &heap;
    let filled = || alloc_all(heap, 20_000, 3000);
    let (done, wait) = std::sync::mpsc::channel();
    let (resume, resumed) = std::sync::mpsc::channel::<()>();
    std::thread::scope(move |scope| {
        scope.spawn(move || {
            done.send(filled()).unwrap();
            resumed.recv().unwrap();
            // The thread serves the request when it needs a new slab.
            free_all(heap, alloc_all(heap, 100, 700));
        });
        let other = wait.recv().unwrap();
        // This thread starts after the other, which would otherwise adopt the slabs of this one.
        let ended = scope.spawn(filled).join().unwrap();
        let all = ended.into_iter().chain::<Vec<_>>(other).enumerate();
        let (stay, go): (Vec<_>, Vec<_>) = all.partition(|(at, _)| at.is_multiple_of(200));
        free_all(heap, go.into_iter().map(|(_, block)| block));
        let full = heap.resident().unwrap();
        heap.defrag();
        let half = heap.resident().unwrap();
        assert!(half < full * 6 / 10, "of those that ended: {full} → {half}");
        resume.send(()).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while heap.resident().unwrap() > full / 10 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        let rest = heap.resident().unwrap();
        assert!(rest <= full / 10, "of the one that works: {full} → {rest}");
        free_all(heap, stay.into_iter().map(|(_, block)| block));
    });
    assert_eq!(heap.state().live_blocks, 0);
}

#[test]
fn n13_background_decay_purges_an_idle_program() {
    static HEAP: Heap = Heap::new().with_decay(Some(Duration::from_millis(100)));
    HEAP.decay_in_background().unwrap();
    let sizes = [70_000, 3 << 20, 40 << 20];
    let blocks = sizes.map(|size| alloc(&HEAP, size));
    let small = alloc_all(&HEAP, 100_000, 500);
    let full = HEAP.resident().unwrap();
    free_all(&HEAP, blocks.into_iter().chain(small));
    let until = Instant::now() + Duration::from_secs(20);
    while HEAP.resident().unwrap() > full / 20 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    let rest = HEAP.resident().unwrap();
    assert!(rest <= full / 20, "{full} → {rest}, {:?}", HEAP.state());
}

#[test]
fn n13_decay_purges_a_working_program_without_a_background_thread() {
    let heap = Heap::new().with_decay(Some(Duration::from_millis(50)));
    free_all(&heap, [5 << 20, 60 << 20].map(|size| alloc(&heap, size)));
    assert!(heap.resident().unwrap() > 60 << 20);
    let until = Instant::now() + Duration::from_secs(20);
    // The working set of 3 MB stays.
    while heap.resident().unwrap() > 8 << 20 && Instant::now() < until {
        free_all(&heap, alloc_all(&heap, 3_000, 1000));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(heap.resident().unwrap() <= 8 << 20, "{:?}", heap.state());
}

#[test]
fn n08_stats_match_the_operations() {
    let heap = Heap::new().with_decay(None);
    let small = alloc_all(&heap, 5_000, 96);
    let large = [100_000, 1 << 20, 20 << 20].map(|size| alloc(&heap, size));
    let stats = heap.stats();
    let class =
        |stats: &arenite_alloc::HeapStats| *stats.classes().iter().find(|class| class.size == 96).unwrap();
    assert_eq!(class(&stats).live_blocks, 5_000);
    assert!(class(&stats).capacity >= 5_000 && class(&stats).slab_count * 65_536 >= 5_000 * 96);
    assert_eq!((stats.large_blocks, stats.large_bytes), (3, 131_072 + (1 << 20) + (20 << 20)));
    assert!(stats.state.held >= stats.state.in_use && stats.peak_held >= stats.state.held);
    assert!(stats.fragmentation() > 0.0 && stats.fragmentation() < 0.2, "{}", stats.fragmentation());
    free_all(&heap, small.into_iter().chain(large));
    let end = heap.stats();
    assert_eq!((class(&end).live_blocks, end.large_blocks, end.state.in_use), (0, 0, 0));
    assert!(
        class(&end).blocks_at_peak > 4_000 && end.cached_large_bytes == 20 << 20 && end.state.peak > 21 << 20,
        "{end:?}"
    );
    assert!(end.peak_held >= stats.state.held);
}

#[test]
fn n13_cached_blocks_are_flushed_when_their_thread_exits() {
    let heap = Heap::new().with_decay(None);
    // The cache is flushed when the thread exits, and when another thread requests a trim.
    for ends in [true, false] {
        let (to, from) = std::sync::mpsc::channel::<()>();
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let heap = &heap;
            let thread = scope.spawn(move || {
                free_all(heap, alloc_all(heap, 7, 2000));
                done.send(()).unwrap();
                if !ends {
                    from.recv().unwrap();
                    // This allocation polls the request.
                    alloc(heap, 50_000).free(heap);
                    done.send(()).unwrap();
                    let _end = from.recv();
                }
            });
            is_done.recv().unwrap();
            if ends {
                thread.join().unwrap();
            } else {
                heap.defrag();
                to.send(()).unwrap();
                is_done.recv().unwrap();
            }
            let until = Instant::now() + Duration::from_secs(20);
            let slabs = || {
                heap.defrag();
                let stats = heap.stats();
                stats
                    .classes()
                    .iter()
                    .filter(|class| (1024..4096).contains(&class.size))
                    .map(|class| class.slab_count)
                    .sum::<usize>()
            };
            // A thread's destructors may run after `join` returned.
            while slabs() > 0 && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(slabs(), 0, "ends: {ends}");
            drop(to);
        });
    }
}

#[test]
fn n10_unposted_remote_frees_are_not_in_use_and_are_reused() {
    let heap = Heap::new().with_decay(None);
    let stay = alloc_all(&heap, 20, 1000);
    let mut blocks = alloc_all(&heap, 300, 200);
    let before = addresses(&blocks);
    let (slabs, in_use) = (heap.stats().slab_bytes, heap.state().in_use);
    let (to, from) = std::sync::mpsc::channel::<()>();
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let heap = &heap;
        let thread = scope.spawn(move || {
            // The frees alternate between two bitmap words, then go in order.
            let rest = blocks.split_off(128);
            let second = blocks.split_off(64);
            let alternating = blocks.into_iter().zip(second).flat_map(|(one, other)| [one, other]);
            free_all(heap, alternating.chain(rest));
            done.send(()).unwrap();
            from.recv().unwrap_err();
        });
        is_done.recv().unwrap();
        // The thread is alive and waits.
        let state = heap.state();
        assert_eq!(state.live_blocks, 20, "{state}");
        assert!(state.in_use <= in_use - 300 * 200, "{state}");
        drop(to);
        // The count stays exact while the thread exits.
        for _ in 0..1000 {
            assert_eq!(heap.state().live_blocks, 20);
        }
        thread.join().unwrap();
    });
    assert_eq!(heap.state().live_blocks, 20);
    let again = alloc_all(&heap, 300, 200);
    let known = addresses(&again).intersection(&before).count();
    assert!(known >= 250, "{known} of 300 blocks were reused");
    assert_eq!(heap.stats().slab_bytes, slabs, "freed blocks are reused before new slabs");
    free_all(&heap, again.into_iter().chain(stay));
    assert_eq!(heap.state().live_blocks, 0);
}

/// Frees blocks on another thread and runs `then` while that thread waits.
///
/// The thread trims the heap for each message on the first channel and answers on the second.
fn free_on_other_thread(
    heap: &Heap,
    blocks: Vec<PatternBlock>,
    then: impl FnOnce(&std::sync::mpsc::Sender<()>, &std::sync::mpsc::Receiver<()>),
) {
    let (to, from) = std::sync::mpsc::channel::<()>();
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            free_all(heap, blocks);
            done.send(()).unwrap();
            while from.recv().is_ok() {
                heap.trim(0);
                done.send(()).unwrap();
            }
        });
        is_done.recv().unwrap();
        then(&to, &is_done);
        drop(to);
        thread.join().unwrap();
    });
}

#[test]
fn n13_freeing_thread_posts_its_frees_when_it_trims() {
    let heap = Heap::new().with_decay(None);
    free_on_other_thread(&heap, alloc_all(&heap, 60, 256), |to, is_done| {
        heap.trim(0);
        assert_eq!(heap.stats().slab_bytes, 64 << 10, "the sleeping thread pins the slab");
        to.send(()).unwrap();
        is_done.recv().unwrap();
        heap.trim(0);
        assert_eq!(heap.stats().slab_bytes, 0, "its frees were posted");
    });
}

#[test]
fn n13_freeing_thread_serves_a_trim_request() {
    let heap = Heap::new().with_decay(None);
    let (old, new) = (alloc_all(&heap, 60, 256), alloc_all(&heap, 2000, 512));
    let (to, from) = std::sync::mpsc::channel::<()>();
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let heap = &heap;
        let thread = scope.spawn(move || {
            free_all(heap, old);
            done.send(()).unwrap();
            from.recv().unwrap();
            // These frees touch many words of other slabs, and none of the earlier words.
            free_all(heap, new);
            done.send(()).unwrap();
            from.recv().unwrap();
        });
        is_done.recv().unwrap();
        heap.trim(0);
        to.send(()).unwrap();
        is_done.recv().unwrap();
        heap.trim(0);
        let class =
            |size: usize| heap.stats().classes().iter().find(|class| class.size == size).unwrap().slab_count;
        assert_eq!(class(256), 0, "frees before the request were posted");
        to.send(()).unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn n10_unposted_remote_frees_are_bounded() {
    let heap = Heap::new().with_decay(None);
    // One slab of 64 blocks of 1 KiB has one bitmap word.
    let blocks = alloc_all(&heap, 64, 1024);
    let before = addresses(&blocks);
    free_on_other_thread(&heap, blocks, |_, _| {
        // The owner reuses all posted blocks; up to 16 KiB stay unposted.
        let again = alloc_all(&heap, 64, 1024);
        let reused = addresses(&again).intersection(&before).count();
        assert!((48..64).contains(&reused), "{reused}");
        free_all(&heap, again);
    });
}

#[test]
fn n15_binary_classes_reuse_the_most_recently_freed_blocks() {
    let heap = Heap::with_classes(SizeClasses::Binary).with_decay(None);
    for size in [600, 1000, 1024, 2000] {
        let mut blocks = alloc_all(&heap, 64, size);
        let slabs = heap.stats().slab_bytes;
        let stay = blocks.split_off(7);
        let before = addresses(&blocks);
        free_all(&heap, blocks);
        let again = alloc_all(&heap, 7, size);
        assert_eq!(addresses(&again), before, "{size}");
        assert_eq!(heap.stats().slab_bytes, slabs, "{size}");
        free_all(&heap, again.into_iter().chain(stay));
    }
}

#[test]
fn n13_heap_holds_little_more_than_needed_after_a_trim() {
    const SLABS: usize = 1000;
    for scattered in [false, true] {
        let heap = Heap::new().with_huge_pages(false).with_decay(None);
        // A slab of one unit has four blocks.
        let mut slabs: Vec<_> = (0..SLABS).map(|at| (at, alloc_all(&heap, 4, 16 << 10))).collect();
        if scattered {
            slabs.sort_by_key(|(at, _)| at.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        }
        free_all(&heap, slabs.into_iter().flat_map(|(_, blocks)| blocks));
        heap.trim(0);
        let before = heap.state().held;
        let again = alloc_all(&heap, 400, 16 << 10);
        let more = heap.state().held - before;
        assert!(more <= 10 << 20, "{} KiB for 6400, scattered frees: {scattered}", more >> 10);
        free_all(&heap, again);
    }
}

#[test]
fn n13_units_of_small_blocks_are_reused_for_large_ones() {
    let heap = Heap::new().with_decay(None);
    for _ in 0..3 {
        free_all(&heap, alloc_all(&heap, 2, 64).into_iter().rev());
        heap.trim(0);
        assert_eq!(heap.stats().slab_bytes, 0);
        let mut large = alloc_all(&heap, 30, 20_000);
        let stay = large.split_off(20);
        free_all(&heap, large);
        let again = alloc_all(&heap, 20, 20_000);
        assert_eq!(addresses(again.iter().chain(&stay)).len(), 30, "each block is allocated once");
        free_all(&heap, again.into_iter().chain(stay));
        heap.trim(0);
    }
}
