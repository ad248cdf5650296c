//! The builder of arenas over one range.

use super::reserved_range::{HugePages, ReservedRange};
use super::{Arena, SharedArena};
use arenite_core::Label;

/// Options of an [`Arena`] or [`SharedArena`] over one reserved range.
///
/// ```
/// use arenite_alloc::{ArenaOptions, HugePages};
/// let options = ArenaOptions::new().with_capacity(1 << 20).with_huge_pages(HugePages::Never);
/// let arena = options.with_label("step").build();
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
    /// Returns the defaults: up to 64 GiB of addresses, huge pages from the second 2 MiB on, the
    /// label `arena`.
    #[must_use]
    pub const fn new() -> Self {
        Self { capacity: None, huge: HugePages::Auto, label: Label::new("arena") }
    }

    /// Limits the bytes in use to `bytes`.
    #[must_use]
    pub const fn with_capacity(mut self, bytes: usize) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// Sets whether huge pages are requested.
    #[must_use]
    pub const fn with_huge_pages(mut self, huge: HugePages) -> Self {
        self.huge = huge;
        self
    }

    /// Sets the label in errors and reports.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// Makes an arena of one thread.
    #[must_use]
    pub fn build(self) -> Arena {
        Arena::from_source(ReservedRange::new(self.capacity, self.huge), self.label)
    }

    /// Makes an arena that threads share; its capacity is at most 4 TiB.
    #[must_use]
    pub fn build_shared(self) -> SharedArena {
        SharedArena::with_options(self.capacity, self.huge, self.label)
    }
}
