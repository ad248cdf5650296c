//! NUMA on this machine, with any number of nodes. `ci/numa-guest.sh` runs the same tests in a
//! guest of four nodes: one without memory, one without processors, and a gap in the numbers.

use arenite_core::{Block, Resource};
use arenite_pages::machine::{Numa, numa_info};
use arenite_pages::{
    NumaAllocator, NumaError, NumaPolicy, Prefetch, Region, bind_range, current_numa_node, migrate_range,
    numa_alloc, numa_distribution, numa_free, numa_node, numa_node_count, page_size,
};
use core::alloc::Layout;
use core::mem::MaybeUninit;

const SIZE: usize = 1 << 20;

fn with_memory(numa: &Numa) -> Vec<usize> {
    numa.nodes.iter().filter(|node| node.has_memory() || numa.synthesised).map(|node| node.id).collect()
}

#[test]
fn n16_nodes_are_those_of_the_guest() {
    let numa = numa_info();
    println!("{} node(s), {:?} with memory", numa.nodes.len(), with_memory(&numa));
    assert_eq!(numa.nodes.len(), numa_node_count());
    assert!(numa.nodes.is_sorted_by_key(|node| node.id));
    match std::env::var("ARENITE_NUMA_NODES") {
        Ok(count) => {
            assert_eq!(numa.nodes.len().to_string(), count);
            let far = numa.nodes.iter().map(|node| &node.distances);
            assert!(
                far.clone().all(|row| row.len() == numa.nodes.len()) && far.flatten().any(|&far| far > 20)
            );
        }
        Err(_) => println!("skipped: not in the guest, so the nodes are whatever this machine has"),
    }
}

#[test]
fn u20_the_current_node_is_one_with_processors() {
    let (numa, node) = (numa_info(), current_numa_node());
    assert!(numa.node(node).is_some_and(|node| !node.cpus.is_empty()), "{node}");
}

#[test]
fn n17_n18_bound_memory_lies_on_its_node_and_is_freed() {
    for node in with_memory(&numa_info()) {
        let mut block = numa_alloc(SIZE, node).unwrap();
        assert_eq!(block.distribution().unwrap().absent, SIZE, "nothing is touched yet");
        block.fill(1);
        let found = block.distribution().unwrap();
        assert_eq!((found.bytes_on_node(node), found.absent), (SIZE, 0), "node {node}: {found:?}");
        assert_eq!(numa_node(block.as_ptr().wrapping_add(SIZE / 2)).unwrap(), Some(node));
        numa_free(block);
    }
}

#[test]
fn u36_interleaved_memory_lies_on_every_node_with_memory() {
    let nodes = with_memory(&numa_info());
    let allocator = NumaAllocator::new(NumaPolicy::Interleave).unwrap();
    let layout = Layout::from_size_align(48 * page_size(), 64).unwrap();
    let mut block = Block::zeroed_in(layout, &allocator).unwrap();
    block.bytes_mut().fill(MaybeUninit::new(1));
    let found = numa_distribution(block.bytes().as_ptr().cast(), layout.size()).unwrap();
    println!("interleaved over {nodes:?}: {found:?}");
    assert_eq!(found.nodes.iter().map(|(node, _)| *node).collect::<Vec<_>>(), nodes);
    let fair = layout.size() / nodes.len();
    assert!(found.nodes.iter().all(|(_, bytes)| *bytes >= fair - page_size() * nodes.len()), "{found:?}");
}

#[test]
fn u36_every_policy_serves_blocks() {
    let node = with_memory(&numa_info())[0];
    for policy in
        [NumaPolicy::Local, NumaPolicy::Interleave, NumaPolicy::Bind(node), NumaPolicy::Preferred(node)]
    {
        let allocator = NumaAllocator::new(policy).unwrap();
        let block = Block::zeroed_in(Layout::new::<[u64; 9000]>(), &allocator).unwrap();
        assert_eq!((block.bytes().len(), allocator.policy()), (72_000, policy));
        assert_eq!(allocator.state().live_blocks, 1);
        drop(block);
        assert_eq!(allocator.state().in_use, 0);
    }
}

