//! Breadth-first search: the distance of each node to a goal.
//!
//! The graph lists the sources of each node, so the search follows edges backwards: distances are
//! to the goal, not from it.

use super::Graph;
use arenite_alloc::{AnalyticsContext, ContextSlice};
use arenite_core::AllocError;

/// The distance of a node that cannot reach the goal.
pub const UNREACHED: u32 = u32::MAX;

/// Returns the number of edges from each node to `goal`; [`UNREACHED`] if there is no path.
/// O(nodes + edges).
///
/// ```
/// use arenite_alloc::AnalyticsContext;
/// use workloads::graph::{Graph, UNREACHED, bfs};
/// let context = AnalyticsContext::new("bfs");
/// let graph = Graph::new(&context, 4, &[(0, 1), (1, 2), (2, 0)])?;
/// assert_eq!(&*bfs(&context, &graph, 2)?, &[2, 1, 0, UNREACHED]);
/// # Ok::<(), workloads::graph::GraphError>(())
/// ```
///
/// # Errors
/// [`AllocError`].
pub fn bfs<'c>(
    context: &'c AnalyticsContext<'_>,
    graph: &Graph<'_>,
    goal: u32,
) -> Result<ContextSlice<'c, u32>, AllocError> {
    let nodes = graph.nodes();
    let mut distances = context.allocate_typed::<u32>(nodes)?;
    // Each node enters the queue at most once.
    let mut queue = context.allocate_typed::<u32>(nodes)?;
    distances.fill(UNREACHED);
    let (mut first, mut end) = (0, 0);
    if let Some(distance) = distances.get_mut(goal as usize) {
        (*distance, queue[0], end) = (0, goal, 1);
    }
    while first < end {
        let node = queue[first] as usize;
        first += 1;
        let distance = distances[node] + 1;
        for &source in graph.sources(node) {
            let found = &mut distances[source as usize];
            if *found == UNREACHED {
                *found = distance;
                queue[end] = source;
                end += 1;
            }
        }
    }
    queue.release();
    Ok(distances)
}
