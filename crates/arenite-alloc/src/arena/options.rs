//! How an arena over one range is made.
//!
//! Rests on [`ReservedRange`]. A builder, because most arenas want none of it and `new` must stay one word.

use super::reserved_range::{HugePages, ReservedRange};
use super::{Arena, SharedArena};
use arenite_core::Label;

/// The choices for an [`Arena`] or [`SharedArena`] over one reserved range.
///
/// ```
/// use arenite_alloc::{ArenaOptions, HugePages};
/// let arena = ArenaOptions::new().with_capacity(1 << 20).with_huge_pages(HugePages::Never).with_label("step").build();
/// assert!(arena.alloc_slice_copy(&[0u8; 2 << 20]).is_err());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ArenaOptions {
    capacity: Option<usize>,
    huge: HugePages,
    label: Label,
}

impl Default for ArenaOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ArenaOptions {
    /// As many addresses as there are (64 GiB at most), huge pages from the second 2 MiB on, the label `arena`.
    #[must_use]
    pub const fn new() -> Self {
        Self { capacity: None, huge: HugePages::Auto, label: Label::new("arena") }
    }

    /// At most `bytes` in use.
    #[must_use]
    pub const fn with_capacity(mut self, bytes: usize) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// Whether to ask for huge pages.
    #[must_use]
    pub const fn with_huge_pages(mut self, huge: HugePages) -> Self {
        self.huge = huge;
        self
    }

    /// The arena's name in errors and reports.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// The arena of one thread.
    #[must_use]
    pub fn build(self) -> Arena {
        Arena::from_source(ReservedRange::new(self.capacity, self.huge), self.label)
    }

    /// The arena that threads share; its capacity is 4 TiB at most.
    #[must_use]
    pub fn build_shared(self) -> SharedArena {
        SharedArena::with_options(self.capacity, self.huge, self.label)
    }
}
