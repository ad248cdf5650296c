//! Memory by address, as scripts and other languages hold it: numbers, looked up before they are used.
//!
//! cargo run --release -p arenite-pages --example by_address

use arenite_pages::{Scalars, memory};

fn main() -> Result<(), memory::MemoryError> {
    let region = memory::reserve(1_048_576, "buffer")?; // 1 MB of addresses
    memory::commit(region.addr, 65_536)?; // 64 KB of memory
    memory::poke(region.addr, &[72, 101, 108])?;
    println!("{:?}", memory::peek(region.addr, 3)?);
    memory::typed_poke(region.addr + 8, &Scalars::Float32(vec![3.14, 2.71, 1.41]))?;
    println!("{:?}", memory::typed_peek(region.addr + 8, "float32", 3)?);

    memory::protect(region.addr, 4096, "read")?;
    println!("{}", memory::poke(region.addr, &[0]).unwrap_err());
    println!("{}", memory::protect(region.addr, 4096, "read-write-execute").unwrap_err());
    println!("{:?}", memory::query(region.addr)?);

    memory::offer(region.addr + 8192, 4096)?;
    println!("{}", memory::peek(region.addr + 8192, 1).unwrap_err());
    println!("{:?}", memory::reclaim(region.addr + 8192)?);

    let ring = memory::ring_buffer(65_536)?;
    memory::ring_write(ring.ring_id, b"around the end")?;
    println!("{:?}", String::from_utf8_lossy(&memory::ring_read(ring.ring_id, 6)?));
    memory::ring_buffer_free(ring.ring_id)?;

    memory::release(region.addr)?;
    println!("{}", memory::release(region.addr).unwrap_err());
    println!("{}", memory::peek(region.addr, 1).unwrap_err());
    Ok(())
}
