//! Work on a graph: who is linked to most, and how far everyone is.
//!
//! Rests on an [`AnalyticsContext`](arenite_alloc::AnalyticsContext), which has every buffer: the graph's own and those of what is computed.
//! So one context's figures say what an analysis took, and dropping it gives all of it back.

mod bfs;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
mod graph;
mod pagerank;

pub use bfs::{UNREACHED, bfs};
pub use graph::{Graph, GraphError};
pub use pagerank::{PageRank, pagerank};
