//! Test support for memory resources: the laws of a resource as checks, models and test doubles.
//!
//! The crate depends on `arenite-core` alone, so every crate above it can use it in tests. The
//! laws are here, and not beside each resource, so that every implementation is held to one
//! reading of them.
//!
//! - [`laws`]: the numbered laws of [`Resource`](arenite_core::Resource); [`resource_laws!`]
//!   writes one test per law.
//! - [`model`]: random operations on a resource, compared with a naive model.
//! - [`checked_api`]: random valid and invalid calls of the checked API (`MemoryAllocator`).
//! - [`LiveBlocks`], [`PatternBlock`]: allocated blocks whose contents are checked.
//! - [`doubles`]: resources that scribble or count, and a global allocator that counts per thread.
//! - [`soundness`]: programs that safe code must not be able to compile.

pub mod checked_api;
pub mod doubles;
pub mod laws;
mod live_blocks;
pub mod model;
mod pattern_block;
mod random;
pub mod soundness;

pub use live_blocks::LiveBlocks;
pub use pattern_block::PatternBlock;
pub use random::Random;
