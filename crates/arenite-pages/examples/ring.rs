//! A ring between two threads: slices that are never split, read in place.
//!
//! cargo run --release -p arenite-pages --example ring

use arenite_pages::{WaitError, ring_buffer};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut producer, mut consumer) = ring_buffer::<u8>(65_536)?;
    println!("room for {} bytes, seen twice in a row", producer.capacity());

    let writer = std::thread::spawn(move || -> Result<(), WaitError> {
        for number in 0_u32..10_000 {
            let line = format!("message {number}\n");
            producer.wait_free(line.len(), None)?;
            // written in place: contiguous slots, wherever they begin
            if let Some(mut slots) = producer.reserve(line.len()) {
                slots.as_mut_slice().copy_from_slice(line.as_bytes());
                slots.commit(line.len());
            }
        }
        Ok(()) // the drop of the producer closes the ring for the consumer
    });

    let (mut lines, mut bytes) = (0, 0);
    loop {
        match consumer.wait_ready(1, Some(Duration::from_secs(5))) {
            Ok(()) => {}
            Err(WaitError::Closed) => break,
            Err(error) => return Err(error.into()),
        }
        let seen = consumer.peek(); // all elements, in one slice
        let whole = seen.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        lines += seen[..whole].iter().filter(|&&byte| byte == b'\n').count();
        bytes += whole;
        consumer.release(whole);
    }
    writer.join().map_err(|_| "the writer panicked")??;
    println!("{lines} lines, {bytes} bytes");
    assert_eq!(lines, 10_000);
    Ok(())
}
