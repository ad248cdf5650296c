//! Real jobs that run on any memory resource.
//!
//! Rests on `arenite-tensor`. Unpublished: these are the programs that the command, the benchmarks and the tests run, so
//! that what is said about memory is said about something that does work.
pub mod caches;
pub mod char_lm;
pub mod graph;
