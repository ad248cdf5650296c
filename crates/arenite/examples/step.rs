//! The memory of a training loop: weights stay, temporaries are freed per step, no OS page faults
//! twice.
//!
//! `cargo run --release --example step -p arenite`

use arenite::observe::ProcessUsage;
use arenite::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arena = Arena::new().with_label("training");
    let weights = Array::<f32>::with_allocator(&arena).random([256, 256], 1)?;
    for step in 0..5 {
        let faults = ProcessUsage::faults_now();
        let mark = arena.mark()?;
        let mut sum = 0.0;
        for _layer in 0..8 {
            sum += weights.matmul(&weights)?.sum();
        }
        arena.restore(mark)?; // fails while a block of the step is alive
        let faults = ProcessUsage::faults_now() - faults;
        println!("step {step}: sum {sum:.0}, {faults} page faults, {}", arena.state());
    }
    println!("released: {}", Bytes(arena.trim(0)));
    Ok(())
}
