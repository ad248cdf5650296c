//! A directed graph, as a list of the sources of each node.
//!
//! Three buffers of a context hold it (compressed sparse columns): the offset of each node's list,
//! the lists, and the out-degrees. The lists are by target, because a rank is a sum over the
//! sources of a node.

use arenite_alloc::{AnalyticsContext, ContextSlice};
use arenite_core::AllocError;
use thiserror::Error;

/// The reason why a graph cannot be created.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GraphError {
    /// An edge names a node that does not exist.
    #[error("edge {edge} from {from} to {to} is invalid: the graph has {nodes} nodes")]
    NoSuchNode {
        /// The index of the edge, from 0.
        edge: usize,
        /// The source of the edge.
        from: u32,
        /// The target of the edge.
        to: u32,
        /// Number of nodes.
        nodes: usize,
    },
    /// More nodes or edges than 32 bits can number.
    #[error("{count} {what} requested; the maximum is 2^32 - 2")]
    TooMany {
        /// The requested number.
        count: usize,
        /// The counted item: nodes or edges.
        what: &'static str,
    },
    /// An allocation failed.
    #[error(transparent)]
    Memory(#[from] AllocError),
}

/// A directed graph of numbered nodes; duplicate edges count once.
#[derive(Debug)]
pub struct Graph<'c> {
    /// Offset of each node's list, and the end of the last one.
    offsets: ContextSlice<'c, u32>,
    /// Sources of each node, sorted.
    sources: ContextSlice<'c, u32>,
    /// Out-degree of each node.
    out_degrees: ContextSlice<'c, u32>,
    edges: usize,
}

impl<'c> Graph<'c> {
    /// Creates a graph of the edges `(from, to)`. O(nodes + edges · log(maximum in-degree)).
    ///
    /// ```
    /// use arenite_alloc::AnalyticsContext;
    /// use workloads::graph::Graph;
    /// let context = AnalyticsContext::new("graph");
    /// let graph = Graph::new(&context, 3, &[(0, 2), (1, 2), (0, 2)])?;
    /// assert_eq!((graph.nodes(), graph.edges(), graph.out_degree(0)), (3, 2, 1));
    /// assert_eq!(graph.sources(2), [0, 1]);
    /// # Ok::<(), workloads::graph::GraphError>(())
    /// ```
    ///
    /// # Errors
    /// [`GraphError`].
    pub fn new(
        context: &'c AnalyticsContext<'_>,
        nodes: usize,
        edges: &[(u32, u32)],
    ) -> Result<Self, GraphError> {
        for (what, count) in [("nodes", nodes), ("edges", edges.len())] {
            if count >= u32::MAX as usize {
                return Err(GraphError::TooMany { count, what });
            }
        }
        let mut offsets = context.allocate_typed::<u32>(nodes + 1)?;
        let mut sources = context.allocate_typed::<u32>(edges.len())?;
        let mut out_degrees = context.allocate_typed::<u32>(nodes)?;
        for (edge, &(from, to)) in edges.iter().enumerate() {
            let (Some(_), Some(count)) = (out_degrees.get(from as usize), offsets[1..].get_mut(to as usize))
            else {
                return Err(GraphError::NoSuchNode { edge, from, to, nodes });
            };
            *count += 1;
        }
        for node in 0..nodes {
            offsets[node + 1] += offsets[node];
        }
        // Each list is filled from its end, so its offset is back at its start afterwards.
        let mut ends = context.allocate_typed::<u32>(nodes)?;
        ends.copy_from_slice(&offsets[1..]);
        for &(from, to) in edges {
            let end = &mut ends[to as usize];
            *end -= 1;
            sources[*end as usize] = from;
        }
        ends.release();
        let mut len = 0;
        for node in 0..nodes {
            let (begin, end) = (offsets[node] as usize, offsets[node + 1] as usize);
            sources[begin..end].sort_unstable();
            offsets[node] = u32::try_from(len).unwrap_or(u32::MAX);
            for at in begin..end {
                let source = sources[at];
                if at == begin || source != sources[at - 1] {
                    // The list moves down to the end of the previous lists; the entries still to be
                    // compared are not overwritten yet.
                    sources.copy_within(at..=at, len);
                    out_degrees[source as usize] += 1;
                    len += 1;
                }
            }
        }
        offsets[nodes] = u32::try_from(len).unwrap_or(u32::MAX);
        Ok(Self { offsets, sources, out_degrees, edges: len })
    }

    /// Returns the number of nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.out_degrees.len()
    }

    /// Returns the number of distinct edges.
    #[must_use]
    pub const fn edges(&self) -> usize {
        self.edges
    }

    /// Returns the sources of a node, sorted.
    #[must_use]
    pub fn sources(&self, node: usize) -> &[u32] {
        &self.sources[self.offsets[node] as usize..self.offsets[node + 1] as usize]
    }

    /// Returns the out-degree of a node.
    #[must_use]
    pub fn out_degree(&self, node: usize) -> u32 {
        self.out_degrees[node]
    }
}
