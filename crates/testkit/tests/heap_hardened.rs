//! The hardened heap serves requests like the plain one, and detects misuse.
#![expect(unsafe_code, reason = "misuses blocks on purpose")]
#![expect(clippy::unwrap_used, reason = "test helpers")]

use arenite_alloc::{Hardening, Heap, Misuse, MisuseReport};
use arenite_core::{Resource, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

fn alloc(heap: &Heap, size: usize) -> *mut u8 {
    let block = heap.allocate(layout(size)).unwrap().cast::<u8>();
    // SAFETY: a fresh block of that size.
    unsafe { block.write_bytes(0x11, size) };
    block.as_ptr()
}

fn free(heap: &Heap, address: *mut u8) -> Result<(), MisuseReport> {
    // SAFETY: a live block that is not used again, or an invalid pointer, which `checked_free` must
    // reject: that is the test.
    unsafe { heap.checked_free(address) }
}

fn misuse(heap: &Heap, address: *mut u8) -> Misuse {
    free(heap, address).unwrap_err().misuse
}

/// Writes a byte that the program must not write.
fn write(address: *mut u8, byte: u8) {
    // SAFETY: the address is mapped for writes and belongs to the heap; detecting this write is the
    // test.
    unsafe { address.write_volatile(byte) };
}

#[test]
fn n10_double_foreign_and_interior_frees_fail_and_change_nothing() {
    let heap = Heap::new().with_hardening(Hardening::ALL);
    for size in [1, 8, 100, 3000, 30_000, 65_536, 70_000, 5 << 20, 20 << 20] {
        let block = alloc(&heap, size);
        if size > 16 {
            assert_eq!(misuse(&heap, block.wrapping_add(8)), Misuse::InteriorPointer, "{size}");
        }
        assert_eq!(heap.state().live_blocks, 1);
        assert_eq!(free(&heap, block), Ok(()), "{size}");
        let again = free(&heap, block).unwrap_err();
        if size <= 65_536 {
            assert_eq!((again.misuse, again.block), (Misuse::DoubleFree, Some((block.addr(), size))));
            let (allocated, freed) = (again.allocated_by.unwrap(), again.freed_by.unwrap());
            assert!(allocated.thread == freed.thread && allocated.call < freed.call, "{again}");
        } else {
            assert_eq!(again.misuse, Misuse::InvalidPointer, "its addresses are unmapped");
        }
        assert_eq!(heap.state().live_blocks, 0);
    }
    let mut other = [0_u8; 64];
    assert_eq!(misuse(&heap, other.as_mut_ptr()), Misuse::InvalidPointer);
    assert_eq!(free(&heap, core::ptr::null_mut()), Ok(()));
    // The addresses are those of a never allocated block of the slab, and of memory behind the
    // slab.
    let block = alloc(&heap, 100);
    let fresh = (1..600).map(|step| block.wrapping_add(step * 104)).find_map(|at| free(&heap, at).err());
    assert_eq!(fresh.unwrap().misuse, Misuse::InvalidPointer);
    assert_eq!(free(&heap, block), Ok(()));
}

#[test]
fn n10_write_after_free_and_overflow_are_detected() {
    let heap = Heap::new().with_hardening(Hardening::ALL.with_quarantine(1000));
    let block = alloc(&heap, 100);
    write(block.wrapping_add(100), 5);
    let report = free(&heap, block).unwrap_err();
    assert_eq!((report.misuse, report.address), (Misuse::BufferOverflow, block.addr() + 100));
    write(block.wrapping_add(100), 0xb5);
    assert_eq!(free(&heap, block), Ok(()));
    write(block.wrapping_add(40), 5);
    let mut found = None;
    for _ in 0..50 {
        let other = alloc(&heap, 100);
        if let Err(report) = free(&heap, other) {
            found = Some(report);
            break;
        }
    }
    let report = found.unwrap();
    assert_eq!((report.misuse, report.address), (Misuse::WriteAfterFree, block.addr() + 40));
    assert!(report.to_string().contains("write after free; block 0x"), "{report}");
}

#[test]
fn n10_freed_blocks_are_poisoned_or_zeroed_and_quarantined() {
    for (hardening, byte) in [(Hardening::ALL, 0xdf), (Hardening::ALL.with_zero_on_free(true), 0)] {
        let heap = Heap::new().with_hardening(hardening);
        let block = alloc(&heap, 64);
        assert_eq!(free(&heap, block), Ok(()));
        // SAFETY: the heap still holds and maps the freed block; checking its bytes is the test.
        let kept = unsafe { core::slice::from_raw_parts(block, 64) };
        assert!(kept.iter().all(|&found| found == byte));
        let others: Vec<*mut u8> = (0..2000).map(|_| alloc(&heap, 64)).collect();
        assert!(!others.contains(&block), "the block is in the quarantine");
        others.into_iter().for_each(|other| assert_eq!(free(&heap, other), Ok(())));
    }
}

#[test]
fn n10_hardened_heaps_allocate_in_different_random_orders() {
    let order = |hardening| {
        let heap = Heap::new().with_hardening(hardening);
        let blocks: Vec<usize> = (0..200).map(|_| alloc(&heap, 64).addr() & 0xffff).collect();
        assert_eq!(heap.state().live_blocks, 200);
        blocks
    };
    assert_ne!(order(Hardening::ALL), order(Hardening::ALL));
    assert_eq!(order(Hardening::NONE), order(Hardening::NONE));
    assert!(!order(Hardening::ALL).is_sorted());
}

#[test]
fn n08_a_hardened_heap_serves_threads_batches_and_growth() {
    for hardening in
        [Hardening::ALL, Hardening::NONE, Hardening::ALL.with_guard_pages(false).with_quarantine(0)]
    {
        let heap = Heap::new().with_hardening(hardening);
        std::thread::scope(|scope| {
            for seed in 1..4_usize {
                let heap = &heap;
                scope.spawn(move || {
                    let mut live: Vec<(*mut u8, usize)> = Vec::new();
                    for turn in 0..20_000_usize {
                        let random = (turn * 7_919 + seed * 104_729) % 65_521;
                        if live.len() > 100 {
                            let (block, size) = live.swap_remove(random % 100);
                            // SAFETY: a live block of that size.
                            let bytes = unsafe { core::slice::from_raw_parts(block, size) };
                            assert!(bytes.iter().all(|&byte| byte == 0x11));
                            assert_eq!(free(heap, block), Ok(()));
                        }
                        let size = 1 + random % (16 << (random % 9));
                        live.push((alloc(heap, size), size));
                    }
                    live.into_iter().for_each(|(block, _)| assert_eq!(free(heap, block), Ok(())));
                });
            }
        });
        assert_eq!((heap.state().live_blocks, heap.state().in_use), (0, 0));
        let mut block = heap.allocate(layout(1)).unwrap().cast::<u8>();
        for size in 1..3000 {
            // SAFETY: a live block of this layout; the new size is larger.
            block = unsafe { heap.grow(block, layout(size), layout(size + 1)) }.unwrap().cast();
        }
        // SAFETY: a live block of this layout; the new size is smaller.
        block = unsafe { heap.shrink(block, layout(3000), layout(7)) }.unwrap().cast();
        // SAFETY: a live block of this heap.
        assert_eq!(unsafe { heap.usable_size(block) }, 7);
        // SAFETY: a live block of this layout, not used again.
        unsafe { heap.deallocate(block, layout(7)) };
        let blocks: Vec<NonNull<u8>> = heap.alloc_batch(layout(48), 3000).unwrap();
        // SAFETY: live blocks of this layout, each freed once and not used again.
        unsafe { heap.free_batch(&blocks, layout(48)) };
        assert_eq!(heap.state().live_blocks, 0);
        heap.trim(0);
    }
}

#[test]
fn n10_each_hardening_option_detects_its_misuse_alone() {
    let overflow = |hardening| {
        let heap = Heap::new().with_hardening(hardening);
        let block = alloc(&heap, 100);
        write(block.wrapping_add(100), 5);
        free(&heap, block).err().map(|report| report.misuse)
    };
    assert_eq!(overflow(Hardening::NONE.with_bounds_checks(true)), Some(Misuse::BufferOverflow));
    assert_eq!(overflow(Hardening::ALL.with_bounds_checks(false)), None);

    // Without poison, a write after a free is not noticed when the block is reused.
    let heap = Heap::new().with_hardening(Hardening::NONE);
    let block = alloc(&heap, 100);
    assert_eq!(free(&heap, block), Ok(()));
    write(block.wrapping_add(40), 5);
    assert!((0..2000).any(|_| alloc(&heap, 100) == block));

    let order = |hardening| {
        let heap = Heap::new().with_hardening(hardening);
        (0..200).map(|_| alloc(&heap, 64).addr() & 0xffff).collect::<Vec<_>>()
    };
    let (random, fixed) = (Hardening::NONE.with_random_order(true), Hardening::ALL.with_random_order(false));
    assert_ne!(order(random), order(random));
    assert_eq!(order(fixed), order(fixed));
}

#[test]
fn n10_a_freed_block_keeps_its_bytes_poison_or_zeroes_by_option() {
    let after_free = |hardening| {
        let heap = Heap::new().with_hardening(hardening);
        let block = alloc(&heap, 64);
        assert_eq!(free(&heap, block), Ok(()));
        // SAFETY: the heap still holds and maps the freed block; checking its bytes is the test.
        unsafe { core::slice::from_raw_parts(block, 64) }.to_vec()
    };
    assert_eq!(after_free(Hardening::NONE), [0x11; 64]);
    assert_eq!(after_free(Hardening::NONE.with_poison_on_free(true)), [0xdf; 64]);
    assert_eq!(after_free(Hardening::NONE.with_zero_on_free(true)), [0; 64]);
}
