//! The default training text: this repository's own sources and documents.
//!
//! The build script gathers them in path order, so a build of one tree trains on one text without
//! a download.

/// The documents and sources of this repository in path order, at most 1.5 MB.
///
/// ```
/// assert!(workloads::char_lm::CORPUS.contains("Array"));
/// ```
pub const CORPUS: &str = include_str!(concat!(env!("OUT_DIR"), "/corpus.txt"));