#[test]
fn u36_absent_and_empty_nodes_fail() {
    let numa = numa_info();
    let absent = numa_alloc(SIZE, 1000).unwrap_err();
    assert!(matches!(absent, NumaError::NoSuchNode { node: 1000, .. }), "{absent}");
    assert!(matches!(numa_alloc(0, numa.nodes[0].id), Err(NumaError::BadSize { size: 0 })));
    assert!(matches!(numa_alloc(usize::MAX, numa.nodes[0].id), Err(NumaError::BadSize { .. })));
    match numa.nodes.iter().find(|node| !node.has_memory() && !numa.synthesised) {
        Some(empty) => {
            let error = NumaAllocator::new(NumaPolicy::Preferred(empty.id)).unwrap_err();
            assert!(matches!(error, NumaError::NoMemory { .. }), "{error}");
        }
        None => println!("skipped: every node here has memory"),
    }
}

#[test]
fn u37_memory_moves_between_nodes_with_its_contents() {
    let nodes = with_memory(&numa_info());
    let mut block = numa_alloc(SIZE, nodes[0]).unwrap();
    block.fill(9);
    for &node in nodes.iter().rev() {
        let after = migrate_range(block.as_ptr(), SIZE, node).unwrap();
        assert_eq!((after.bytes_on_node(node), after.absent), (SIZE, 0), "to {node}: {after:?}");
    }
    assert!(block.iter().all(|&byte| byte == 9));
    assert!(matches!(migrate_range(block.as_ptr(), SIZE, 1000), Err(NumaError::NoSuchNode { .. })));
    if nodes.len() == 1 {
        println!("skipped the move itself: one node");
    }
}

#[test]
fn n17_prefetch_fills_parts_on_their_nodes() {
    let nodes = with_memory(&numa_info());
    let share = 4 << 20;
    let len = share * nodes.len();
    let region = Region::reserve(len, "spread").unwrap();
    region.commit(0, len).unwrap();
    for (part, &node) in nodes.iter().enumerate() {
        bind_range(&region, part * share..(part + 1) * share, NumaPolicy::Bind(node), false).unwrap();
    }
    Prefetch::new().with_threads(nodes.len()).with_nodes(&nodes).run(&region, 0..len).unwrap();
    for (part, &node) in nodes.iter().enumerate() {
        let start = region.as_ptr().as_ptr().wrapping_add(part * share);
        assert_eq!(numa_distribution(start, share).unwrap().bytes_on_node(node), share, "node {node}");
    }
    assert!(bind_range(&region, 0..len, NumaPolicy::Bind(1000), false).is_err());
    assert!(bind_range(&region, 0..len + page_size(), NumaPolicy::Local, false).is_err());
}

#[test]
fn n17_threads_fill_on_the_node_they_are_pinned_to() {
    let numa = numa_info();
    let pinned = numa.nodes.iter().filter(|node| node.has_memory() && !node.cpus.is_empty());
    let nodes: Vec<usize> = pinned.map(|node| node.id).collect();
    if nodes.is_empty() {
        return println!("skipped: the kernel tells of no node with memory and processors");
    }
    let share = 4 << 20;
    let region = Region::reserve(share * nodes.len(), "pinned").unwrap();
    region.commit(0, region.len()).unwrap();
    Prefetch::new().with_threads(nodes.len()).with_nodes(&nodes).run(&region, 0..region.len()).unwrap();
    for (part, &node) in nodes.iter().enumerate() {
        let start = region.as_ptr().as_ptr().wrapping_add(part * share);
        assert_eq!(
            numa_distribution(start, share).unwrap().bytes_on_node(node),
            share,
            "node {node}, by first touch alone"
        );
    }
}

#[test]
fn u37_overflowing_range_fails_and_unmapped_one_is_absent() {
    assert!(matches!(numa_distribution(std::ptr::dangling(), usize::MAX), Err(NumaError::BadSize { .. })));
    assert_eq!(numa_distribution(std::ptr::without_provenance(page_size()), 1).unwrap().absent, page_size());
}
