//! The text that the model is trained on where no other is given: this repository's own sources and documents.
//!
//! Rests on the build script, which gathers them in the order of their paths, so that a build of one tree trains on one
//! text and nothing has to be downloaded.

/// This repository's documents and sources, in the order of their paths; at most 1.5 MB.
///
/// ```
/// assert!(workloads::char_lm::CORPUS.contains("Array"));
/// ```
pub const CORPUS: &str = include_str!(concat!(env!("OUT_DIR"), "/corpus.txt"));
