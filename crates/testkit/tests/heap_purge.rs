//! The heap returns memory to the OS: inside free blocks, on request and by decay; its statistics
//! match the kernel's.
#![expect(unsafe_code, reason = "uses and frees raw blocks")]
#![expect(clippy::unwrap_used, reason = "test helpers")]

use arenite_alloc::{Heap, SizeClasses};
use arenite_core::{Resource, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;
use core::time::Duration;
use std::time::Instant;
use testkit::Random;

/// Returns a log-uniform size of 8 bytes to 64 KiB.
fn random_size(random: &mut Random) -> usize {
    let doubling = random.below(13);
    8 << doubling | random.below(8 << doubling)
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

fn alloc(heap: &Heap, size: usize) -> NonNull<u8> {
    let block = heap.allocate(layout(size)).unwrap().cast::<u8>();
    // SAFETY: a fresh block of that size.
    unsafe { block.write_bytes(mark(block), size) };
    block
}

fn mark(block: NonNull<u8>) -> u8 {
    (block.addr().get() >> 3).to_le_bytes()[0] | 1
}

fn free(heap: &Heap, block: NonNull<u8>, size: usize) {
    // SAFETY: a live block of that size, written by `alloc`.
    let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), size) };
    assert!(bytes.iter().all(|&byte| byte == mark(block)), "a block of {size} changed");
    // SAFETY: the block is live, of this layout, and not used again.
    unsafe { heap.deallocate(block, layout(size)) };
}

fn purge_fragmented(classes: SizeClasses) {
    let (heap, mut random) = (Heap::with_classes(classes).decaying(None), Random(7));
    let mut blocks: Vec<(NonNull<u8>, usize)> = Vec::new();
    let mut bytes = 0;
    while bytes < 200 << 20 {
        let size = random_size(&mut random);
        blocks.push((alloc(&heap, size), size));
        bytes += size;
    }
    let full = heap.resident().unwrap();
    assert!(full >= bytes, "{full} of {bytes}");
    let mut live = 0;
    blocks.retain(|&(block, size)| {
        let stays = random.below(10) == 0;
        if stays {
            live += size
        } else {
            free(&heap, block, size)
        }
        stays
    });
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
        more.push((alloc(&heap, size), size));
        bytes -= size.min(bytes);
    }
    blocks.iter().chain(&more).for_each(|&(block, size)| free(&heap, block, size));
    let end = heap.state();
    assert_eq!((end.in_use, end.live_blocks), (0, 0));
    heap.defrag();
    assert_eq!(heap.stats().dry, 0);
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
    let heap = Heap::new().decaying(None);
    let heap = &heap;
    let size = 3000;
    let filled = || (0..20_000).map(|_| alloc(heap, size).as_ptr().expose_provenance()).collect::<Vec<_>>();
    let back = |address: usize| NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(address)).unwrap();
    let (done, wait) = std::sync::mpsc::channel::<Vec<usize>>();
    let (resume, resumed) = std::sync::mpsc::channel::<()>();
    std::thread::scope(move |scope| {
        scope.spawn(move || {
            done.send(filled()).unwrap();
            resumed.recv().unwrap();
            // The thread serves the request when it needs a new slab.
            let more: Vec<_> = (0..100).map(|_| alloc(heap, 700)).collect();
            more.into_iter().for_each(|block| free(heap, block, 700));
        });
        let other = wait.recv().unwrap();
        // This thread starts after the other, which would otherwise adopt the slabs of this one.
        let ended = scope.spawn(filled).join().unwrap();
        let keep = |at: usize| at.is_multiple_of(200);
        for (at, &address) in ended.iter().chain(&other).enumerate() {
            if !keep(at) {
                free(heap, back(address), size);
            }
        }
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
        for (at, &address) in ended.iter().chain(&other).enumerate() {
            if keep(at) {
                free(heap, back(address), size);
            }
        }
    });
    assert_eq!(heap.state().live_blocks, 0);
}

