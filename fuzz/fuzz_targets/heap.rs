//! The heap under random operations: allocations, resizes, local and remote frees, batches, trims
//! and misuse.
#![no_main]

mod blocks;

use arenite_alloc::{Hardening, Heap, SizeClasses};
use arenite_core::Trim;
use blocks::{LiveBlock, Operation};
use core::alloc::Layout;
use libfuzzer_sys::fuzz_target;

struct RemoteBlocks(Vec<LiveBlock>);

// SAFETY: the value owns its blocks, and any thread may free blocks of this heap.
unsafe impl Send for RemoteBlocks {}

fuzz_target!(|input: (u8, Vec<Operation>)| {
    let (kind, operations) = input;
    let heap = match kind % 4 {
        0 => Heap::with_classes(SizeClasses::Binary),
        1 => Heap::new().with_hardening(Hardening::ALL),
        2 => Heap::new().with_hardening(Hardening::ALL.with_zero_on_free(true).with_guard_pages(false)),
        _ => Heap::new(),
    };
    blocks::run(&heap, operations, |live, number| match number % 6 {
        0 => _ = heap.trim(usize::from(number) << 14),
        1 => {
            // A thread that exits at once frees half of the live blocks.
            let half = RemoteBlocks(live.split_off(live.len() / 2));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let RemoteBlocks(half) = { half };
                    for entry in half {
                        // SAFETY: a live block of this layout, not used again.
                        unsafe { arenite_core::Resource::deallocate(&heap, entry.block, entry.layout) };
                    }
                });
            });
        }
        2 => {
            let layout = Layout::from_size_align(usize::from(number) * 37, 8).unwrap();
            if let Ok(blocks) = heap.alloc_batch(layout, usize::from(number) * 3) {
                // SAFETY: live blocks of this layout, not used again.
                unsafe { heap.free_batch(&blocks, layout) };
            }
        }
        3 if !live.is_empty() => {
            // An address inside a block, and an invalid address.
            let entry = &live[usize::from(number) % live.len()];
            if entry.layout.size() > 1 {
                // SAFETY: not the start of a block, which `checked_free` rejects.
                let inside = unsafe { heap.checked_free(entry.block.as_ptr().wrapping_add(1)) };
                assert!(inside.is_err());
            }
            // SAFETY: not the address of a block, which `checked_free` rejects.
            assert!(
                unsafe { heap.checked_free(core::ptr::without_provenance_mut(usize::from(number) << 30 | 8)) }
                    .is_err()
                    || number == 0
            );
        }
        4 => {
            let stats = heap.stats();
            assert!(stats.state.held >= stats.state.in_use);
            assert_eq!(stats.state.live_blocks, live.len());
        }
        _ => live.iter().for_each(|entry| {
            // SAFETY: only this thread uses the heap.
            let found = unsafe { Heap::block_at(entry.block.as_ptr()) };
            assert!(kind % 4 == 1 || kind % 4 == 2 || found.unwrap().len() >= entry.layout.size());
        }),
    });
});
