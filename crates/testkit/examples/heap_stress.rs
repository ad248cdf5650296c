//! Threads that take, fill, pass on, resize and free blocks of one heap at random, with every byte of every block checked, until
//! the time is up: `cargo run --release -p testkit --example heap_stress -- SECONDS THREADS [hardened]`.
#![expect(unsafe_code, reason = "uses and gives back raw blocks")]

use arenite_alloc::{Hardening, Heap};
use arenite_core::{Resource, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A live block with a pattern of its own.
struct Held {
    block: NonNull<u8>,
    layout: Layout,
    seed: u8,
}

// SAFETY: a block of a heap that threads share, whose bytes are its holder's.
unsafe impl Send for Held {}

/// The generator of Marsaglia (2003).
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % most.max(1)
    }

    fn layout(&mut self) -> Layout {
        let doubling = self.below(13);
        let size = match self.below(2000) {
            0 => self.below(40 << 20),
            1..20 => self.below(300_000),
            _ => self.below(8 << doubling),
        };
        let most = if self.below(20) == 0 { 13 } else { 5 };
        let align = 1 << self.below(most);
        Layout::from_size_align(size, align).unwrap_or(Layout::new::<u64>())
    }
}

impl Held {
    fn take(heap: &Heap, random: &mut Random) -> Option<Self> {
        let (layout, zeroed) = (random.layout(), random.below(4) == 0);
        let block = if zeroed { heap.allocate_zeroed(layout) } else { heap.allocate(layout) };
        let block = block.ok()?.cast::<u8>();
        assert!(block.addr().get().is_multiple_of(layout.align()), "{layout:?}");
        if zeroed {
            // SAFETY: a fresh block of that size, which is written.
            let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), layout.size()) };
            assert!(bytes.iter().all(|&byte| byte == 0), "not zeroed");
        }
        let seed = random.below(256).to_le_bytes()[0];
        let held = Self { block, layout, seed };
        held.fill();
        Some(held)
    }

    fn fill(&self) {
        // SAFETY: a live block of that size, this holder's.
        unsafe { self.block.write_bytes(self.seed, self.layout.size()) };
    }

    fn check(&self, len: usize) {
        // SAFETY: a live block of that size, filled.
        let bytes = unsafe { core::slice::from_raw_parts(self.block.as_ptr(), len) };
        assert!(bytes.iter().all(|&byte| byte == self.seed), "a block of {:?} changed", self.layout);
    }

    fn resize(mut self, heap: &Heap, random: &mut Random) -> Self {
        let size = random.below(2 * self.layout.size() + 100);
        let Ok(new) = Layout::from_size_align(size, self.layout.align()) else { return self };
        self.check(self.layout.size());
        let moved = if size >= self.layout.size() {
            // SAFETY: a live block of this layout; the new size is not smaller.
            unsafe { heap.grow(self.block, self.layout, new) }
        } else {
            // SAFETY: a live block of this layout; the new size is smaller.
            unsafe { heap.shrink(self.block, self.layout, new) }
        };
        if let Ok(moved) = moved {
            let kept = size.min(self.layout.size());
            (self.block, self.layout) = (moved.cast(), new);
            self.check(kept);
            self.fill();
        }
        self
    }

    fn give(self, heap: &Heap) {
        self.check(self.layout.size());
        // SAFETY: a live block of this layout, not used again.
        unsafe { heap.deallocate(self.block, self.layout) };
    }
}

fn work(heap: &Heap, shared: &Mutex<Vec<Held>>, seed: u64, end: Instant, done: &AtomicU64) {
    let mut random = Random(seed);
    let mut own: Vec<Held> = Vec::new();
    while Instant::now() < end {
        for _ in 0..1000 {
            match random.below(100) {
                0..45 => own.extend(Held::take(heap, &mut random)),
                45..80 if !own.is_empty() => own.swap_remove(random.below(own.len())).give(heap),
                80..88 if !own.is_empty() => {
                    let held = own.swap_remove(random.below(own.len()));
                    own.push(held.resize(heap, &mut random));
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
            // in waves, so that slabs come and go
            if own.len() > 3000 {
                own.drain(random.below(3000)..).for_each(|held| held.give(heap));
            }
        }
        done.fetch_add(1000, Ordering::Relaxed);
    }
    own.into_iter().for_each(|held| held.give(heap));
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(default);
    let (seconds, threads) = (number(5), number(2));
    let heap = Heap::new().decaying(Some(Duration::from_millis(300)));
    let heap = if arguments.next().is_some() { heap.hardened(Hardening::ALL) } else { heap };
    let (shared, done) = (Mutex::new(Vec::new()), AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut generation = 0;
    // threads end and others begin, so that slabs are abandoned and taken over
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
        left.into_iter().for_each(|held| held.give(&heap));
    }
    let state = heap.state();
    println!("{} operations by {threads} threads in {seconds} s; at the end: {state}", done.into_inner());
    if state.live_blocks == 0 && state.in_use == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
