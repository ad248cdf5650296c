//! How a region is reserved.
//!
//! Rests on `Region`. Options are apart from it because each is a decision of the one moment at which addresses are taken.

use arenite_core::Label;

/// How a [`Region`](crate::Region) is reserved.
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
    /// No label, no guards, huge pages as the machine's policy has it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The name that errors, [`regions`](crate::regions) and, where the kernel writes it, `/proc/PID/maps` show.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// At least `bytes` before and after the region that nothing is ever mapped in: a stray access faults.
    #[must_use]
    pub const fn with_guard(mut self, bytes: usize) -> Self {
        self.guard = bytes;
        self
    }

    /// Has the region begin at a multiple of `align`, a power of two; 2 MiB, which is also the least, where it is not called.
    #[must_use]
    pub const fn with_alignment(mut self, align: usize) -> Self {
        self.align = align;
        self
    }

    /// Asks for huge pages in all of the region, or for none. Advice: kernels without huge pages do not mind.
    #[must_use]
    pub const fn with_huge_pages(mut self, wanted: bool) -> Self {
        self.huge = Some(wanted);
        self
    }
}
