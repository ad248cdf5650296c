//! The options of a hardened heap.

/// The checks of a hardened heap. With any options, the heap tracks the state of each block. Its
/// free lists lie outside the blocks, where a write to a freed block does not reach.
///
/// ```
/// use arenite_alloc::{Hardening, Heap};
/// static HEAP: Heap = Heap::new().with_hardening(Hardening::ALL);
/// static LEAN: Heap = Heap::new().with_hardening(Hardening::NONE.with_random_order(true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hardening {
    pub(crate) random: bool,
    pub(crate) guard_pages: bool,
    pub(crate) quarantine: usize,
    pub(crate) poison: bool,
    pub(crate) zero: bool,
    pub(crate) bounds: bool,
}

impl Hardening {
    /// No check but the state of each block.
    pub const NONE: Self =
        Self { random: false, guard_pages: false, quarantine: 0, poison: false, zero: false, bounds: false };

    /// Random order, guard pages, a quarantine of 1 MiB, poison, bounds checks.
    pub const ALL: Self = Self {
        random: true,
        guard_pages: true,
        quarantine: 1 << 20,
        poison: true,
        zero: false,
        bounds: true,
    };

    /// Sets whether the blocks of a slab are allocated in an unpredictable order.
    #[must_use]
    pub const fn with_random_order(mut self, enabled: bool) -> Self {
        self.random = enabled;
        self
    }

    /// Sets whether 64 KiB behind each slab are inaccessible. A block above 64 KiB always has
    /// inaccessible addresses around it, and is inaccessible once freed.
    #[must_use]
    pub const fn with_guard_pages(mut self, enabled: bool) -> Self {
        self.guard_pages = enabled;
        self
    }

    /// Sets the quarantine: a freed block is not reused until so many bytes were freed after it. 0:
    /// no quarantine.
    #[must_use]
    pub const fn with_quarantine(mut self, bytes: usize) -> Self {
        self.quarantine = bytes;
        self
    }

    /// Sets whether a freed block is filled with a pattern, which is checked before the block is
    /// reused.
    #[must_use]
    pub const fn with_poison_on_free(mut self, enabled: bool) -> Self {
        self.poison = enabled;
        self.zero &= !enabled;
        self
    }

    /// Sets whether a freed block is zeroed, so that its contents cannot be read later; instead of
    /// the pattern, and checked like it.
    #[must_use]
    pub const fn with_zero_on_free(mut self, enabled: bool) -> Self {
        self.zero = enabled;
        self.poison &= !enabled;
        self
    }

    /// Sets whether the bytes of a block behind the requested size are filled with a pattern, which
    /// is checked when the block is freed. For blocks up to 64 KiB.
    #[must_use]
    pub const fn with_bounds_checks(mut self, enabled: bool) -> Self {
        self.bounds = enabled;
        self
    }
}
