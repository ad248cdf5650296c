//! A stack that grows in place: a gibibyte of addresses, only as much memory as needed, guards at
//! both ends.
//!
//! cargo run --release -p arenite-pages --example region
#![expect(unsafe_code, reason = "uses memory that no other code uses")]

use arenite_pages::{PageStatus, RegionOptions, page_size, regions, stats};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut stack = RegionOptions::new().with_label("stack").with_guard(page_size()).reserve(1 << 30)?;
    println!("reserved {} MiB, {} bytes in memory", stack.len() >> 20, stack.query(0)?.resident);

    let step = 1 << 20;
    for mebibyte in 0..3 {
        stack.commit(mebibyte * step, step)?; // grows in place: nothing moves
        stack.typed_poke(mebibyte * step, &[mebibyte as f64; 1000])?;
    }
    assert_eq!(stack.typed_peek::<f64>(2 * step, 1)?, [2.0]);

    // a read of uncommitted memory returns an error instead of a fault
    if let Err(error) = stack.peek(3 * step, 1) {
        println!("failed: {error}");
    }

    // a larger region for the first two mebibytes, without copying a byte
    let larger = RegionOptions::new().with_label("larger").reserve(1 << 31)?;
    // SAFETY: no code borrows a byte of either region.
    unsafe { stack.remap(0, 2 * step, &larger, 0) }?;
    assert_eq!(larger.typed_peek::<f64>(step, 1)?, [1.0]);
    assert_eq!(stack.query(0)?.state, PageStatus::Reserved);

    for info in stack.query_all()? {
        println!(
            "{:>10} bytes {:?} {} ({} in memory)",
            info.range.len(),
            info.state,
            info.protection,
            info.resident
        );
    }
    println!("{} regions: {:?}", regions().len(), stats()?);
    Ok(())
}
