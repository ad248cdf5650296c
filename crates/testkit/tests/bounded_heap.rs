//! The heap in memory that the caller provides: a buffer, a region, a mapped file; full, shared or
//! misaligned.
#![expect(unsafe_code, reason = "passes memory to a heap by its address")]
#![expect(clippy::unwrap_used, reason = "test helpers")]

use allocator_api2::vec::Vec as VecIn;
use arenite_alloc::{BoundedHeap, Checked, Heap};

use arenite_core::{AllocError, AllocErrorKind, Block, MemoryAllocator, Resource};
use arenite_pages::{MapMode, Region, map_file};
use core::mem::MaybeUninit;

static HEAP: Heap = Heap::new();

/// Returns the bytes of a block, all of which were written.
fn bytes<'a>(block: &'a Block<&BoundedHeap<'_>>) -> &'a [u8] {
    // SAFETY: the block was zeroed when it was allocated, so every byte is initialised.
    unsafe { block.bytes().assume_init_ref() }
}

/// Fills the heap on three threads, checks the contents, and checks that every block was freed.
fn check_heap(heap: &BoundedHeap<'_>) {
    let fresh = heap.state();
    std::thread::scope(|scope| {
        for seed in 1..4_u8 {
            scope.spawn(move || {
                let mut live: Vec<(Block<&BoundedHeap<'_>>, u8)> = Vec::new();
                for turn in 0..5_000_usize {
                    let size = 1 + (turn * 7_919 + usize::from(seed) * 104_729) % 3_000;
                    match Block::zeroed_in(arenite_core::layout(size, 1 << (turn % 8)).unwrap(), heap) {
                        Ok(mut block) => {
                            assert!(bytes(&block).iter().all(|&byte| byte == 0));
                            block.bytes_mut().fill(MaybeUninit::new(seed));
                            live.push((block, seed));
                        }
                        Err(error) => {
                            assert_eq!(error.kind, AllocErrorKind::CapacityReached);
                            live.truncate(live.len() / 2);
                        }
                    }
                    if turn % 3 == 0 && !live.is_empty() {
                        let (block, seed) = live.swap_remove(turn % live.len());
                        assert!(bytes(&block).iter().all(|&byte| byte == seed));
                    }
                }
            });
        }
    });
    let end = heap.state();
    assert_eq!((end.live_blocks, end.in_use, end.largest_free), (0, 0, fresh.largest_free));
    assert!(end.peak > 0 && end.peak <= end.held && end.limit == Some(end.held));
}

#[test]
fn n08_bounded_heap_stays_inside_its_buffer() {
    let mut buffer = vec![MaybeUninit::uninit(); 300_000];
    for skip in [0, 1, 7, 8, 9] {
        check_heap(&BoundedHeap::new(&mut buffer[skip..]));
    }
    let heap = BoundedHeap::new(&mut buffer[..10_000]).with_label("buffer");
    let error = heap.allocate(arenite_core::layout(20_000, 8).unwrap()).unwrap_err();
    assert!(error.to_string().contains("buffer"), "{error}");
    let mut numbers: VecIn<u64, _> = VecIn::new_in(&heap);
    numbers.extend(0..1_000);
    assert!(numbers.try_reserve(10_000).is_err() && numbers.iter().sum::<u64>() == 499_500);
}

#[test]
fn n08_bounded_heap_works_in_a_region_and_in_a_mapped_file() {
    // A heap is also an allocator for containers.
    let mut list: VecIn<u32, &Heap> = VecIn::new_in(&HEAP);
    list.push(3);
    assert_eq!(HEAP.state().live_blocks, 1);
    let region = Region::reserve(1 << 20, "bounded").unwrap();
    region.commit(0, 1 << 20).unwrap();
    // SAFETY: the region is committed, outlives the heap, and has no other user.
    check_heap(&unsafe { BoundedHeap::from_raw_parts(region.as_ptr(), 1 << 20) });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("heap");
    std::fs::write(&path, vec![0; 1 << 20]).unwrap();
    let file = map_file(&path, MapMode::ReadWrite).unwrap();
    // SAFETY: the file is mapped for writes, outlives the heap, and has no other user.
    check_heap(&unsafe { BoundedHeap::from_raw_parts(file.as_ptr(), file.len()) });
    drop(file);
    assert!(std::fs::read(&path).unwrap().contains(&3), "blocks were in the file");
}

#[test]
fn n10_checked_api_rejects_double_and_foreign_frees() {
    let mut buffer = vec![MaybeUninit::uninit(); 100_000];
    let heap = BoundedHeap::new(&mut buffer);
    let allocator = Checked::new(&heap);
    let allocator: &dyn MemoryAllocator<Error = AllocError> = &allocator;
    let block = allocator.allocate(100, 8).unwrap();
    assert!(allocator.deallocate(block, 99, 8).is_err());
    allocator.deallocate(block, 100, 8).unwrap();
    assert!(allocator.deallocate(block, 100, 8).is_err());
    let mut other = 5_u64;
    assert!(allocator.deallocate((&raw mut other).cast(), 8, 8).is_err());
}

#[test]
fn n08_bounded_heap_fails_every_request_when_too_small() {
    let mut buffer = [MaybeUninit::uninit(); 200];
    for len in 0..64 {
        let heap = BoundedHeap::new(&mut buffer[..len]);
        assert!(heap.allocate(arenite_core::layout(64, 8).unwrap()).is_err());
        assert!(heap.state().held <= len);
    }
    let heap = BoundedHeap::new(&mut buffer);
    assert!(heap.allocate(arenite_core::layout(64, 8).unwrap()).is_ok());
    assert!(heap.allocate(arenite_core::layout(isize::MAX.unsigned_abs() - 5000, 4096).unwrap()).is_err());
}
