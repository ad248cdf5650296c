//! The heap under threads: remote frees, exiting threads, dropped heaps, growth and purging.
#![expect(unsafe_code, reason = "uses and frees raw blocks")]
#![expect(clippy::unwrap_used, reason = "test helpers")]

use arenite_alloc::{Heap, Misuse, SizeClasses};
use arenite_core::{Resource, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;
use std::sync::mpsc;
use testkit::{PatternBlock, Random};

fn allocate(heap: &Heap, layout: Layout, seed: u8) -> PatternBlock {
    PatternBlock::allocate(heap, layout, seed).unwrap()
}

/// Returns a layout with a log-uniform size of 8 B to 64 KiB, sometimes 1 MiB, and an alignment of
/// 1 to 128.
fn random_layout(random: &mut Random) -> Layout {
    let exponent = 3 + random.below(14);
    let size = if random.below(200) == 0 { 1 << 20 } else { (1 << exponent) - random.below(8) };
    Layout::from_size_align(size, 1 << random.below(8)).unwrap()
}

/// Runs the test `name` in a child process with the environment variable `name = mode`.
///
/// Returns the exit status, `None` if a signal ended the child, and the standard error.
fn run_in_child(name: &str, mode: &str) -> (Option<i32>, String) {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", name]).env(name, mode).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Checks that each mode of the test `name` aborts its child process with a report that contains
/// the given text.
fn check_reports(name: &str, modes: &[(&str, &str)]) {
    for (mode, report) in modes {
        let (code, stderr) = run_in_child(name, mode);
        assert!(code.is_none() && stderr.contains(report), "{mode}: {code:?} {stderr}");
    }
}

#[test]
fn n10_remote_freed_blocks_are_intact() {
    let heap = Heap::new();
    let rounds = 60_000;
    std::thread::scope(|scope| {
        for pair in 0..2_u64 {
            let (sender, receiver) = mpsc::sync_channel::<PatternBlock>(1000);
            let heap = &heap;
            scope.spawn(move || {
                let mut random = Random(0x9e37_79b9 + pair);
                for round in 0..rounds {
                    let held = allocate(heap, random_layout(&mut random), u8::try_from(round % 251).unwrap());
                    if random.below(4) == 0 { held.free(heap) } else { sender.send(held).unwrap() }
                }
            });
            scope.spawn(move || {
                let (mut random, mut waiting) = (Random(77 + pair), Vec::new());
                for held in receiver {
                    waiting.push(held);
                    if waiting.len() > 200 {
                        let at = random.below(waiting.len());
                        waiting.swap_remove(at).free(heap);
                    }
                }
                waiting.into_iter().for_each(|held| held.free(heap));
            });
        }
    });
    let state = heap.state();
    assert_eq!((state.live_blocks, state.in_use), (0, 0), "{state}");
}

#[test]
fn n10_remote_frees_into_full_slabs_are_reused() {
    for (size, count) in [(64, 40_000), (256, 10_000), (1024, 6000), (10_000, 600)] {
        let heap = Heap::new();
        let layout = Layout::from_size_align(size, 8).unwrap();
        let allocate_all = |number: usize| {
            (0..number).map(|at| allocate(&heap, layout, u8::try_from(at % 251).unwrap())).collect::<Vec<_>>()
        };
        let kept = allocate_all(count / 2);
        let mut held = Vec::new();
        for round in 0..20 {
            // Every slab has blocks that stay and blocks that another thread frees; in odd rounds
            // only a few slabs have the latter.
            let number = if round % 2 == 0 { count } else { count / 16 };
            let remote = allocate_all(number);
            std::thread::scope(|scope| {
                scope.spawn(|| remote.into_iter().for_each(|block| block.free(&heap)));
            });
            held.push(heap.state().held);
        }
        assert_eq!(heap.state().live_blocks, kept.len(), "{size} B");
        let (first, last) = (held[1], held[19]);
        assert!(last <= first + (5 << 20), "{size} B: {held:?}");
        kept.into_iter().for_each(|block| block.free(&heap));
        assert_eq!(heap.state().live_blocks, 0, "{size} B");
    }
}

#[test]
fn n10_slabs_of_exited_threads_are_reused() {
    let heap = Heap::with_classes(SizeClasses::Binary);
    let layout = Layout::from_size_align(256, 16).unwrap();
    let mut kept = Vec::new();
    for round in 0..50_u8 {
        let more = std::thread::scope(|scope| {
            let work = || (0..300).map(|_| allocate(&heap, layout, round)).collect::<Vec<_>>();
            scope.spawn(work).join().unwrap()
        });
        // Most blocks are freed here, into slabs of an exited thread.
        for (index, held) in more.into_iter().enumerate() {
            if index.is_multiple_of(100) { kept.push(held) } else { held.free(&heap) }
        }
    }
    let state = heap.state();
    assert_eq!(state.live_blocks, kept.len());
    assert!(state.held < 4 << 20, "50 threads of 75 KiB each, one after the other: {state}");
    // A slab without free blocks is adopted too.
    let full: Vec<PatternBlock> = std::thread::scope(|scope| {
        scope.spawn(|| (0..1000).map(|_| allocate(&heap, layout, 99)).collect()).join().unwrap()
    });
    let more: Vec<PatternBlock> = (0..1000).map(|_| allocate(&heap, layout, 98)).collect();
    [kept, full, more].into_iter().flatten().for_each(|held| held.free(&heap));
    assert_eq!(heap.state().in_use, 0);
}

#[test]
fn n14_heaps_drop_before_and_after_the_threads_that_used_them() {
    for _ in 0..20 {
        let heaps: Vec<Heap> = (0..12).map(|_| Heap::new()).collect();
        let (first, rest) = heaps.split_at(6);
        std::thread::scope(|scope| {
            for heap in first {
                scope.spawn(move || {
                    for other in rest {
                        allocate(other, Layout::new::<[u64; 9]>(), 1).free(other);
                    }
                    allocate(heap, Layout::new::<[u64; 90]>(), 2).free(heap);
                });
            }
        });
        // This thread has used more heaps than its cache holds; all are dropped before it exits.
        let held: Vec<(&Heap, PatternBlock)> =
            heaps.iter().map(|heap| (heap, allocate(heap, Layout::new::<[u64; 7]>(), 3))).collect();
        held.into_iter().for_each(|(heap, held)| held.free(heap));
        assert!(heaps.iter().all(|heap| heap.state().live_blocks == 0));
    }
}

#[test]
fn n11_n12_batches_are_disjoint_and_freed_on_any_thread() {
    let heap = Heap::new();
    let layout = Layout::from_size_align(256, 16).unwrap();
    for round in 0..5 {
        let blocks = heap.alloc_batch(layout, 10_000).unwrap();
        let mut sorted: Vec<usize> = blocks.iter().map(|block| block.addr().get()).collect();
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= 256));
        assert_eq!(heap.state().live_blocks, 10_000);
        for block in &blocks {
            // SAFETY: a live block of 256 bytes.
            unsafe { block.write_bytes(7, 256) };
        }
        let addresses: Vec<usize> = blocks.iter().map(|block| block.as_ptr().expose_provenance()).collect();
        let free = || {
            let blocks: Vec<_> = addresses
                .iter()
                .map(|&address| NonNull::new(core::ptr::with_exposed_provenance_mut(address)).unwrap())
                .collect();
            // SAFETY: live blocks of this layout, each freed once and not used again.
            unsafe { heap.free_batch(&blocks, layout) };
        };
        if round % 2 == 0 {
            free()
        } else {
            std::thread::scope(|scope| scope.spawn(free).join().unwrap())
        }
        assert_eq!(heap.state().live_blocks, 0, "round {round}");
    }
    assert!(heap.alloc_batch(Layout::from_size_align(1 << 46, 64).unwrap(), 3).is_err());
    assert!(heap.alloc_batch(layout, usize::MAX).is_err());
    let large = heap.alloc_batch(Layout::from_size_align(100_000, 64).unwrap(), 20).unwrap();
    // SAFETY: live blocks of this layout, each freed once and not used again.
    unsafe { heap.free_batch(&large, Layout::from_size_align(100_000, 64).unwrap()) };
    assert_eq!(heap.state().in_use, 0);
}

