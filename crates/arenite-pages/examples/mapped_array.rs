//! An array in a file: larger than memory if needed, intact after a crash, usable after a
//! truncation.
//!
//! cargo run --release -p arenite-pages --example mapped_array
#![expect(unsafe_code, reason = "uses memory that no other code uses")]

use arenite_core::{Block, Resource};
use arenite_pages::{FileError, MapMode, MappedArray, MemoryMappedAllocator};
use core::alloc::Layout;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("arenite-example-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let done = run(&dir);
    std::fs::remove_dir_all(&dir)?;
    done
}

fn run(dir: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let path = dir.join("prices");
    let mut prices = MappedArray::<f64>::create(&path, &[1000, 2])?;
    for day in 0..1000 {
        prices.write(2 * day, &[day as f64, 100.0 + day as f64 / 10.0])?;
    }
    prices.sync()?; // from here on, all of it survives a crash
    prices.grow(2000)?; // takes effect completely or not at all
    println!("{:?}, the last row is {:?}", prices.shape(), prices.read(2 * 1999, 2)?);
    drop(prices);

    let prices = MappedArray::<f64>::open(&path, MapMode::ReadOnly)?;
    // SAFETY: no code writes to the file while the slice lives.
    let mean = unsafe { prices.as_slice() }.iter().skip(1).step_by(2).take(1000).sum::<f64>() / 1000.0;
    println!("mean price {mean}");
    if let Err(error) = MappedArray::<f32>::open(&path, MapMode::ReadOnly) {
        println!("as f32: {error}");
    }

    // a truncation by another program: an error, not a dead process
    std::fs::File::options().write(true).open(&path)?.set_len(10_000)?;
    match prices.get(&[1500, 0]) {
        Err(FileError::Truncated { expected, found, .. }) => println!("cut off: {found} bytes of {expected}"),
        other => println!("{other:?}"),
    }

    // memory of any container in a file
    let blocks = MemoryMappedAllocator::new(dir.join("blocks"), true)?;
    let block = Block::zeroed_in(Layout::new::<[f64; 10_000]>(), &blocks)?;
    blocks.sync()?;
    println!("in a file: {}", blocks.state());
    drop(block);
    Ok(())
}
