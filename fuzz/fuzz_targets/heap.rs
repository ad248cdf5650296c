//! The heap under sequences of operations: taking, resizing and freeing here and on another thread, batches, trims, misuse.
#![no_main]

mod blocks;

use arenite_alloc::{Hardening, Heap, SizeClasses};
use arenite_core::Trim;
use blocks::{Held, Operation};
use core::alloc::Layout;
use libfuzzer_sys::fuzz_target;

struct There(Vec<Held>);

// SAFETY: blocks of a heap that threads share.
unsafe impl Send for There {}

fuzz_target!(|input: (u8, Vec<Operation>)| {
    let (kind, operations) = input;
    let heap = match kind % 4 {
        0 => Heap::with_classes(SizeClasses::Binary),
        1 => Heap::new().hardened(Hardening::ALL),
        2 => Heap::new().hardened(Hardening::ALL.zero_on_free(true).guard_pages(false)),
        _ => Heap::new(),
    };
    blocks::run(&heap, operations, |live, number| match number % 6 {
        0 => _ = heap.trim(usize::from(number) << 14),
        1 => {
            // half of what lives is freed by a thread that ends then
            let half = There(live.split_off(live.len() / 2));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let There(half) = { half };
                    for held in half {
                        // SAFETY: a live block of this layout, not used again.
                        unsafe { arenite_core::Resource::deallocate(&heap, held.block, held.layout) };
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
            // inside a block, and what is none
            let held = &live[usize::from(number) % live.len()];
            if held.layout.size() > 1 {
                // SAFETY: not the start of a block.
                let inside = unsafe { heap.try_free(held.block.as_ptr().wrapping_add(1)) };
                assert!(inside.is_err());
            }
            // SAFETY: as above.
            assert!(unsafe { heap.try_free(core::ptr::without_provenance_mut(usize::from(number) << 30 | 8)) }.is_err() || number == 0);
        }
        4 => {
            let stats = heap.stats();
            assert!(stats.state.held >= stats.state.in_use);
            assert_eq!(stats.state.live_blocks, live.len());
        }
        _ => live.iter().for_each(|held| {
            // SAFETY: this thread alone uses the heap.
            let found = unsafe { Heap::block_at(held.block.as_ptr()) };
            assert!(kind % 4 == 1 || kind % 4 == 2 || found.unwrap().len() >= held.layout.size());
        }),
    });
});
