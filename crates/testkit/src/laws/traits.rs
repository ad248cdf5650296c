//! The traits of an implementation that the laws depend on, and the layouts to test.

use core::alloc::Layout;

/// The requests that the laws may make to one implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Largest supported alignment in bytes.
    pub max_align: usize,
    /// Largest block that the checks request, in bytes.
    pub max_size: usize,
    /// Maximum number of blocks live at once.
    pub max_live: usize,
    /// Whether freeing every block returns `in_use` to its start.
    pub frees_each: bool,
    /// Whether the resource's counts have no other user.
    pub own_counts: bool,
}

impl Default for Traits {
    /// Returns the traits of a general allocator: alignments to 4 MiB, 64 blocks of up to 64 KiB,
    /// own counts.
    fn default() -> Self {
        Self { max_align: 4 << 20, max_size: 64 << 10, max_live: 64, frees_each: true, own_counts: true }
    }
}

impl Traits {
    /// Sets the trait of an arena: freeing a block reuses its bytes only if it is the newest.
    #[must_use]
    pub const fn freed_together(mut self) -> Self {
        self.frees_each = false;
        self
    }

    /// Sets the trait of a resource with shared counts, such as the program's global allocator.
    #[must_use]
    pub const fn shared_counts(mut self) -> Self {
        self.own_counts = false;
        self
    }

    /// Sets the traits of a pool: up to `count` blocks of `size` bytes at `align`.
    #[must_use]
    pub const fn equal_blocks(mut self, size: usize, align: usize, count: usize) -> Self {
        self.max_size = size;
        self.max_align = align;
        self.max_live = count;
        self
    }

    /// Returns the sizes to test, up to the largest.
    pub(super) fn sizes(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        let max = self.max_size;
        [1, 3, 7, 8, 9, 24, 63, 64, 65, 255, 1000, 4096, 5000, 65_536]
            .into_iter()
            .filter(move |&size| size <= max)
    }

    /// Returns the alignments to test, up to the largest.
    pub(super) fn aligns(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        let max = self.max_align;
        (0..=16).chain([22]).map(|shift| 1 << shift).filter(move |&align| align <= max)
    }

    /// Returns `max_live` layouts of many sizes and alignments.
    pub(super) fn mixed(&self) -> impl Iterator<Item = Layout> + use<> {
        let sizes = self.sizes().cycle();
        let aligns = self.aligns().filter(|&align| align <= 4096).cycle();
        sizes.zip(aligns).take(self.max_live).map(|(size, align)| layout(size, align))
    }
}

/// Returns a layout that is known to be valid.
pub(super) fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a size and alignment that exist")
}