#[test]
fn n13_defrag_releases_empty_slabs() {
    let heap = Heap::new();
    let layout = Layout::from_size_align(1024, 16).unwrap();
    let mut all: Vec<PatternBlock> = (0..40_000).map(|_| allocate(&heap, layout, 5)).collect();
    let full = heap.state();
    assert!(full.held >= 40 << 20 && full.in_use == 40_000 * 1024);
    let kept = all.split_off(39_000);
    all.into_iter().for_each(|held| held.free(&heap));
    assert!(heap.defrag() > 30 << 20);
    let after = heap.state();
    assert!(after.held < 6 << 20 && after.in_use == 1000 * 1024, "{after}");
    kept.into_iter().for_each(|held| held.free(&heap));
    assert_eq!(heap.state().live_blocks, 0);
}

#[test]
fn n09_large_blocks_keep_their_bytes_when_grown() {
    let heap = Heap::new();
    let layout = |size| Layout::from_size_align(size, 64).unwrap();
    let write = |block: NonNull<u8>, at: usize, byte| {
        // SAFETY: the offset is inside a live block.
        unsafe { block.as_ptr().wrapping_add(at).write(byte) };
    };
    let read = |block: NonNull<u8>, at: usize| {
        // SAFETY: the offset is inside a live block, and the byte was written or zeroed before.
        unsafe { block.as_ptr().wrapping_add(at).read() }
    };
    let mut size = 1 << 20;
    let mut block = heap.allocate(layout(size)).unwrap().cast::<u8>();
    write(block, size - 1, 1);
    let mut marks = vec![(size - 1, 1_u8)];
    while size < 256 << 20 {
        // SAFETY: a live block of that layout; the new size is larger.
        block = unsafe { heap.grow(block, layout(size), layout(2 * size)) }.unwrap().cast();
        size *= 2;
        let mark = u8::try_from(marks.len() + 1).unwrap();
        write(block, size - 1, mark);
        marks.push((size - 1, mark));
        assert!(marks.iter().all(|&(at, mark)| read(block, at) == mark));
    }
    // SAFETY: a live block of that layout, not used again.
    unsafe { heap.deallocate(block, layout(size)) };
    let kept = heap.state();
    assert!(kept.in_use == 0 && kept.held >= 256 << 20, "{kept}");
    let zeroed = heap.allocate_zeroed(layout(200 << 20)).unwrap().cast::<u8>();
    assert_eq!(read(zeroed, (1 << 20) - 1), 0, "a cached block is zeroed on request");
    // SAFETY: a live block of that layout, not used again.
    unsafe { heap.deallocate(zeroed, layout(200 << 20)) };
    heap.trim(0);
    assert!(heap.state().held < 4 << 20, "{}", heap.state());
    assert!(heap.allocate(Layout::from_size_align(1 << 47, 64).unwrap()).is_err());
    assert!(heap.allocate(Layout::from_size_align(10, 4 << 20).unwrap()).is_err());
}

