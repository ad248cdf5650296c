//! Blocks: allocators for every pattern, one trait over them all.
mod global;
mod tally;

pub use global::Global;
