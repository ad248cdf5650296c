//! What the operating system refused: which call, how much, which error number.
//!
//! Rests on [`Bytes`] for its text. One struct without allocation, because it is made on allocation paths.

use arenite_core::{AllocCause, Bytes, Label};
use core::fmt;

/// Which call on memory failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionOp {
    /// Taking address space.
    Reserve,
    /// Backing a range.
    Commit,
    /// Dropping a range's backing.
    Decommit,
    /// Changing what a range may be used for.
    Protect,
    /// Asking for huge pages.
    AdviseHuge,
    /// Giving address space back.
    Release,
    /// Asking what a range is.
    Query,
    /// Reading bytes.
    Peek,
    /// Writing bytes.
    Poke,
    /// Finding a range's OS pages before they are used.
    Prefetch,
    /// Lending a range's memory to the kernel.
    Offer,
    /// Taking an offered range back.
    Reclaim,
    /// Dropping a range's contents.
    Discard,
    /// Saying that a range is not needed soon, or writing it out.
    PageOut,
    /// Copying a range onto huge pages.
    Collapse,
    /// Keeping a range in memory.
    Lock,
    /// Letting a range be paged out again.
    Unlock,
    /// Moving a range without copying.
    Remap,
    /// Watching the writes to a range.
    WatchWrites,
    /// Saying on which NUMA node a range belongs, or asking.
    Place,
}

/// Why it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionErrorKind {
    /// The size is zero, or overflows once rounded to OS pages.
    BadSize,
    /// The range does not start and end on OS pages.
    Unaligned,
    /// The range does not lie inside the region.
    OutOfRange,
    /// The two ranges overlap.
    Overlap,
    /// A byte of the range is not committed, or not open for what was asked.
    Inaccessible {
        /// The first such byte, as an offset in the region.
        at: usize,
    },
    /// The address lies in no region of this table, or is not the start of one.
    InvalidPointer {
        /// The address.
        address: usize,
    },
    /// A part of the range is offered to the kernel and was not reclaimed.
    Offered,
    /// The process may not lock as much.
    LockLimit {
        /// Bytes that it may lock (`RLIMIT_MEMLOCK`); `u64::MAX` where that is not known.
        limit: u64,
        /// Bytes that it has locked.
        locked: u64,
    },
    /// This machine or kernel lacks it.
    Unsupported {
        /// What it lacks.
        what: &'static str,
    },
    /// The operating system answered with this error number.
    Os {
        /// The error number.
        errno: i32,
    },
}

/// A call on a region that failed; the region is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionError {
    /// Which step.
    pub op: RegionOp,
    /// Why.
    pub kind: RegionErrorKind,
    /// The offset asked, in bytes from the region's start.
    pub offset: usize,
    /// The size asked, in bytes.
    pub size: usize,
    /// The region's size in bytes; 0 where there is no region.
    pub region: usize,
    /// The region's label.
    pub label: Label,
}

impl RegionError {
    /// An error of a call that has no region.
    #[cold]
    pub(crate) const fn without_region(op: RegionOp, kind: RegionErrorKind, size: usize) -> Self {
        Self { op, kind, offset: 0, size, region: 0, label: Label::new("") }
    }

    /// The same refusal as the cause of an allocation's failure.
    #[must_use]
    pub const fn alloc_kind(&self) -> AllocCause {
        match self.kind {
            RegionErrorKind::Os { errno } => AllocCause::Exhausted { errno },
            _ => AllocCause::BadLayout,
        }
    }
}

impl RegionOp {
    const fn text(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Commit => "commit",
            Self::Decommit => "decommit",
            Self::Protect => "protect",
            Self::AdviseHuge => "advise huge pages for",
            Self::Release => "release",
            Self::Query => "query",
            Self::Peek => "peek at",
            Self::Poke => "poke into",
            Self::Prefetch => "prefetch",
            Self::Offer => "offer",
            Self::Reclaim => "reclaim",
            Self::Discard => "discard",
            Self::PageOut => "page out",
            Self::Collapse => "collapse",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::Remap => "remap",
            Self::WatchWrites => "watch the writes to",
            Self::Place => "place",
        }
    }
}

impl fmt::Display for RegionErrorKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadSize => out.write_str("the size is zero or overflows; ask for 1 byte to isize::MAX"),
            Self::Unaligned => out.write_str("the range must start and end on OS pages"),
            Self::OutOfRange => out.write_str("the range must lie inside the region"),
            Self::Overlap => out.write_str("source and target must not overlap"),
            Self::Inaccessible { at } => {
                write!(out, "offset {at} is not committed, or its protection forbids it")
            }
            Self::InvalidPointer { address } => {
                write!(out, "no region begins at {address:#x}, or it was released before")
            }
            Self::Offered => out.write_str("a part of the range is offered: reclaim it first"),
            Self::LockLimit { limit: u64::MAX, .. } => out.write_str("this process may lock no more memory"),
            Self::LockLimit { limit, locked } => write!(
                out,
                "RLIMIT_MEMLOCK is {limit} bytes and {locked} are locked; raise it with `ulimit -l`"
            ),
            Self::Unsupported { what } => write!(out, "unsupported here: {what}"),
            Self::Os { errno } => write!(
                out,
                "the operating system answered errno {errno}; see `arenite doctor` for limits on address space and memory"
            ),
        }
    }
}

impl fmt::Display for RegionError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot {}", self.op.text())?;
        if self.size > 0 || self.region > 0 {
            write!(out, " {}", Bytes(self.size))?;
        }
        if self.region > 0 {
            write!(out, " at offset {} of region `{}` of {}", self.offset, self.label, Bytes(self.region))?;
        } else if !self.label.is_empty() {
            write!(out, " for region `{}`", self.label)?;
        }
        write!(out, ": {}", self.kind)
    }
}

impl core::error::Error for RegionError {}
