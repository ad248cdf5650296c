//! Buffers that are evicted to disk when memory is short.
//!
//! - `spill`: [`Spill`], the buffers in memory (of any resource) and in one anonymous file.
//! - `free_extents`: the free extents of the file.
//! - `buffer`: [`SpillBuffer`], a buffer, with [`SpillRead`] and [`SpillWrite`], which pin it in
//!   memory.
//! - `error`: [`SpillError`].

mod buffer;
mod error;
mod free_extents;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
mod spill;

pub use buffer::{SpillBuffer, SpillRead, SpillWrite};
pub use error::SpillError;
pub use spill::{Spill, SpillStats};