/// Returns the number of mappings of this process.
fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

#[test]
fn n13_trim_releases_slabs_emptied_by_other_threads() {
    let layout = Layout::from_size_align(256, 16).unwrap();
    for ends in [true, false] {
        let heap = Heap::new();
        let alloc = || (0..100_000).map(|_| allocate(&heap, layout, 4)).collect::<Vec<_>>();
        let free_all = |all: Vec<PatternBlock>| all.into_iter().for_each(|held| held.free(&heap));
        if ends {
            let all = std::thread::scope(|scope| scope.spawn(alloc).join().unwrap());
            free_all(all);
        } else {
            let all = alloc();
            std::thread::scope(|scope| scope.spawn(|| free_all(all)).join().unwrap());
        }
        assert!(heap.state().live_blocks == 0 && heap.state().held > 20 << 20);
        heap.trim(0);
        assert!(heap.state().held < 3 << 20, "thread exited: {ends}: {}", heap.state());
    }
}

#[test]
fn n13_trim_between_spans_adds_no_mappings() {
    let heap = Heap::new();
    let layout = Layout::from_size_align(65_000, 4096 * 4).unwrap();
    let mut spans: Vec<NonNull<u8>> = heap.alloc_batch(layout, 4000).unwrap();
    let state = heap.state();
    assert!(state.in_use == 4000 << 16 && state.held < (4000 << 16) + (8 << 20), "{state}");
    let before = mappings();
    let mut index = 0;
    spans.retain(|&block| {
        index += 1;
        if index % 2 == 0 {
            // SAFETY: a live block of this layout, not used again.
            unsafe { heap.deallocate(block, layout) };
        }
        index % 2 == 1
    });
    heap.trim(0);
    assert!(mappings() < before + 200, "{before} mappings before, {} after", mappings());
    // SAFETY: live blocks of this layout, each freed once and not used again.
    unsafe { heap.free_batch(&spans, layout) };
    assert_eq!(heap.state().in_use, 0);
}

