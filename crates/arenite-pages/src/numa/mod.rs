//! NUMA: on which node memory is to be found, on which it really lies, and how it gets to another.
//!
//! Rests on `os` for the calls and on [`machine::Numa`](crate::machine::Numa) for the nodes. [`NumaPolicy`] says where
//! memory belongs; [`NumaAllocator`] takes blocks under a policy; [`numa_node`], [`numa_distribution`] and
//! [`migrate_range`] ask the kernel where it lies and move it. On a machine with one node all of it works and has nothing
//! to choose.

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
