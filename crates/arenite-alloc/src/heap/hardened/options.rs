//! What a hardened heap does, and what it says of misuse.
//!
//! Rests on nothing. The words alone; `guarded` does it.

/// What a hardened heap does to find and to blunt misuse. Whatever is chosen, a hardened heap keeps its lists of free blocks outside the
/// blocks, where a write to a freed block does not reach, and knows of each block whether it is lent.
///
/// ```
/// use arenite_alloc::{Hardening, Heap};
/// static HEAP: Heap = Heap::new().hardened(Hardening::ALL);
/// static LEAN: Heap = Heap::new().hardened(Hardening::NONE.random_order(true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hardening {
    pub(crate) random: bool,
    pub(crate) guard_units: bool,
    pub(crate) quarantine: usize,
    pub(crate) poison: bool,
    pub(crate) zero: bool,
    pub(crate) bounds: bool,
}

impl Hardening {
    /// Nothing but the lists and the knowledge of what is lent.
    pub const NONE: Self =
        Self { random: false, guard_units: false, quarantine: 0, poison: false, zero: false, bounds: false };

    /// Random order, guard pages, a quarantine of 1 MiB, poison, bounds.
    pub const ALL: Self = Self {
        random: true,
        guard_units: true,
        quarantine: 1 << 20,
        poison: true,
        zero: false,
        bounds: true,
    };

    /// Lends the blocks of a slab in an order that cannot be foreseen.
    #[must_use]
    pub const fn with_random_order(mut self, enabled: bool) -> Self {
        self.random = enabled;
        self
    }

    /// Puts 64 KiB that fault behind each slab. A block above 64 KiB always has addresses that fault before and behind it, and
    /// faults itself once it was freed.
    #[must_use]
    pub const fn with_guard_pages(mut self, enabled: bool) -> Self {
        self.guard_units = enabled;
        self
    }

    /// Keeps freed blocks out of use until so many bytes were freed after them; 0: uses them again at once.
    #[must_use]
    pub const fn with_quarantine(mut self, bytes: usize) -> Self {
        self.quarantine = bytes;
        self
    }

    /// Fills a freed block with a pattern, and looks whether it is still there before the block is lent again.
    #[must_use]
    pub const fn with_poison_on_free(mut self, enabled: bool) -> Self {
        self.poison = enabled;
        self.zero &= !enabled;
        self
    }

    /// Fills a freed block with zeroes, so that nothing of it is read later; in place of the pattern, and looked at as it is.
    #[must_use]
    pub const fn with_zero_on_free(mut self, enabled: bool) -> Self {
        self.zero = enabled;
        self.poison &= !enabled;
        self
    }

    /// Fills what a block of at most 64 KiB has beyond the size that was asked for with a pattern, and looks at it when the block is
    /// freed.
    #[must_use]
    pub const fn with_bounds_checks(mut self, enabled: bool) -> Self {
        self.bounds = enabled;
        self
    }
}
