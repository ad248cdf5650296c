//! The memory available to this process, its binding limit, and a wait for memory pressure.
//!
//! cargo run --release -p arenite-pages --example pressure

use arenite_pages::machine::{Available, Cgroup, CgroupEvents, Meminfo, Pressure};
use arenite_pages::{PressureTrigger, StallKind};
use std::time::Duration;

fn main() {
    for (ceiling, bytes) in Available::read().limits {
        println!("{ceiling:?} allows {} MiB more", bytes >> 20);
    }
    println!("so this process may take {} MiB", arenite_pages::machine::available_memory() >> 20);
    if let Some(memory) = Meminfo::read() {
        println!("the machine has {} MiB, {} available", memory.total >> 20, memory.available >> 20);
    }
    if let Some(group) = Cgroup::read() {
        println!(
            "control group ({:?}): limit {:?}, events {:?}",
            group.version,
            group.limit(),
            CgroupEvents::read()
        );
    }
    match Pressure::read() {
        Some(pressure) => println!("tasks waited for memory {} % of the last 10 s", pressure.some.avg10),
        None => println!("this kernel keeps no pressure"),
    }
    // no thread runs meanwhile
    match PressureTrigger::new(StallKind::Some, Duration::from_millis(100), Duration::from_secs(2)) {
        Ok(trigger) => match trigger.wait(Some(Duration::from_millis(200))) {
            Ok(fired) => println!("under pressure within 0.2 s: {fired}"),
            Err(error) => println!("{error}"),
        },
        Err(error) => println!("{error}"),
    }
}
