//! Options of a reservation.

use arenite_core::Label;

/// Options with which a [`Region`](crate::Region) is reserved.
///
/// ```
/// use arenite_pages::RegionOptions;
/// let region = RegionOptions::new().with_label("stack").with_guard(4096).reserve(1 << 20)?;
/// region.commit(0, region.len())?; // a byte beyond either end faults
/// # Ok::<(), arenite_pages::RegionError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegionOptions {
    pub(crate) label: Label,
    pub(crate) guard: usize,
    pub(crate) align: usize,
    pub(crate) huge: Option<bool>,
}

impl RegionOptions {
    /// Makes options without label and guards, with the machine's policy for huge pages.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name in errors, in [`regions`](crate::regions) and, if the kernel supports it, in
    /// `/proc/PID/maps`.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// Sets a guard of at least `bytes` before and after the region: a stray access there faults.
    #[must_use]
    pub const fn with_guard(mut self, bytes: usize) -> Self {
        self.guard = bytes;
        self
    }

    /// Sets the alignment of the region's start, a power of two. The default and minimum is 2 MiB.
    #[must_use]
    pub const fn with_alignment(mut self, align: usize) -> Self {
        self.align = align;
        self
    }

    /// Requests huge pages in all of the region, or in none. Advice: kernels without huge pages
    /// ignore it.
    #[must_use]
    pub const fn with_huge_pages(mut self, enable: bool) -> Self {
        self.huge = Some(enable);
        self
    }
}
