//! Realistic jobs that run on any memory resource.
//!
//! The command, the benchmarks and the tests run them, so that measurements of memory come from
//! programs that do real work. The crate is not published.
pub mod caches;
pub mod char_lm;
pub mod graph;
