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
#[derive(Clone, Copy, Debug, Default)]
pub struct ArenaOptions {
    capacity: Option<usize>,
    huge: HugePages,
    label: Option<Label>,
}

impl ArenaOptions {
    /// As many addresses as there are (64 GiB at most), huge pages from the second 2 MiB on, the label `arena`.
    #[must_use]
    pub const fn new() -> Self {
        Self { capacity: None, huge: HugePages::Auto, label: None }
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
        self.label = Some(label.into());
        self
    }

    fn name(&self) -> Label {
        self.label.unwrap_or(Label::new("arena"))
    }

    fn source(&self) -> ReservedRange {
        match self.capacity {
            Some(capacity) => ReservedRange::bounded(capacity, self.huge),
            None => ReservedRange::unbounded(self.huge),
        }
    }

    /// The arena of one thread.
    #[must_use]
    pub fn build(self) -> Arena {
        Arena::from_source(self.source(), self.name())
    }

    /// The arena that threads share; its capacity is 4 TiB at most.
    #[must_use]
    pub fn build_shared(self) -> SharedArena {
        let most = super::shared_cursor::MAX_OFFSET & !(super::GRANULE - 1);
        let bounded = Self { capacity: self.capacity.map(|capacity| capacity.min(most)), ..self };
        SharedArena::from_source(bounded.source(), bounded.name())
    }
}
