//! The heap in a buffer of any size and alignment, until it is full.
#![no_main]

mod blocks;

use arenite_alloc::BoundedHeap;
use blocks::Operation;
use core::mem::MaybeUninit;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, Vec<Operation>)| {
    let (size, operations) = input;
    let mut buffer = vec![MaybeUninit::uninit(); (size as usize >> 4) % (4 << 20)];
    let skip = (size as usize & 15).min(buffer.len());
    let heap = BoundedHeap::new(&mut buffer[skip..]);
    let free_at_start = arenite_core::Resource::state(&heap).largest_free;
    blocks::run(&heap, operations, |_, _| {});
    assert_eq!(arenite_core::Resource::state(&heap).largest_free, free_at_start);
});