#[test]
fn n10_small_blocks_with_large_alignments_share_mappings() {
    let heap = Heap::new();
    let before = mappings();
    for align in [128 << 10, 1 << 20, 2 << 20] {
        let layout = Layout::from_size_align(64, align).unwrap();
        let held: Vec<PatternBlock> = (0..300).map(|_| allocate(&heap, layout, 9)).collect();
        assert!(mappings() < before + 200);
        held.into_iter().for_each(|held| held.free(&heap));
    }
    assert_eq!(heap.state().live_blocks, 0);
}

#[test]
fn n08_blocks_without_a_layout_are_found_resized_and_freed() {
    let heap = Heap::new();
    // SAFETY: no other thread uses this heap.
    let at = |address: *const u8| unsafe { Heap::block_at(address) };
    let mut blocks = Vec::new();
    for size in [1, 8, 9, 16, 100, 1000, 5000, 65_536, 65_537, 300_000, 16 << 20, (16 << 20) + 1, 40 << 20] {
        for align in [8, 16, 64, 4096, 1 << 20] {
            let layout = Layout::from_size_align(size, align).unwrap();
            let held = allocate(&heap, layout, 0x5a);
            // SAFETY: a live block.
            let usable = unsafe { heap.usable_size(held.start()) };
            assert!(
                usable >= size
                    && usable
                        <= (size + size / 8)
                            .max(size + 7)
                            .next_multiple_of(align)
                            .max(2 * align)
                            .max(size.next_multiple_of(65_536)),
                "{size} {align} {usable}"
            );
            assert_eq!(at(held.start().as_ptr()).unwrap().len(), usable);
            for inside in [1, usable / 2, usable - 1].into_iter().filter(|&inside| inside > 0) {
                assert!(at(held.start().as_ptr().wrapping_add(inside)).is_none(), "{size} {align} {inside}");
            }
            // Every usable byte belongs to the caller.
            let layout = Layout::from_size_align(usable, align).unwrap();
            // SAFETY: a live block with `usable` usable bytes, which has no other user.
            blocks.push(unsafe { PatternBlock::fill(held.start(), layout, held.seed()) });
        }
    }
    for other in [core::ptr::null(), 8 as *const u8, (&raw const heap).cast(), usize::MAX as *const u8] {
        assert!(at(other).is_none());
    }
    for (turn, held) in blocks.into_iter().enumerate() {
        let size = match turn % 4 {
            0 => held.layout().size() * 3,
            1 => held.layout().size() / 3 + 1,
            2 => held.layout().size() + 1,
            _ => 24,
        };
        let new = Layout::from_size_align(size, held.layout().align()).unwrap();
        // SAFETY: a live block of this heap, used under its new address only.
        let block: NonNull<u8> = unsafe { heap.reallocate(held.start(), new) }.unwrap().cast();
        assert!(block.addr().get().is_multiple_of(new.align()));
        // SAFETY: a live block of at least that size, whose old bytes were written.
        let kept = unsafe { core::slice::from_raw_parts(block.as_ptr(), size.min(held.layout().size())) };
        assert!(kept.iter().all(|&byte| byte == held.seed()), "{size}");
        // SAFETY: a live block of this heap, not used again.
        unsafe { heap.free(block) };
    }
    assert_eq!((heap.state().live_blocks, heap.state().in_use), (0, 0));
}

#[test]
fn n09_a_span_grows_into_the_units_behind_it() {
    let heap = Heap::new();
    let layout = |size| Layout::from_size_align(size, 16).unwrap();
    let held = allocate(&heap, layout(100_000), 3);
    // SAFETY: a live block of this layout; the new size is larger.
    let grown = unsafe { heap.grow(held.start(), held.layout(), layout(5 << 20)) }.unwrap().cast::<u8>();
    assert_eq!(grown, held.start());
    assert!(heap.state().in_use >= 5 << 20 && heap.state().live_blocks == 1);
    let behind = allocate(&heap, layout(100_000), 4);
    // SAFETY: a live block of this layout; the new size is larger.
    let moved = unsafe { heap.grow(grown, layout(5 << 20), layout(6 << 20)) }.unwrap().cast::<u8>();
    assert_ne!(moved, grown);
    // SAFETY: the block is live, and its first bytes are those of the first block.
    assert_eq!(unsafe { moved.as_ptr().wrapping_add(99_999).read() }, 3);
    // SAFETY: a live block, not used again.
    unsafe { heap.deallocate(moved, layout(6 << 20)) };
    behind.free(&heap);
    assert_eq!(heap.state().live_blocks, 0);
}

