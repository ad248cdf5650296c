//! Slabs: runs of units cut into blocks of one size.
//!
//! - `slab`: the metadata of a slab, and its list or bitmap of free blocks
//! - `block_geometry`: which block an address lies in, without a division
//! - `slab_list`: lists of slabs
//! - `free_batch`: blocks of one slab that are freed together
//! - `refill`: collects remote frees and carves fresh blocks
//! - `purge`: returns the OS pages of free blocks to the system

pub(crate) mod block_geometry;
pub(crate) mod free_batch;
pub(crate) mod purge;
pub(crate) mod refill;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
pub(crate) mod slab;
pub(crate) mod slab_list;
