//! NUMA nodes, policies, and where the kernel really places memory.
//!
//! cargo run --release -p arenite-pages --example numa

use arenite_core::Block;
use arenite_pages::machine::numa_info;
use arenite_pages::{
    NumaAllocator, NumaPolicy, current_numa_node, migrate_range, numa_alloc, numa_distribution,
};
use core::alloc::Layout;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let numa = numa_info();
    for node in &numa.nodes {
        println!(
            "node {}: processors {:?}, {} MiB, distances {:?}",
            node.id,
            node.cpus,
            node.total_bytes >> 20,
            node.distances
        );
    }
    if numa.nodes.len() == 1 {
        println!("one node: every policy works and has nothing to choose");
    }
    println!("this thread runs on node {}", current_numa_node());

    // bound to each node with memory, and verified
    let nodes: Vec<usize> = numa.nodes.iter().filter(|node| node.has_memory()).map(|node| node.id).collect();
    for &node in &nodes {
        let mut block = numa_alloc(4 << 20, node)?;
        block.fill(1);
        println!("bound to {node}: {:?}", block.distribution()?);
    }

    // interleaved over all of them
    let spread = NumaAllocator::new(NumaPolicy::Interleave)?;
    let mut table = Block::new_in(Layout::from_size_align(4 << 20, 64)?, &spread)?;
    table.bytes_mut().iter_mut().for_each(|byte| _ = byte.write(1));
    let (start, len) = (table.bytes().as_ptr().cast(), table.bytes().len());
    println!("interleaved: {:?}", numa_distribution(start, len)?);

    // and migrated to the last one
    if let Some(&last) = nodes.last() {
        println!("moved to {last}: {:?}", migrate_range(start, len, last)?);
    }
    if let Err(error) = numa_alloc(1 << 20, 1000) {
        println!("failed: {error}");
    }
    Ok(())
}
