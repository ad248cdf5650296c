//! The recycling front of the global allocator: blocks cached by one instance reach no other
//! allocator.
#![expect(unsafe_code, reason = "implements a global allocator")]

use arenite_alloc::StatsAllocator;
use core::alloc::{GlobalAlloc, Layout};
use std::alloc::System;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[global_allocator]
static STATS: StatsAllocator = StatsAllocator::system();

/// An allocator that has no blocks of its own and counts foreign frees.
struct ForeignAllocator;

static FOREIGN_FREES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: `alloc` always fails, which the contract allows, so no valid call reaches `dealloc` with
// a block of this allocator.
unsafe impl GlobalAlloc for ForeignAllocator {
    unsafe fn alloc(&self, _layout: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        FOREIGN_FREES.fetch_add(1, Relaxed);
        // SAFETY: in this program every block comes from the system allocator, so the foreign block
        // is freed there with its layout.
        unsafe { System.dealloc(block, layout) }
    }
}

#[test]
fn cached_blocks_do_not_reach_the_allocator_of_another_front() {
    static OTHER: StatsAllocator<ForeignAllocator> = StatsAllocator::new(ForeignAllocator);
    let recycling = OTHER.recycle_scope();
    for _ in 0..20 {
        drop(black_box(Box::new([0u8; 4096])));
    }
    drop(recycling);
    assert_eq!(FOREIGN_FREES.load(Relaxed), 0, "blocks of the system reached another allocator");
}

#[test]
fn recycled_block_matches_its_layout_and_has_one_owner() {
    let recycling = STATS.recycle_scope();
    let inner = STATS.recycle_scope();
    for round in 0..100usize {
        let blocks: Vec<_> = (0..40).map(|n| black_box(vec![n; 130 + (round * 7 + n) % 5 * 100])).collect();
        assert!(blocks.iter().enumerate().all(|(n, block)| block.iter().all(|&found| found == n)));
        let zeroed = black_box(vec![0u64; 130 + round]);
        assert!(zeroed.iter().all(|&word| word == 0));
    }
    drop(recycling);
    drop(inner);
}
