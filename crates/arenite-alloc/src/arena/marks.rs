//! Marks: positions to which an arena can be freed, with the number of live blocks above each.
//!
//! Between two marks lies a frame, which counts its live blocks. With that count `restore` fails
//! instead of leaving a block dangling, without a list of blocks.

use core::fmt;

/// A position in one arena. Valid until the arena is restored to an older mark or reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Id of the arena.
    pub(crate) arena: u64,
    /// Index of the frame that starts here.
    pub(crate) depth: usize,
    /// Serial number of the frame: indices are reused, serial numbers are not.
    pub(crate) serial: u64,
}

/// The blocks between two marks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MarkFrame {
    /// Bytes in use below the frame.
    pub(crate) position: usize,
    /// Chunk in which the frame starts.
    pub(crate) chunk: usize,
    /// Address at which the frame starts; null if the arena had not grown yet.
    pub(crate) cursor: *mut u8,
    /// Number of live blocks.
    pub(crate) live: usize,
    /// Serial number of the frame.
    pub(crate) serial: u64,
}

impl MarkFrame {
    /// Returns the first frame of an arena.
    pub(crate) const fn root(serial: u64) -> Self {
        Self { position: 0, chunk: 0, cursor: core::ptr::null_mut(), live: 0, serial }
    }
}

/// Reason why an arena was not restored. The arena is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreError {
    /// Blocks above the mark are still live.
    BlocksAlive {
        /// Number of those blocks.
        count: usize,
    },
    /// The arena was restored below this mark, or reset, since the mark was made.
    StaleMark,
    /// The mark belongs to another arena.
    ForeignMark,
    /// The mark is older than a scope that is still open.
    OutsideScope,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlocksAlive { count } => write!(
                out,
                "cannot restore: {count} blocks above the mark are still alive; drop them first, or use `restore_mut`"
            ),
            Self::StaleMark => {
                out.write_str("cannot restore: the arena was restored below this mark; make a new one")
            }
            Self::OutsideScope => out.write_str("cannot restore: the mark lies outside the open scope"),
            Self::ForeignMark => out.write_str("cannot restore: the mark is another arena's"),
        }
    }
}

impl core::error::Error for RestoreError {}
