//! Buffers that leave memory when it is short.
//!
//! Rests on any resource for those in memory and on one anonymous_file file for those outside. [`Spill`] has the buffers, a [`SpillBuffer`] is one of
//! them, [`SpillRead`] and [`SpillWrite`] keep it in memory while somebody looks.

mod buffer;
mod error;
mod free_extents;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
mod spill;

pub use buffer::{SpillBuffer, SpillRead, SpillWrite};
pub use error::SpillError;
pub use spill::{Spill, SpillStats};
