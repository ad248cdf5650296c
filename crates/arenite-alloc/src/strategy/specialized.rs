//! Blocks for values of a type, through the checked API (`MemoryAllocator`).

use super::AllocationStrategy;
use arenite_core::MemoryAllocator;

/// An allocator of blocks for values of a type: aligned for this processor's vectors and in whole
/// vectors, so that a loop needs no remainder. Every checked allocator is one.
///
/// ```
/// use arenite_alloc::{CacheAwareStrategy, SpecializedAllocator, SystemAllocator};
/// let (allocator, strategy) = (SystemAllocator::new(), CacheAwareStrategy::new());
/// let values = allocator.allocate_values::<f32>("f32", 1001, &strategy)?;
/// assert_eq!(values.addr() % 16, 0);
/// allocator.deallocate_values::<f32>(values, "f32", 1001, &strategy)?;
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
pub trait SpecializedAllocator: MemoryAllocator {
    /// Allocates space for `count` uninitialized values of the type named `dtype`.
    ///
    /// # Errors
    /// The allocator's error.
    fn allocate_values<T: Copy>(
        &self,
        dtype: &str,
        count: usize,
        strategy: &dyn AllocationStrategy,
    ) -> Result<*mut T, Self::Error> {
        let (size, align) = values_layout::<T>(dtype, count, strategy);
        self.allocate(size, align).map(<*mut u8>::cast)
    }

    /// Frees the values.
    ///
    /// # Errors
    /// The allocator's error if the pointer, the type or the count is wrong.
    fn deallocate_values<T: Copy>(
        &self,
        values: *mut T,
        dtype: &str,
        count: usize,
        strategy: &dyn AllocationStrategy,
    ) -> Result<(), Self::Error> {
        let (size, align) = values_layout::<T>(dtype, count, strategy);
        self.deallocate(values.cast(), size, align)
    }
}

impl<A: MemoryAllocator + ?Sized> SpecializedAllocator for A {}

/// Returns the size, in whole vectors, and the alignment of `count` values.
fn values_layout<T>(dtype: &str, count: usize, strategy: &dyn AllocationStrategy) -> (usize, usize) {
    let align = strategy.get_alignment(dtype).max(align_of::<T>());
    let size = count.saturating_mul(size_of::<T>());
    (size.checked_next_multiple_of(align).unwrap_or(usize::MAX), align)
}
