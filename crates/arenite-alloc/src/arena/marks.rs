//! Marks: positions in an arena to which it can be freed, and the count of what lives above each.
//!
//! Rests on nothing. Between two marks lies a frame; each frame counts its live blocks. That count is what lets
//! `restore` alloc_error instead of leaving a block dangling, without keeping a list of blocks.

use core::fmt;

/// A position in one arena. Copy; of use until the arena is restored to an older mark or reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The arena's number.
    pub(crate) arena: u64,
    /// The index of the frame that starts here.
    pub(crate) depth: usize,
    /// The frame's number: indices are used again, numbers are not.
    pub(crate) serial: u64,
}

/// What lies between two marks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MarkFrame {
    /// Bytes in use below it.
    pub(crate) position: usize,
    /// The chunk in which it starts.
    pub(crate) chunk: usize,
    /// Where in the chunk; null where the arena had not grown yet.
    pub(crate) cursor: *mut u8,
    /// Blocks of it that are live.
    pub(crate) live: usize,
    /// Its number.
    pub(crate) serial: u64,
}

impl MarkFrame {
    /// The first frame of an arena.
    pub(crate) const fn root(serial: u64) -> Self {
        Self { position: 0, chunk: 0, cursor: core::ptr::null_mut(), live: 0, serial }
    }
}

/// Why an arena would not go back to a mark. The arena is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreError {
    /// Blocks above the mark are still alive.
    BlocksAlive {
        /// How many.
        count: usize,
    },
    /// The arena was restored below this mark, or reset, since it was taken.
    StaleMark,
    /// The mark is another arena's.
    ForeignMark,
    /// The mark was taken before a scope that is still open.
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
                out.write_str("cannot restore: the arena went below this mark since; take a new one")
            }
            Self::OutsideScope => out.write_str("cannot restore: the mark lies outside the open scope"),
            Self::ForeignMark => out.write_str("cannot restore: the mark is another arena's"),
        }
    }
}

impl core::error::Error for RestoreError {}