#[test]
fn n13_background_decay_purges_an_idle_program() {
    static HEAP: Heap = Heap::new().decaying(Some(Duration::from_millis(100)));
    HEAP.decay_in_background().unwrap();
    let sizes = [70_000, 3 << 20, 40 << 20];
    let blocks: Vec<_> = sizes.iter().map(|&size| (alloc(&HEAP, size), size)).collect();
    let small: Vec<_> = (0..100_000).map(|_| (alloc(&HEAP, 500), 500)).collect();
    let full = HEAP.resident().unwrap();
    blocks.into_iter().chain(small).for_each(|(block, size)| free(&HEAP, block, size));
    let until = Instant::now() + Duration::from_secs(20);
    while HEAP.resident().unwrap() > full / 20 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    let rest = HEAP.resident().unwrap();
    assert!(rest <= full / 20, "{full} → {rest}, {:?}", HEAP.state());
}

#[test]
fn n13_decay_purges_a_working_program_without_a_background_thread() {
    let heap = Heap::new().decaying(Some(Duration::from_millis(50)));
    let blocks: Vec<_> = [5 << 20, 60 << 20].map(|size| (alloc(&heap, size), size)).into();
    blocks.into_iter().for_each(|(block, size)| free(&heap, block, size));
    assert!(heap.resident().unwrap() > 60 << 20);
    let until = Instant::now() + Duration::from_secs(20);
    // The working set of 3 MB stays.
    while heap.resident().unwrap() > 8 << 20 && Instant::now() < until {
        let some: Vec<_> = (0..3_000).map(|_| alloc(&heap, 1000)).collect();
        some.into_iter().for_each(|block| free(&heap, block, 1000));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(heap.resident().unwrap() <= 8 << 20, "{:?}", heap.state());
}

#[test]
fn n08_stats_match_the_operations() {
    let heap = Heap::new().decaying(None);
    let small: Vec<_> = (0..5_000).map(|_| alloc(&heap, 96)).collect();
    let large: Vec<_> = [100_000, 1 << 20, 20 << 20].map(|size| (alloc(&heap, size), size)).into();
    let stats = heap.stats();
    let class =
        |stats: &arenite_alloc::HeapStats| *stats.classes().iter().find(|class| class.size == 96).unwrap();
    assert_eq!(class(&stats).live_blocks, 5_000);
    assert!(class(&stats).capacity >= 5_000 && class(&stats).slabs * 65_536 >= 5_000 * 96);
    assert_eq!((stats.large_blocks, stats.large_bytes), (3, 131_072 + (1 << 20) + (20 << 20)));
    assert!(stats.state.held >= stats.state.in_use && stats.peak_held >= stats.state.held);
    assert!(stats.fragmentation() > 0.0 && stats.fragmentation() < 0.2, "{}", stats.fragmentation());
    small.into_iter().for_each(|block| free(&heap, block, 96));
    large.into_iter().for_each(|(block, size)| free(&heap, block, size));
    let end = heap.stats();
    assert_eq!((class(&end).live_blocks, end.large_blocks, end.state.in_use), (0, 0, 0));
    assert!(class(&end).at_peak > 4_000 && end.kept == 20 << 20 && end.state.peak > 21 << 20, "{end:?}");
    assert!(end.peak_held >= stats.state.held);
}

#[test]
fn n13_cached_blocks_are_flushed_when_their_thread_exits() {
    let heap = Heap::new().decaying(None);
    // The cache is flushed when the thread exits, and when another thread requests a trim.
    for ends in [true, false] {
        let (to, from) = std::sync::mpsc::channel::<()>();
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let heap = &heap;
            let thread = scope.spawn(move || {
                let blocks: Vec<_> = (0..7).map(|_| alloc(heap, 2000)).collect();
                blocks.into_iter().for_each(|block| free(heap, block, 2000));
                done.send(()).unwrap();
                if !ends {
                    from.recv().unwrap();
                    // This allocation polls the request.
                    let block = alloc(heap, 50_000);
                    free(heap, block, 50_000);
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
                    .map(|class| class.slabs)
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
    let heap = Heap::new().decaying(None);
    let stay: Vec<_> = (0..20).map(|_| alloc(&heap, 1000)).collect();
    let blocks: Vec<_> = (0..300).map(|_| alloc(&heap, 200)).collect();
    let addresses: std::collections::HashSet<_> = blocks.iter().map(|block| block.addr()).collect();
    let (slabs, in_use) = (heap.stats().slabs, heap.state().in_use);
    let (to, from) = std::sync::mpsc::channel::<()>();
    let (done, is_done) = std::sync::mpsc::channel();
    let numbers: Vec<_> = blocks.iter().map(|block| block.as_ptr().expose_provenance()).collect();
    std::thread::scope(|scope| {
        let heap = &heap;
        let thread = scope.spawn(move || {
            // The frees alternate between two bitmap words, then go in order.
            let (first, rest) = numbers.split_at(128);
            let turns = first[..64].iter().zip(&first[64..]).flat_map(|(one, other)| [one, other]);
            for &number in turns.chain(rest) {
                free(heap, NonNull::new(core::ptr::with_exposed_provenance_mut(number)).unwrap(), 200);
            }
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
    let again: Vec<_> = (0..300).map(|_| alloc(&heap, 200)).collect();
    let known = again.iter().filter(|block| addresses.contains(&block.addr())).count();
    assert!(known >= 250, "{known} of 300 blocks were reused");
    assert_eq!(heap.stats().slabs, slabs, "freed blocks are reused before new slabs");
    again.into_iter().for_each(|block| free(&heap, block, 200));
    stay.into_iter().for_each(|block| free(&heap, block, 1000));
    assert_eq!(heap.state().live_blocks, 0);
}

/// Frees blocks on another thread and runs `then` while that thread waits.
///
/// The thread trims the heap for each message on the first channel and answers on the second.
fn free_on_other_thread(
    heap: &Heap,
    blocks: &[NonNull<u8>],
    size: usize,
    then: impl FnOnce(&std::sync::mpsc::Sender<()>, &std::sync::mpsc::Receiver<()>),
) {
    let numbers: Vec<_> = blocks.iter().map(|block| block.as_ptr().expose_provenance()).collect();
    let (to, from) = std::sync::mpsc::channel::<()>();
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            for number in numbers {
                free(heap, NonNull::new(core::ptr::with_exposed_provenance_mut(number)).unwrap(), size);
            }
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
    let heap = Heap::new().decaying(None);
    let blocks: Vec<_> = (0..60).map(|_| alloc(&heap, 256)).collect();
    free_on_other_thread(&heap, &blocks, 256, |to, is_done| {
        heap.trim(0);
        assert_eq!(heap.stats().slabs, 64 << 10, "the sleeping thread pins the slab");
        to.send(()).unwrap();
        is_done.recv().unwrap();
        heap.trim(0);
        assert_eq!(heap.stats().slabs, 0, "its frees were posted");
    });
}

#[test]
fn n13_freeing_thread_serves_a_trim_request() {
    let heap = Heap::new().decaying(None);
    let old: Vec<_> = (0..60).map(|_| alloc(&heap, 256)).collect();
    let new: Vec<_> = (0..2000).map(|_| alloc(&heap, 512)).collect();
    let numbers = |blocks: &[NonNull<u8>]| -> Vec<usize> {
        blocks.iter().map(|block| block.as_ptr().expose_provenance()).collect()
    };
    let (old, new) = (numbers(&old), numbers(&new));
    let at = |number: usize| NonNull::<u8>::new(core::ptr::with_exposed_provenance_mut(number)).unwrap();
    let (to, from) = std::sync::mpsc::channel::<()>();
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let heap = &heap;
        let thread = scope.spawn(move || {
            old.into_iter().for_each(|number| free(heap, at(number), 256));
            done.send(()).unwrap();
            from.recv().unwrap();
            // These frees touch many words of other slabs, and none of the earlier words.
            new.into_iter().for_each(|number| free(heap, at(number), 512));
            done.send(()).unwrap();
            from.recv().unwrap();
        });
        is_done.recv().unwrap();
        heap.trim(0);
        to.send(()).unwrap();
        is_done.recv().unwrap();
        heap.trim(0);
        let class =
            |size: usize| heap.stats().classes().iter().find(|class| class.size == size).unwrap().slabs;
        assert_eq!(class(256), 0, "frees before the request were posted");
        to.send(()).unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn n10_unposted_remote_frees_are_bounded() {
    let heap = Heap::new().decaying(None);
    // One slab of 64 blocks of 1 KiB has one bitmap word.
    let blocks: Vec<_> = (0..64).map(|_| alloc(&heap, 1024)).collect();
    free_on_other_thread(&heap, &blocks, 1024, |_, _| {
        // The owner reuses all posted blocks; up to 16 KiB stay unposted.
        let again: Vec<_> = (0..64).map(|_| alloc(&heap, 1024)).collect();
        let back = again.iter().filter(|block| blocks.contains(block)).count();
        assert!((48..64).contains(&back), "{back}");
        again.into_iter().for_each(|block| free(&heap, block, 1024));
    });
}

#[test]
fn n15_binary_classes_reuse_the_most_recently_freed_blocks() {
    let heap = Heap::with_classes(SizeClasses::Binary).decaying(None);
    for size in [600, 1000, 1024, 2000] {
        let blocks: Vec<_> = (0..64).map(|_| alloc(&heap, size)).collect();
        let slabs = heap.stats().slabs;
        blocks[..7].iter().for_each(|&block| free(&heap, block, size));
        let again: Vec<_> = (0..7).map(|_| alloc(&heap, size)).collect();
        assert!(again.iter().all(|block| blocks[..7].contains(block)), "{size}");
        assert_eq!(heap.stats().slabs, slabs, "{size}");
        again.into_iter().chain(blocks[7..].iter().copied()).for_each(|block| free(&heap, block, size));
    }
}

#[test]
fn n13_heap_holds_little_more_than_needed_after_a_trim() {
    const SLABS: usize = 1000;
    for scattered in [false, true] {
        let heap = Heap::new().on_huge_pages(false).decaying(None);
        // A slab of one unit has four blocks.
        let blocks: Vec<_> = (0..4 * SLABS).map(|_| alloc(&heap, 16 << 10)).collect();
        let mut order: Vec<usize> = (0..SLABS).collect();
        if scattered {
            order.sort_by_key(|&at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        }
        let in_order = order.iter().flat_map(|slab| &blocks[4 * slab..][..4]);
        in_order.for_each(|&block| free(&heap, block, 16 << 10));
        heap.trim(0);
        let before = heap.state().held;
        let again: Vec<_> = (0..400).map(|_| alloc(&heap, 16 << 10)).collect();
        let more = heap.state().held - before;
        assert!(more <= 10 << 20, "{} KiB for 6400, scattered frees: {scattered}", more >> 10);
        again.into_iter().for_each(|block| free(&heap, block, 16 << 10));
    }
}

#[test]
fn n13_units_of_small_blocks_are_reused_for_large_ones() {
    let heap = Heap::new().decaying(None);
    for _ in 0..3 {
        let small = [64, 64].map(|size| alloc(&heap, size));
        small.into_iter().rev().for_each(|block| free(&heap, block, 64));
        heap.trim(0);
        assert_eq!(heap.stats().slabs, 0);
        let large: Vec<_> = (0..30).map(|_| alloc(&heap, 20_000)).collect();
        large[..20].iter().for_each(|&block| free(&heap, block, 20_000));
        let again: Vec<_> = (0..20).map(|_| alloc(&heap, 20_000)).collect();
        let addresses: std::collections::HashSet<_> =
            again.iter().chain(&large[20..]).map(|block| block.addr()).collect();
        assert_eq!(addresses.len(), 30, "each block is allocated once");
        again.into_iter().chain(large[20..].iter().copied()).for_each(|block| free(&heap, block, 20_000));
        heap.trim(0);
    }
}
