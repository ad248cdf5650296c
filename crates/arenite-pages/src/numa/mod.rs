//! NUMA: the policy of memory, the nodes on which it lies, and its migration.
//!
//! - `policy`: [`NumaPolicy`], the desired nodes.
//! - `allocator`: [`NumaAllocator`], blocks with a policy.
//! - `placement`: [`numa_node`], [`numa_distribution`] and [`migrate_range`].
//!
//! All of it works on a machine with one node.

mod allocator;
mod error;
mod placement;
mod policy;

pub use allocator::{NumaAllocator, NumaBlock, numa_alloc, numa_free};
pub use error::NumaError;
pub use placement::{
    NumaDistribution, bind_range, current_numa_node, migrate_range, numa_distribution, numa_node,
    numa_node_count,
};
pub use policy::NumaPolicy;
