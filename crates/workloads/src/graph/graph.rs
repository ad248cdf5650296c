//! A directed graph, as lists of who points at each node.
//!
//! Rests on three buffers of a context (compressed sparse columns): where each node's list begins, the lists, and how many each node
//! points at. Lists by target and not by source, because a rank is a sum over those who point at a node.

use arenite_alloc::{AnalyticsContext, ContextSlice};
use arenite_core::AllocError;
use thiserror::Error;

/// A graph that cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GraphError {
    /// An edge names a node that is not there.
    #[error("edge {edge} goes from {from} to {to}, and there are {nodes} nodes")]
    NoSuchNode {
        /// Which edge, from 0.
        edge: usize,
        /// Its source.
        from: u32,
        /// Its target.
        to: u32,
        /// How many nodes there are.
        nodes: usize,
    },
    /// More nodes or edges than 32 bits number.
    #[error("{count} {what}, and 2^32 - 2 are the most")]
    TooMany {
        /// How many.
        count: usize,
        /// Of what.
        what: &'static str,
    },
    /// No memory.
    #[error(transparent)]
    Memory(#[from] AllocError),
}

/// A directed graph of `nodes` numbered nodes; an edge that is given twice is one.
#[derive(Debug)]
pub struct Graph<'c> {
    /// Where each node's list begins, and where the last one ends.
    begins: ContextSlice<'c, u32>,
    /// Who points at each node, in order.
    sources: ContextSlice<'c, u32>,
    /// How many each node points at.
    out_degrees: ContextSlice<'c, u32>,
    edges: usize,
}

impl<'c> Graph<'c> {
    /// A graph of the edges `(from, to)`. O(nodes + edges · log(most that point at one)).
    ///
    /// ```
    /// use arenite_alloc::AnalyticsContext;
    /// use workloads::graph::Graph;
    /// let context = AnalyticsContext::new("graph");
    /// let graph = Graph::new(&context, 3, &[(0, 2), (1, 2), (0, 2)])?;
    /// assert_eq!((graph.nodes(), graph.edges(), graph.sources(2), graph.out_degree(0)), (3, 2, &[0, 1][..], 1));
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
        let mut begins = context.allocate_typed::<u32>(nodes + 1)?;
        let mut sources = context.allocate_typed::<u32>(edges.len())?;
        let mut out_degrees = context.allocate_typed::<u32>(nodes)?;
        for (edge, &(from, to)) in edges.iter().enumerate() {
            let (Some(_), Some(count)) = (out_degrees.get(from as usize), begins[1..].get_mut(to as usize))
            else {
                return Err(GraphError::NoSuchNode { edge, from, to, nodes });
            };
            *count += 1;
        }
        for node in 0..nodes {
            begins[node + 1] += begins[node];
        }
        // each list is filled from its end; its beginning is then where it was
        let mut ends = context.allocate_typed::<u32>(nodes)?;
        ends.copy_from_slice(&begins[1..]);
        for &(from, to) in edges {
            let end = &mut ends[to as usize];
            *end -= 1;
            sources[*end as usize] = from;
        }
        ends.release();
        let mut kept = 0;
        for node in 0..nodes {
            let (begin, end) = (begins[node] as usize, begins[node + 1] as usize);
            sources[begin..end].sort_unstable();
            begins[node] = u32::try_from(kept).unwrap_or(u32::MAX);
            for at in begin..end {
                let source = sources[at];
                if at == begin || source != sources[at - 1] {
                    // the list moves down to where those before it ended; what is compared above is not yet overwritten
                    sources.copy_within(at..=at, kept);
                    out_degrees[source as usize] += 1;
                    kept += 1;
                }
            }
        }
        begins[nodes] = u32::try_from(kept).unwrap_or(u32::MAX);
        Ok(Self { begins, sources, out_degrees, edges: kept })
    }

    /// How many nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.out_degrees.len()
    }

    /// How many different edges.
    #[must_use]
    pub const fn edges(&self) -> usize {
        self.edges
    }

    /// Who points at a node, in order.
    #[must_use]
    pub fn sources(&self, node: usize) -> &[u32] {
        &self.sources[self.begins[node] as usize..self.begins[node + 1] as usize]
    }

    /// How many a node points at.
    #[must_use]
    pub fn out_degree(&self, node: usize) -> u32 {
        self.out_degrees[node]
    }
}
