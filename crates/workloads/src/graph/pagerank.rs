//! PageRank: the part of its time that a walk along random links spends at each node.
//!
//! Rests on [`Graph`] and three buffers of its context (Page, Brin, Motwani and Winograd, "The PageRank Citation Ranking", 1999). A node
//! that points nowhere sends the walk anywhere, as common implementations do.

use super::Graph;
use arenite_alloc::{AnalyticsContext, ContextSlice};
use arenite_core::AllocError;

/// How the ranks came about.
#[derive(Debug)]
pub struct PageRank<'c> {
    /// Of each node; together 1.
    pub ranks: ContextSlice<'c, f64>,
    /// How often they were computed anew.
    pub iterations: usize,
    /// By how much all of them together changed the last time.
    pub change: f64,
}

/// Computes ranks until they change by at most `tolerance` together, or `most` times. A walk follows a link with the probability
/// `damping`, and goes anywhere else; 0.85 is usual. `observe` hears of each iteration and of the change; nothing is allocated in one.
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
    most: usize,
    mut observe: impl FnMut(usize, f64),
) -> Result<PageRank<'c>, AllocError> {
    let nodes = graph.nodes();
    let mut ranks = context.allocate_typed::<f64>(nodes)?;
    let mut next = context.allocate_typed::<f64>(nodes)?;
    // what each node gives to each that it points at
    let mut shares = context.allocate_typed::<f64>(nodes)?;
    let even = 1.0 / nodes.max(1) as f64;
    ranks.fill(even);
    let (mut iterations, mut change) = (0, 0.0);
    while iterations < most {
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
