//! Graph analyses: PageRank and breadth-first search.
//!
//! An [`AnalyticsContext`](arenite_alloc::AnalyticsContext) owns every buffer, of the graph and of
//! the results. Its statistics are therefore the memory use of an analysis, and dropping it frees
//! everything.

mod bfs;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
mod graph;
mod pagerank;

pub use bfs::{UNREACHED, bfs};
pub use graph::{Graph, GraphError};
pub use pagerank::{PageRank, pagerank};
