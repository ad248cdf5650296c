//! What the operating system refused: which call, how much, which error number.
//!
//! Rests on [`Bytes`] for its text. One struct without allocation, because it is made on allocation paths.

use arenite_core::{AllocCause, Bytes, Label};
use core::fmt;

/// Which step of a region's life failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageCall {
    /// Taking address space.
    Reserve,
    /// Backing a range.
    Commit,
    /// Dropping a range's backing.
    Decommit,
    /// Asking for huge pages.
    AdviseHuge,
    /// Giving address space back.
    Release,
}

/// Why it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageCause {
    /// The size is zero, or overflows once rounded to OS pages.
    BadSize,
    /// The range does not start and end on OS pages.
    Unaligned,
    /// The range does not lie inside the region.
    OutOfRange,
    /// The operating system answered with this error number.
    Os {
        /// The error number.
        errno: i32,
    },
}

/// A call on a region that failed; the region is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageError {
    /// Which step.
    pub call: PageCall,
    /// Why.
    pub cause: PageCause,
    /// The offset asked, in bytes from the region's start.
    pub offset: usize,
    /// The size asked, in bytes.
    pub size: usize,
    /// The region's size in bytes; 0 where there is no region yet.
    pub region: usize,
    /// The region's label.
    pub label: Label,
}

impl PageError {
    /// The same refusal as the cause of an allocation's failure.
    #[must_use]
    pub const fn alloc_cause(&self) -> AllocCause {
        match self.cause {
            PageCause::Os { errno } => AllocCause::Exhausted { errno },
            _ => AllocCause::BadLayout,
        }
    }
}

impl fmt::Display for PageError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = match self.call {
            PageCall::Reserve => "reserve",
            PageCall::Commit => "commit",
            PageCall::Decommit => "decommit",
            PageCall::AdviseHuge => "advise huge pages for",
            PageCall::Release => "release",
        };
        write!(
            out,
            "cannot {call} {} at offset {} of region `{}`",
            Bytes(self.size),
            self.offset,
            self.label
        )?;
        write!(out, " of {}: ", Bytes(self.region))?;
        match self.cause {
            PageCause::BadSize => {
                out.write_str("the size is zero or overflows; ask for 1 byte to isize::MAX")
            }
            PageCause::Unaligned => out.write_str("the range must start and end on OS pages"),
            PageCause::OutOfRange => out.write_str("the range must lie inside the region"),
            PageCause::Os { errno } => write!(
                out,
                "the operating system answered errno {errno}; see `arenite doctor` for limits on address space and memory"
            ),
        }
    }
}

impl core::error::Error for PageError {}
