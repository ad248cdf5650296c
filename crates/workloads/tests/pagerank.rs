//! Ranks and distances compared with naive computations, and an iteration that allocates nothing.

use arenite_alloc::AnalyticsContext;
use testkit::doubles::{ThreadCounter, allocations_of_this_thread};
use workloads::graph::{Graph, GraphError, UNREACHED, bfs, pagerank};

#[global_allocator]
static COUNTER: ThreadCounter = ThreadCounter;

const NODES: usize = 300;

fn edges() -> Vec<(u32, u32)> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        u32::try_from(state >> 33).expect("31 bits")
    };
    // Some nodes have no outgoing edge, and some edges are duplicates.
    (0..2000).map(|_| (next() % 250, next() % next().max(1) % 300)).collect()
}

/// Computes the ranks with a dense matrix.
fn naive(edges: &[(u32, u32)], damping: f64) -> Vec<f64> {
    let mut matrix = vec![vec![0.0; NODES]; NODES];
    for &(from, to) in edges {
        matrix[from as usize][to as usize] = 1.0;
    }
    for row in &mut matrix {
        let sum: f64 = row.iter().sum();
        if sum == 0.0 {
            row.fill(1.0 / 300.0);
        } else {
            row.iter_mut().for_each(|entry| *entry /= sum);
        }
    }
    let mut ranks = vec![1.0 / 300.0; NODES];
    for _ in 0..400 {
        let mut next = vec![(1.0 - damping) / 300.0; NODES];
        for (from, row) in matrix.iter().enumerate() {
            for (to, entry) in row.iter().enumerate() {
                next[to] += damping * ranks[from] * entry;
            }
        }
        ranks = next;
    }
    ranks
}

#[test]
fn r18_ranks_match_the_dense_matrix() {
    let edges = edges();
    let context = AnalyticsContext::new("pagerank");
    let graph = Graph::new(&context, NODES, &edges).unwrap();
    let found = pagerank(&context, &graph, 0.85, 1e-14, 1000, |_, _| {}).unwrap();
    for (one, two) in found.ranks.iter().zip(naive(&edges, 0.85)) {
        assert!((one - two).abs() < 1e-12, "{one} {two}");
    }
    assert!(found.iterations > 20 && found.change <= 1e-14);
}

#[test]
fn r18_an_iteration_allocates_nothing() {
    let context = AnalyticsContext::new("pagerank");
    let graph = Graph::new(&context, NODES, &edges()).unwrap();
    let mut calls = Vec::with_capacity(200);
    let mut allocations = Vec::with_capacity(200);
    pagerank(&context, &graph, 0.85, -1.0, 100, |_, _| {
        calls.push(allocations_of_this_thread());
        allocations.push(context.stats().allocation_count);
    })
    .unwrap();
    assert_eq!(calls.len(), 100);
    assert!(
        calls.iter().all(|&count| count == calls[0])
            && allocations.iter().all(|&count| count == allocations[0])
    );
}

#[test]
fn r18_distances_match_bellman_ford() {
    let edges = edges();
    let context = AnalyticsContext::new("bfs");
    let graph = Graph::new(&context, NODES, &edges).unwrap();
    let distances = bfs(&context, &graph, 0).unwrap();
    // Bellman-Ford.
    let mut naive = vec![UNREACHED; NODES];
    naive[0] = 0;
    for _ in 0..NODES {
        for &(from, to) in &edges {
            let through = naive[to as usize].saturating_add(1);
            naive[from as usize] = naive[from as usize].min(through);
        }
    }
    assert_eq!(*distances, *naive);
    assert!(naive.contains(&UNREACHED) && naive.iter().any(|&distance| distance > 2 && distance < 50));
    assert!(bfs(&context, &graph, 10_000).unwrap().iter().all(|&distance| distance == UNREACHED));
}

#[test]
fn r18_graph_fails_for_invalid_edges_and_accepts_no_nodes() {
    let context = AnalyticsContext::new("bad");
    let error = Graph::new(&context, 3, &[(0, 1), (1, 3)]).unwrap_err();
    assert_eq!(error.to_string(), "edge 1 from 1 to 3 is invalid: the graph has 3 nodes");
    assert!(matches!(Graph::new(&context, usize::MAX, &[]), Err(GraphError::TooMany { .. })));
    let empty = Graph::new(&context, 0, &[]).unwrap();
    assert!(pagerank(&context, &empty, 0.85, 1e-9, 10, |_, _| {}).unwrap().ranks.is_empty());
    let alone = Graph::new(&context, 1, &[]).unwrap();
    assert_eq!(*pagerank(&context, &alone, 0.85, 1e-9, 10, |_, _| {}).unwrap().ranks, [1.0]);
}
