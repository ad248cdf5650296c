//! Advice to the kernel: populate, offer, use larger pages, watch writes.
//!
//! cargo run --release -p arenite-pages --example advice
#![expect(unsafe_code, reason = "uses memory that no other code uses")]

use arenite_pages::{Prefetch, Region, WriteWatch, large_alloc, thread_page_faults};
use std::error::Error;

const SIZE: usize = 64 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut cache = Region::reserve(SIZE, "cache")?;
    cache.advise_huge(0, SIZE, true)?;
    cache.commit(0, SIZE)?;

    // populated before its use, by two threads, with progress
    let progress = |done: usize, all: usize| println!("prefetch: {} of {} MiB", done >> 20, all >> 20);
    Prefetch::new().with_threads(2).with_progress(&progress).run(&cache, 0..SIZE)?;
    let before = thread_page_faults().unwrap_or_default();
    cache.poke(SIZE / 2, b"costly")?;
    println!("faults to use it: {}", thread_page_faults().unwrap_or_default().minor - before.minor);
    println!("on huge pages: {:.0} %", cache.huge_report()?.huge_fraction() * 100.0);

    // Offered to the kernel, and reclaimed: each OS page is known to be kept or lost.
    // SAFETY: no code uses the range before it is reclaimed.
    let offer = unsafe { cache.offer(0, SIZE) }?;
    let back = offer.reclaim();
    println!("kept {} MiB, lost {} ranges", back.kept >> 20, back.lost.len());

    // the OS pages written since, for an incremental save
    match WriteWatch::new(0..SIZE, &cache) {
        Ok(mut watch) => {
            let byte = cache.as_ptr().as_ptr().wrapping_add(5 << 20);
            // SAFETY: a committed byte that is not borrowed.
            unsafe {
                byte.write(1);
            }
            println!("written: {:?}", watch.written()?);
        }
        Err(error) => println!("{error}"),
    }

    cache.lock(0, 1 << 16).unwrap_or_else(|error| println!("{error}"));
    let mut block = large_alloc(8 << 20)?;
    block.prefetch()?;
    println!("a large block: {:?}, {:?}", block.kind(), block.report()?);
    Ok(())
}
