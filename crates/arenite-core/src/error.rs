//! The one error of allocation: what was asked, what was there, why it failed, and what to do.
//!
//! Rests on [`ResourceState`] and [`Label`]. It is one `Copy` struct without a pointer in it, because an error on an
//! allocation path must not allocate, and because it travels through `dyn MemoryAllocator<Error = AllocError>`.

use crate::{Bytes, Label, ResourceState};
use core::alloc::Layout;
use core::fmt;

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllocCause {
    /// The size overflows or the alignment is no power of two.
    BadLayout,
    /// The operating system, or the allocator below, gave nothing; its error number where there is one, else 0.
    Exhausted {
        /// The `errno` of the call that failed, or 0.
        errno: i32,
    },
    /// The resource's fixed capacity is used up.
    CapacityReached,
    /// A limit set by the user would be passed.
    LimitReached,
    /// The request is larger, or more aligned, than any block of this resource.
    TooLarge {
        /// The largest size that this resource serves.
        largest: usize,
    },
    /// A failure that a test asked for.
    Injected,
    /// The pointer is not that of a live block of this resource.
    Foreign,
    /// The pointer lies inside a block, not at its start.
    Interior,
    /// The block is already free.
    NotLive,
    /// The block has another size or alignment than the caller says.
    Mismatch {
        /// The size that the block was asked with.
        size: usize,
        /// The alignment that the block was asked with.
        align: usize,
    },
    /// Too many marks are open at once.
    TooManyMarks,
    /// The memory may only be read.
    ReadOnly,
}

impl AllocCause {
    /// What the user can do about it, in a few words.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::BadLayout => "ask for a size below isize::MAX and a power-of-two alignment",
            Self::Exhausted { .. } => {
                "free or trim something, lower the request, or raise the machine's or cgroup's limit"
            }
            Self::CapacityReached => "free or reset blocks, or make the resource with more capacity",
            Self::LimitReached => "free blocks or raise the limit",
            Self::TooLarge { .. } => "use a resource with larger blocks",
            Self::Injected => "a test asked for this failure",
            Self::Foreign => "give the block back to the resource that lent it",
            Self::Interior => "give back the pointer that was lent, not one inside its block",
            Self::NotLive => "give each block back once",
            Self::Mismatch { .. } => "give the block back with the size and alignment it was asked with",
            Self::TooManyMarks => "restore older marks before taking more",
            Self::ReadOnly => "open the file for writing",
        }
    }
}

impl fmt::Display for AllocCause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadLayout => out.write_str("no such layout"),
            Self::Exhausted { errno: 0 } => out.write_str("upstream is exhausted"),
            Self::Exhausted { errno } => write!(out, "the operating system refused (errno {errno})"),
            Self::CapacityReached => out.write_str("capacity reached"),
            Self::LimitReached => out.write_str("limit reached"),
            Self::TooLarge { largest } => write!(out, "larger than the largest block of {}", Bytes(largest)),
            Self::Injected => out.write_str("injected failure"),
            Self::Foreign => out.write_str("not a live block of this resource"),
            Self::Interior => out.write_str("pointer inside a block"),
            Self::NotLive => out.write_str("block already free"),
            Self::Mismatch { size, align } => {
                write!(out, "block was asked with size {size} and alignment {align}")
            }
            Self::TooManyMarks => out.write_str("too many open marks"),
            Self::ReadOnly => out.write_str("the memory may only be read"),
        }
    }
}

/// A request that a resource refused, with the numbers that explain it.
///
/// ```
/// use arenite_core::{AllocCause, AllocError, Label, ResourceState};
/// use core::alloc::Layout;
/// let layout = Layout::from_size_align(4096, 64)?;
/// let state = ResourceState { in_use: 1000, held: 1024, limit: Some(1024), ..ResourceState::default() };
/// let error = AllocError::new(AllocCause::LimitReached, layout, state, Label::new("step"));
/// assert!(error.to_string().contains("asked 4 KiB (align 64) of `step`: limit reached"));
/// # Ok::<(), core::alloc::LayoutError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocError {
    /// Why.
    pub cause: AllocCause,
    /// The size asked, in bytes.
    pub size: usize,
    /// The alignment asked, in bytes.
    pub align: usize,
    /// The resource's state when it refused: in use, held, largest free, limit.
    pub state: ResourceState,
    /// The resource that refused.
    pub label: Label,
}

impl AllocError {
    /// An error for `layout`, refused by the resource `label` in `state`.
    #[must_use]
    #[cold]
    pub const fn new(cause: AllocCause, layout: Layout, state: ResourceState, label: Label) -> Self {
        Self { cause, size: layout.size(), align: layout.align(), state, label }
    }

    /// An error for a size and alignment of which no [`Layout`] can be made.
    #[must_use]
    #[cold]
    pub const fn bad_layout(size: usize, align: usize, state: ResourceState, label: Label) -> Self {
        Self { cause: AllocCause::BadLayout, size, align, state, label }
    }

    /// The layout of `size` bytes at `align`.
    ///
    /// # Errors
    /// [`AllocCause::BadLayout`] if `align` is no power of two or `size` rounded up to it is above `isize::MAX`; the
    /// state and label in the error are empty (see [`AllocError::of`]).
    pub const fn layout(size: usize, align: usize) -> Result<Layout, Self> {
        match Layout::from_size_align(size, align) {
            Ok(layout) => Ok(layout),
            Err(_) => Err(Self::bad_layout(
                size,
                align,
                ResourceState {
                    in_use: 0,
                    held: 0,
                    peak: 0,
                    live_blocks: 0,
                    largest_free: None,
                    limit: None,
                },
                Label::new(""),
            )),
        }
    }

    /// The same error, told by the resource `label` in `state`.
    #[must_use]
    pub const fn of(mut self, state: ResourceState, label: Label) -> Self {
        self.state = state;
        self.label = label;
        self
    }
}

impl fmt::Display for AllocError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "asked {} (align {}) of `{}`: {}; ",
            Bytes(self.size),
            self.align,
            self.label,
            self.cause
        )?;
        write!(out, "{}; {}", self.state, self.cause.advice())
    }
}

impl core::error::Error for AllocError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn the_text_names_every_number_and_what_to_do() {
        let state = ResourceState {
            in_use: 900,
            held: 2048,
            peak: 1000,
            live_blocks: 3,
            largest_free: Some(124),
            limit: Some(1024),
        };
        let layout = Layout::from_size_align(512, 64).unwrap();
        let text = AllocError::new(AllocCause::LimitReached, layout, state, Label::new("grads")).to_string();
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
    fn a_layout_that_cannot_be_is_an_error() {
        assert_eq!(AllocError::layout(8, 3).unwrap_err().cause, AllocCause::BadLayout);
        assert_eq!(AllocError::layout(usize::MAX, 8).unwrap_err().size, usize::MAX);
        assert!(size_of::<AllocError>() <= 128);
    }
}
