//! The program's global allocator with the checked API.

use super::Checked;
use super::checked_resource::impl_memory_allocator;
use crate::global::CountedGlobal;

/// The program's global allocator with the checked API and tracking.
///
/// ```
/// use arenite_alloc::SystemAllocator;
/// use arenite_core::MemoryAllocator;
/// let allocator = SystemAllocator::new();
/// let block = allocator.allocate(4096, 16)?;
/// assert_eq!(allocator.allocated_size(), 4096);
/// allocator.deallocate(block, 4096, 16)?;
/// assert_eq!(allocator.peak_allocated(), 4096);
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
#[derive(Debug)]
pub struct SystemAllocator {
    checked: Checked<CountedGlobal>,
}

impl SystemAllocator {
    /// Returns an allocator whose counters are zero.
    #[must_use]
    pub fn new() -> Self {
        Self { checked: Checked::new(CountedGlobal::new()).with_label("system") }
    }
}

impl Default for SystemAllocator {
    fn default() -> Self {
        Self::new()
    }
}

impl_memory_allocator!(SystemAllocator, checked);
