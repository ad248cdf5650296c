//! The hardened heap: its options, its blocks, and reports of misuse.
//!
//! - `options`: what a hardened heap checks
//! - `hardened`: allocation and deallocation
//! - `state`: slabs with free blocks, and the quarantine
//! - `chunk_table`: the state of each block of a slab, kept behind the slab
//! - `misuse`: reports, and the end of a program that misused a heap

pub(crate) mod chunk_table;
#[expect(clippy::module_inception, reason = "a file is named for what it does")]
pub(crate) mod hardened;
pub(crate) mod misuse;
pub(crate) mod options;
pub(crate) mod state;
