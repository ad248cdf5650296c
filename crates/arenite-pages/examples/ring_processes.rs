//! A ring between two processes, one of which dies: the other detects it, and no committed element
//! is lost.
//!
//! cargo run --release -p arenite-pages --example ring_processes
#![expect(unsafe_code, reason = "uses memory that no other code uses")]

use arenite_pages::{RingFile, WaitError};
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(path) = std::env::args_os().nth(1) {
        return child(path.as_ref());
    }
    let path = std::env::temp_dir().join(format!("arenite-ring-{}", std::process::id()));
    let done = parent(&path);
    std::fs::remove_file(&path)?;
    done
}

fn parent(path: &Path) -> Result<(), Box<dyn Error>> {
    let ring = RingFile::create::<u64>(path, 1000)?;
    // SAFETY: both processes run this program, and no other code opens the file.
    let mut consumer = unsafe { ring.consumer::<u64>() }?;
    let mut child = Command::new(std::env::current_exe()?).arg(path).spawn()?;
    consumer.wait_ready(1, Some(Duration::from_secs(10)))?;
    let mut sum = 0;
    let news = loop {
        match consumer.recv() {
            Ok(number) => sum += number,
            Err(news) => break news,
        }
    };
    child.wait()?;
    println!("received 1 + … + 5000 = {sum}; then: {news}");
    assert_eq!((sum, news), (5000 * 5001 / 2, WaitError::PeerDied));
    Ok(())
}

/// Sends numbers and dies without closing the ring.
fn child(path: &Path) -> Result<(), Box<dyn Error>> {
    let ring = RingFile::open(path)?;
    // SAFETY: as in the parent.
    let mut producer = unsafe { ring.producer::<u64>() }?;
    for number in 1..=5000 {
        producer.send(number).map_err(|_| "the parent has closed the ring")?;
    }
    std::process::abort()
}