#[test]
fn n08_a_thread_with_the_smallest_stack_can_allocate() {
    static HEAP: Heap = Heap::new();
    for _ in 0..3 {
        let thread = std::thread::Builder::new().stack_size(16 << 10);
        let done = thread.spawn(|| {
            let layout = Layout::from_size_align(100, 8).unwrap();
            let block = HEAP.allocate(layout).map(|block| block.cast::<u8>());
            // SAFETY: a live block of this layout, allocated just now and not used again.
            block.map(|block| unsafe { HEAP.deallocate(block, layout) }).is_ok()
        });
        assert!(done.unwrap().join().unwrap());
    }
}

#[test]
fn n08_large_block_is_freed_once_and_by_its_start() {
    let heap = Heap::new();
    let layout = Layout::from_size_align(40 << 20, 8).unwrap();
    let block = heap.allocate(layout).unwrap().cast::<u8>().as_ptr();
    // SAFETY: a live block that is not used afterwards, or an address that `checked_free` rejects.
    let free = |address: *mut u8| unsafe { heap.checked_free(address) }.map_err(|report| report.misuse);
    assert_eq!(free(block.wrapping_add(4096)), Err(Misuse::InteriorPointer));
    assert_eq!(free(block), Ok(()));
    assert_eq!(free(block), Err(Misuse::DoubleFree));
    assert_eq!(heap.state().live_blocks, 0);
}

#[test]
fn n09_blocks_of_a_threads_last_destructors_are_not_lost() {
    static HEAP: Heap = Heap::new();
    const LAYOUT: Layout = Layout::new::<[u64; 10]>();

    /// Allocates and sets the key again, so that the system calls this for as long as it repeats
    /// destructors.
    unsafe extern "C" fn again(key: *mut libc::c_void) {
        let block = HEAP.allocate(LAYOUT).unwrap().cast::<u8>();
        // SAFETY: a live block of this layout, allocated just now and not used again.
        unsafe { HEAP.deallocate(block, LAYOUT) };
        let number = libc::pthread_key_t::try_from(key.addr() - 1).unwrap();
        // SAFETY: the key whose destructor is running.
        let _set = unsafe { libc::pthread_setspecific(number, key) };
    }

    // The heap registers its own destructor first, so that it runs before this one in each round.
    let first = HEAP.allocate(LAYOUT).unwrap().cast::<u8>();
    let mut key = 0;
    // SAFETY: the pointer is valid for the write of the key.
    assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(again)) }, 0);
    let threads = |count: usize| {
        for _ in 0..count {
            std::thread::spawn(move || {
                let block = HEAP.allocate(LAYOUT).unwrap().cast::<u8>();
                // SAFETY: a live block of this layout, allocated just now and not used again.
                unsafe { HEAP.deallocate(block, LAYOUT) };
                let value = core::ptr::without_provenance(key as usize + 1);
                // SAFETY: a key that was created above and not deleted.
                assert_eq!(unsafe { libc::pthread_setspecific(key, value) }, 0);
            })
            .join()
            .unwrap();
        }
    };
    threads(50);
    let before = HEAP.state().held;
    threads(500);
    assert!(HEAP.state().held <= before + (1 << 20), "{before} {}", HEAP.state());
    // SAFETY: a live block of this layout, allocated above and not used again.
    unsafe { HEAP.deallocate(first, LAYOUT) };
}

