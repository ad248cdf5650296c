//! PageRank: the fraction of time that a random walk along edges spends at each node.
//!
//! The computation needs three buffers of its context (Page, Brin, Motwani and Winograd, "The
//! PageRank Citation Ranking", 1999). From a node without outgoing edges the walk jumps to a
//! random node, as in common implementations.

use super::Graph;
use arenite_alloc::{AnalyticsContext, ContextSlice};
use arenite_core::AllocError;

/// The result of PageRank.
#[derive(Debug)]
pub struct PageRank<'c> {
    /// Rank of each node; the sum is 1.
    pub ranks: ContextSlice<'c, f64>,
    /// Number of iterations.
    pub iterations: usize,
    /// Sum of the changes in the last iteration.
    pub change: f64,
}

/// Computes ranks until their total change is at most `tolerance`, or for `max_iterations`
/// iterations.
///
/// The walk follows an edge with probability `damping`, usually 0.85, and otherwise jumps to a
/// random node. `observe` is called after each iteration with its number and change. An iteration
/// allocates nothing.
///
/// ```
/// use arenite_alloc::AnalyticsContext;
/// use workloads::graph::{Graph, pagerank};
/// let context = AnalyticsContext::new("pagerank");
/// let graph = Graph::new(&context, 3, &[(0, 2), (1, 2), (2, 0)])?;
/// let found = pagerank(&context, &graph, 0.85, 1e-12, 200, |_, _| {})?;
/// assert!(found.ranks[2] > found.ranks[0] && found.ranks[0] > found.ranks[1]);
/// assert!((found.ranks.iter().sum::<f64>() - 1.0).abs() < 1e-12);
/// # Ok::<(), workloads::graph::GraphError>(())
/// ```
///
/// # Errors
/// [`AllocError`].
#[expect(clippy::cast_precision_loss, reason = "fewer nodes than a float numbers")]
pub fn pagerank<'c>(
    context: &'c AnalyticsContext<'_>,
    graph: &Graph<'_>,
    damping: f64,
    tolerance: f64,
    max_iterations: usize,
    mut observe: impl FnMut(usize, f64),
) -> Result<PageRank<'c>, AllocError> {
    let nodes = graph.nodes();
    let mut ranks = context.allocate_typed::<f64>(nodes)?;
    let mut next = context.allocate_typed::<f64>(nodes)?;
    // The share of its rank that each node passes to each target.
    let mut shares = context.allocate_typed::<f64>(nodes)?;
    let even = 1.0 / nodes.max(1) as f64;
    ranks.fill(even);
    let (mut iterations, mut change) = (0, 0.0);
    while iterations < max_iterations {
        let mut dangling = 0.0;
        for node in 0..nodes {
            match graph.out_degree(node) {
                0 => dangling += ranks[node],
                degree => shares[node] = ranks[node] / f64::from(degree),
            }
        }
        let base = (1.0 - damping).mul_add(even, damping * dangling * even);
        change = 0.0;
        for node in 0..nodes {
            let sum: f64 = graph.sources(node).iter().map(|&source| shares[source as usize]).sum();
            next[node] = damping.mul_add(sum, base);
            change += (next[node] - ranks[node]).abs();
        }
        core::mem::swap(&mut ranks, &mut next);
        iterations += 1;
        observe(iterations, change);
        if change <= tolerance {
            break;
        }
    }
    next.release();
    shares.release();
    Ok(PageRank { ranks, iterations, change })
}
