//! A stress test of one heap: threads allocate, fill, exchange, resize and free random blocks.
//!
//! Every byte of every block is checked until the time is up. Run it with
//! `cargo run --release -p testkit --example heap_stress -- SECONDS THREADS [hardened]`.
#![expect(unsafe_code, reason = "uses and frees raw blocks")]

use arenite_alloc::{Hardening, Heap};
use arenite_core::{Resource, Trim};
use core::alloc::Layout;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::{PatternBlock, Random};

/// Returns a layout: mostly small, 1 in 100 up to 300 kB, 1 in 2000 up to 40 MiB.
fn random_layout(random: &mut Random) -> Layout {
    let doubling = random.below(13);
    let size = match random.below(2000) {
        0 => random.below(40 << 20),
        1..20 => random.below(300_000),
        _ => random.below(8 << doubling),
    };
    let max_shift = if random.below(20) == 0 { 13 } else { 5 };
    let align = 1 << random.below(max_shift);
    Layout::from_size_align(size, align).unwrap_or(Layout::new::<u64>())
}

/// Allocates a block, zeroed in one of four calls, and fills it.
fn allocate(heap: &Heap, random: &mut Random) -> Option<PatternBlock> {
    let (layout, zeroed) = (random_layout(random), random.below(4) == 0);
    let block = if zeroed { heap.allocate_zeroed(layout) } else { heap.allocate(layout) };
    let block = block.ok()?.cast::<u8>();
    if zeroed {
        // SAFETY: a fresh block of that size, which the heap zeroed.
        let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), layout.size()) };
        assert!(bytes.iter().all(|&byte| byte == 0), "not zeroed");
    }
    // SAFETY: a fresh block of this layout, which has no other user.
    Some(unsafe { PatternBlock::fill(block, layout, random.below(256).to_le_bytes()[0]) })
}

fn work(heap: &Heap, shared: &Mutex<Vec<PatternBlock>>, seed: u64, end: Instant, done: &AtomicU64) {
    let mut random = Random(seed);
    let mut own: Vec<PatternBlock> = Vec::new();
    while Instant::now() < end {
        for _ in 0..1000 {
            match random.below(100) {
                0..45 => own.extend(allocate(heap, &mut random)),
                45..80 if !own.is_empty() => own.swap_remove(random.below(own.len())).free(heap),
                80..88 if !own.is_empty() => {
                    let at = random.below(own.len());
                    let size = random.below(2 * own[at].layout().size() + 100);
                    _ = own[at].resize(heap, size);
                }
                88..99 => {
                    let Ok(mut shared) = shared.lock() else { return };
                    let pass = random.below(2) == 0 || shared.is_empty();
                    if pass && !own.is_empty() {
                        shared.push(own.swap_remove(random.below(own.len())));
                    } else if !shared.is_empty() {
                        let at = random.below(shared.len());
                        own.push(shared.swap_remove(at));
                    }
                }
                99 if random.below(1000) == 0 => _ = heap.trim(random.below(64 << 20)),
                _ => {}
            }
            // Freeing in waves makes slabs empty and fill again.
            if own.len() > 3000 {
                own.drain(random.below(3000)..).for_each(|block| block.free(heap));
            }
        }
        done.fetch_add(1000, Ordering::Relaxed);
    }
    own.into_iter().for_each(|block| block.free(heap));
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(default);
    let (seconds, threads) = (number(5), number(2));
    let heap = Heap::new().with_decay(Some(Duration::from_millis(300)));
    let heap = if arguments.next().is_some() { heap.with_hardening(Hardening::ALL) } else { heap };
    let (shared, done) = (Mutex::new(Vec::new()), AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut generation = 0;
    // Threads exit and start, so slabs are abandoned and adopted.
    while Instant::now() < end {
        let until = end.min(Instant::now() + Duration::from_secs(2));
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (heap, shared, done) = (&heap, &shared, &done);
                scope.spawn(move || work(heap, shared, generation * 97 + thread + 1, until, done));
            }
        });
        generation += 1;
    }
    if let Ok(left) = shared.into_inner() {
        left.into_iter().for_each(|block| block.free(&heap));
    }
    let state = heap.state();
    println!("{} operations by {threads} threads in {seconds} s; at the end: {state}", done.into_inner());
    if state.live_blocks == 0 && state.in_use == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