#[test]
fn n08_invalid_free_of_a_wide_block_aborts_with_a_report() {
    static HEAP: Heap = Heap::new();
    const NAME: &str = "n08_invalid_free_of_a_wide_block_aborts_with_a_report";
    if let Ok(mode) = std::env::var(NAME) {
        let size = if mode.ends_with("small") { 2000 } else { 20_000 };
        let layout = Layout::from_size_align(size, 8).unwrap();
        // Enough blocks to fill several slabs, and many more than the thread cache holds.
        let blocks: Vec<_> = (0..120).map(|_| HEAP.allocate(layout).unwrap().cast::<u8>()).collect();
        // SAFETY: in two modes each block is freed once with its layout. In the others the invalid
        // free is under test; it must abort the program.
        let free_block = |block| unsafe { HEAP.deallocate(block, layout) };
        free_block(blocks[0]);
        match mode.as_str() {
            "twice" | "twice, small" => free_block(blocks[0]),
            // The first slab is empty, and is cached as such.
            "into an empty slab" => {
                blocks[1..60].iter().copied().for_each(free_block);
                free_block(blocks[0]);
                blocks[60..].iter().copied().for_each(free_block);
                std::process::exit(0);
            }
            // The units held small blocks before.
            "after small ones" => {
                let small = Layout::from_size_align(64, 8).unwrap();
                let pair = [(); 2].map(|()| HEAP.allocate(small).unwrap().cast::<u8>());
                // SAFETY: live blocks of this layout, allocated just now and not used again.
                pair.into_iter().rev().for_each(|block| unsafe { HEAP.deallocate(block, small) });
                HEAP.trim(0);
                let fresh: Vec<_> = (0..60).map(|_| HEAP.allocate(layout).unwrap().cast::<u8>()).collect();
                [fresh[0]].iter().chain(&fresh).copied().for_each(free_block);
            }
            "inside" => free_block(blocks[1].map_addr(|at| at.saturating_add(8))),
            _ => {}
        }
        // These frees flush the thread cache into the slabs.
        blocks[2..].iter().copied().for_each(free_block);
        std::process::exit(0);
    }
    for mode in ["once", "once, small"] {
        assert_eq!(run_in_child(NAME, mode).0, Some(0), "{mode}");
    }
    let free = "the block is already free";
    check_reports(
        NAME,
        &[
            ("twice", free),
            ("twice, small", free),
            ("into an empty slab", free),
            ("after small ones", free),
            ("inside", "inside a block, not its start"),
        ],
    );
}

#[test]
fn n13_live_blocks_are_exact_while_a_thread_exits() {
    let heap = Heap::new();
    let layout = |class: usize| Layout::from_size_align(100 * (class + 1), 8).unwrap();
    let alloc = |class: usize| heap.allocate(layout(class)).unwrap().cast::<u8>();
    // SAFETY: each block is freed once, with its layout.
    let free_block = |(class, block)| unsafe { heap.deallocate(block, layout(class)) };
    let live: Vec<_> = (0..2000).map(|number| (number % 10, alloc(number % 10))).collect();
    for turn in 0..500 {
        // The scope ends before the thread has released its slabs.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let blocks: Vec<_> = (0..600).map(|number| (number % 10, alloc(number % 10))).collect();
                blocks.into_iter().for_each(free_block);
            });
        });
        assert_eq!(heap.state().live_blocks, 2000, "turn {turn}");
    }
    live.into_iter().for_each(free_block);
    assert_eq!((heap.state().live_blocks, heap.state().in_use), (0, 0));
}

#[test]
fn n08_invalid_free_on_another_thread_aborts_with_a_report() {
    static HEAP: Heap = Heap::new();
    const NAME: &str = "n08_invalid_free_on_another_thread_aborts_with_a_report";
    let layout = Layout::from_size_align(200, 8).unwrap();
    if let Ok(mode) = std::env::var(NAME) {
        let block = HEAP.allocate(layout).unwrap().cast::<u8>().addr().get();
        let misuse = move || {
            let at = |address: usize| NonNull::new(core::ptr::with_exposed_provenance_mut(address)).unwrap();
            // SAFETY: in the last mode the block is freed once. In the others the invalid free is
            // under test; it must abort the program.
            let free_block = move |address| unsafe { HEAP.deallocate(at(address), layout) };
            match mode.as_str() {
                "twice" => [block, block].map(free_block).len(),
                "inside" => [block + 8].map(free_block).len(),
                // An exiting thread posts its pending frees.
                "by two" => {
                    std::thread::spawn(move || free_block(block)).join().unwrap();
                    [block].map(free_block).len()
                }
                _ => [block].map(free_block).len(),
            }
        };
        std::thread::spawn(misuse).join().unwrap();
        std::process::exit(0);
    }
    assert_eq!(run_in_child(NAME, "once").0, Some(0));
    let free = "the block is already free";
    check_reports(NAME, &[("twice", free), ("by two", free), ("inside", "inside a block, not its start")]);
}
