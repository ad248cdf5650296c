//! Memory by address, for scripts and other languages: every address is looked up before its use.
//!
//! cargo run --release -p arenite-pages --example by_address

use arenite_pages::{ScalarVec, memory};

/// Prints the error of a call.
fn print_error<T>(done: Result<T, memory::MemoryError>) {
    if let Err(error) = done {
        println!("failed: {error}");
    }
}

fn main() -> Result<(), memory::MemoryError> {
    let region = memory::reserve(1_048_576, "buffer")?; // 1 MB of addresses
    memory::commit(region.addr, 65_536)?; // 64 KB of memory
    memory::poke(region.addr, &[72, 101, 108])?;
    println!("{:?}", memory::peek(region.addr, 3)?);
    memory::typed_poke(region.addr + 8, &ScalarVec::Float32(vec![0.5, 1.5, 2.5]))?;
    println!("{:?}", memory::typed_peek(region.addr + 8, "float32", 3)?);

    memory::protect(region.addr, 4096, "read")?;
    print_error(memory::poke(region.addr, &[0]));
    print_error(memory::protect(region.addr, 4096, "read-write-execute"));
    println!("{:?}", memory::query(region.addr)?);

    memory::offer(region.addr + 8192, 4096)?;
    print_error(memory::peek(region.addr + 8192, 1));
    println!("{:?}", memory::reclaim(region.addr + 8192)?);

    let ring = memory::ring_buffer(65_536)?;
    memory::ring_write(ring.ring_id, b"around the end")?;
    println!("{:?}", String::from_utf8_lossy(&memory::ring_read(ring.ring_id, 6)?));
    memory::ring_buffer_free(ring.ring_id)?;

    memory::release(region.addr)?;
    print_error(memory::release(region.addr));
    print_error(memory::peek(region.addr, 1));
    Ok(())
}
