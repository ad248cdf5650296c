//! The allocation error: what was requested, what was available, why it failed, what to do.
//!
//! The error is one `Copy` struct without pointers: an allocation path must not allocate for its
//! error. The struct also fits `dyn MemoryAllocator<Error = AllocError>`.

use crate::{Bytes, Label, ResourceState};
use core::alloc::Layout;
use core::fmt;

/// The reason why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllocErrorKind {
    /// A size that overflows, or an alignment that is not a power of two.
    BadLayout,
    /// No memory from the operating system or from the allocator below.
    Exhausted {
        /// The `errno` of the call that failed, or 0.
        errno: i32,
    },
    /// A resource whose fixed capacity is used up.
    CapacityReached,
    /// A request that would exceed a limit set by the user.
    LimitReached,
    /// A request larger, or more aligned, than any block of this resource.
    TooLarge {
        /// The largest size that this resource serves.
        largest: usize,
    },
    /// A failure injected by a test.
    Injected,
    /// A pointer that is not a live block of this resource.
    InvalidPointer,
    /// A pointer into the middle of a block.
    InteriorPointer,
    /// A block that is already free.
    DoubleFree,
    /// A block that was allocated with another size or alignment.
    Mismatch {
        /// The size that was requested for the block.
        size: usize,
        /// The alignment that was requested for the block.
        align: usize,
    },
    /// More open marks than the resource supports.
    TooManyMarks,
    /// Memory that is mapped read-only.
    ReadOnly,
}

impl AllocErrorKind {
    /// Returns what the user can do about the failure, in a few words.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::BadLayout => "request a size below isize::MAX and a power-of-two alignment",
            Self::Exhausted { .. } => {
                "free or trim something, lower the request, or raise the machine's or cgroup's limit"
            }
            Self::CapacityReached => "free or reset blocks, or create the resource with more capacity",
            Self::LimitReached => "free blocks or raise the limit",
            Self::TooLarge { .. } => "use a resource with larger blocks",
            Self::Injected => "a test injected this failure",
            Self::InvalidPointer => "free the block with the resource that allocated it",
            Self::InteriorPointer => "pass the pointer that the allocation returned",
            Self::DoubleFree => "free each block once",
            Self::Mismatch { .. } => "pass the size and alignment of the allocation",
            Self::TooManyMarks => "restore older marks first",
            Self::ReadOnly => "open the file for writing",
        }
    }
}

impl fmt::Display for AllocErrorKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadLayout => out.write_str("invalid layout"),
            Self::Exhausted { errno: 0 } => out.write_str("upstream is exhausted"),
            Self::Exhausted { errno } => write!(out, "the operating system returned errno {errno}"),
            Self::CapacityReached => out.write_str("capacity reached"),
            Self::LimitReached => out.write_str("limit reached"),
            Self::TooLarge { largest } => write!(out, "larger than the largest block of {}", Bytes(largest)),
            Self::Injected => out.write_str("injected failure"),
            Self::InvalidPointer => out.write_str("not a live block of this resource"),
            Self::InteriorPointer => out.write_str("pointer into the middle of a block"),
            Self::DoubleFree => out.write_str("block already free"),
            Self::Mismatch { size, align } => {
                write!(out, "block was allocated with size {size} and alignment {align}")
            }
            Self::TooManyMarks => out.write_str("too many open marks"),
            Self::ReadOnly => out.write_str("the memory is read-only"),
        }
    }
}

/// A failed request, with the numbers that explain it.
///
/// ```
/// use arenite_core::{AllocError, AllocErrorKind, Label, ResourceState};
/// let state = ResourceState { in_use: 1000, limit: Some(1024), ..ResourceState::default() };
/// let layout = arenite_core::layout(4096, 64)?;
/// let error = AllocError::new(AllocErrorKind::LimitReached, layout, state, Label::new("step"));
/// assert!(error.to_string().contains("requested 4 KiB (align 64) from `step`: limit reached"));
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocError {
    /// The reason.
    pub kind: AllocErrorKind,
    /// The requested size in bytes.
    pub size: usize,
    /// The requested alignment in bytes.
    pub align: usize,
    /// The state of the resource when the request failed.
    pub state: ResourceState,
    /// The label of the resource.
    pub label: Label,
}

impl AllocError {
    /// Creates the error of a request for `layout` that failed in the resource `label`.
    #[must_use]
    #[cold]
    pub const fn new(kind: AllocErrorKind, layout: Layout, state: ResourceState, label: Label) -> Self {
        Self { kind, size: layout.size(), align: layout.align(), state, label }
    }

    /// Creates the error of a size and alignment that no [`Layout`] can have.
    #[must_use]
    #[cold]
    pub const fn bad_layout(size: usize, align: usize, state: ResourceState, label: Label) -> Self {
        Self { kind: AllocErrorKind::BadLayout, size, align, state, label }
    }

    /// Replaces the state and the label by those of the resource that reports the error.
    #[must_use]
    pub const fn with_context(mut self, state: ResourceState, label: Label) -> Self {
        self.state = state;
        self.label = label;
        self
    }
}

impl fmt::Display for AllocError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, size, align, state, label } = self;
        write!(out, "requested {} (align {align}) from `{label}`: {kind}; ", Bytes(*size))?;
        write!(out, "{state}; {}", kind.advice())
    }
}

impl core::error::Error for AllocError {}

/// Returns the layout of `size` bytes at `align`.
///
/// ```
/// assert_eq!(arenite_core::layout(100, 64)?.align(), 64);
/// assert!(arenite_core::layout(100, 3).is_err());
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
///
/// # Errors
/// [`AllocErrorKind::BadLayout`] if `align` is not a power of two or the rounded size is above
/// `isize::MAX`. State and label are empty: [`AllocError::with_context`] sets them.
pub const fn layout(size: usize, align: usize) -> Result<Layout, AllocError> {
    match Layout::from_size_align(size, align) {
        Ok(layout) => Ok(layout),
        Err(_) => Err(AllocError::bad_layout(size, align, ResourceState::EMPTY, Label::new(""))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn error_text_names_every_number_and_the_advice() {
        let state = ResourceState {
            in_use: 900,
            held: 2048,
            peak: 1000,
            live_blocks: 3,
            largest_free: Some(124),
            limit: Some(1024),
        };
        let layout = layout(512, 64).unwrap();
        let text =
            AllocError::new(AllocErrorKind::LimitReached, layout, state, Label::new("grads")).to_string();
        for part in [
            "512 B",
            "align 64",
            "`grads`",
            "limit reached",
            "in use 900 B",
            "held 2 KiB",
            "largest free 124 B",
        ] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
        assert!(text.contains("limit 1 KiB") && text.ends_with("raise the limit"), "{text}");
    }

    #[test]
    fn layout_fails_for_an_invalid_size_or_alignment() {
        assert_eq!(layout(8, 3).unwrap_err().kind, AllocErrorKind::BadLayout);
        assert_eq!(layout(usize::MAX, 8).unwrap_err().size, usize::MAX);
        assert!(size_of::<AllocError>() <= 128);
    }
}
