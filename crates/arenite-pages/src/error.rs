//! Errors of regions: the operation, the range, and the error number.
//!
//! One struct without allocation, because it is made on allocation paths.

use arenite_core::{AllocErrorKind, Bytes, Label};
use core::fmt;
use rustix::io::Errno;

/// Operation on a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionOp {
    /// Reserving address space.
    Reserve,
    /// Committing a range.
    Commit,
    /// Dropping the contents and the backing of a range.
    Decommit,
    /// Changing the protection of a range.
    Protect,
    /// Requesting huge pages.
    AdviseHuge,
    /// Releasing address space.
    Release,
    /// Querying a range.
    Query,
    /// Reading bytes.
    Peek,
    /// Writing bytes.
    Poke,
    /// Populating the OS pages of a range before their use.
    Prefetch,
    /// Offering a range's memory to the kernel.
    Offer,
    /// Reclaiming an offered range.
    Reclaim,
    /// Dropping the contents of a range.
    Discard,
    /// Marking a range as cold, or writing it out.
    PageOut,
    /// Copying a range onto huge pages.
    Collapse,
    /// Locking a range in memory.
    Lock,
    /// Unlocking a range.
    Unlock,
    /// Moving a range without copying.
    Remap,
    /// Watching the writes to a range.
    WatchWrites,
    /// Setting the NUMA policy of a range.
    SetPolicy,
}

/// Reason of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionErrorKind {
    /// The size is zero, or overflows once rounded to OS pages.
    BadSize,
    /// The range does not start and end on OS pages, or the alignment of a reservation is no power
    /// of two.
    Unaligned,
    /// The range does not lie inside the region.
    OutOfRange,
    /// The two ranges overlap.
    Overlap,
    /// A byte of the range is not committed, or its protection forbids the operation.
    Inaccessible {
        /// Offset of the first such byte in the region.
        at: usize,
    },
    /// The address lies in no region of this table, or is not the start of one.
    InvalidPointer {
        /// The address.
        address: usize,
    },
    /// The range overlaps one that is offered to the kernel and was not reclaimed.
    Offered,
    /// The process has reached its limit of locked memory.
    LockLimit {
        /// Maximum number of locked bytes (`RLIMIT_MEMLOCK`), or `u64::MAX` if unknown.
        limit: u64,
        /// Bytes locked now.
        locked: u64,
    },
    /// This machine or kernel lacks the facility.
    Unsupported {
        /// The missing facility, or what the operation needs.
        what: &'static str,
    },
    /// The operating system returned this error number.
    Os {
        /// The error number.
        errno: i32,
    },
}

/// A failed operation on a region; the region is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionError {
    /// The operation.
    pub op: RegionOp,
    /// The reason.
    pub kind: RegionErrorKind,
    /// Requested offset, in bytes from the region's start.
    pub offset: usize,
    /// Requested size, in bytes.
    pub size: usize,
    /// The region's size in bytes, or 0 without a region.
    pub region: usize,
    /// The region's label.
    pub label: Label,
}

impl RegionError {
    /// Makes the error of a list that this process has no memory for.
    #[cold]
    pub(crate) const fn no_memory(op: RegionOp, size: usize) -> Self {
        Self::without_region(op, RegionErrorKind::Os { errno: Errno::NOMEM.raw_os_error() }, size)
    }

    /// Makes an error of an operation without a region.
    #[cold]
    pub(crate) const fn without_region(op: RegionOp, kind: RegionErrorKind, size: usize) -> Self {
        Self { op, kind, offset: 0, size, region: 0, label: Label::new("") }
    }

    /// Returns the matching error kind of an allocation.
    #[must_use]
    pub const fn alloc_kind(&self) -> AllocErrorKind {
        match self.kind {
            RegionErrorKind::Os { errno } => AllocErrorKind::Exhausted { errno },
            _ => AllocErrorKind::BadLayout,
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
            Self::SetPolicy => "set the NUMA policy of",
        }
    }
}

impl fmt::Display for RegionErrorKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadSize => out.write_str("the size is zero or overflows; use 1 byte to isize::MAX"),
            Self::Unaligned => out.write_str("the range must start and end on OS pages"),
            Self::OutOfRange => out.write_str("the range must lie inside the region"),
            Self::Overlap => out.write_str("source and target must not overlap"),
            Self::Inaccessible { at } => {
                write!(out, "offset {at} is not committed, or its protection forbids it")
            }
            Self::InvalidPointer { address } => {
                write!(out, "no region, block or file begins at {address:#x}, or it was released")
            }
            Self::Offered => out.write_str("the range overlaps an offered range; reclaim it first"),
            Self::LockLimit { limit: u64::MAX, .. } => {
                out.write_str("this process may lock no more memory; raise RLIMIT_MEMLOCK (`ulimit -l`)")
            }
            Self::LockLimit { limit, locked } => write!(
                out,
                "RLIMIT_MEMLOCK is {limit} bytes and {locked} are locked; raise it with `ulimit -l`"
            ),
            Self::Unsupported { what } => write!(out, "not supported here: {what}"),
            Self::Os { errno } => write!(
                out,
                "the operating system returned errno {errno}; see `arenite doctor` for limits on address space and memory"
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
        match (self.op, self.kind) {
            (RegionOp::Reserve, RegionErrorKind::Unaligned) => {
                out.write_str(": the alignment must be a power of two")
            }
            (_, kind) => write!(out, ": {kind}"),
        }
    }
}

impl core::error::Error for RegionError {}
