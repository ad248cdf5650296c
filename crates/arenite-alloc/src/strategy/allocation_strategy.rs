//! The interface of an allocation strategy, with answers that all strategies share.

use arenite_core::MemoryPressure;
use arenite_pages::machine::{PressureReading, available_memory};

/// Advice on which allocator serves a request and how its block is laid out. A strategy allocates
/// nothing.
///
/// ```
/// use arenite_alloc::{AllocationStrategy, CacheAwareStrategy, IntelligentAllocationStrategy};
/// let strategies: [Box<dyn AllocationStrategy>; 2] =
///     [Box::new(IntelligentAllocationStrategy::new()), Box::new(CacheAwareStrategy::new())];
/// for strategy in strategies {
///     assert!(strategy.should_use_pool(100) && !strategy.should_use_arena(100));
///     assert!(strategy.can_allocate(4096) && !strategy.can_allocate(usize::MAX));
/// }
/// ```
pub trait AllocationStrategy: Send + Sync {
    /// Returns whether an arena should serve `size` bytes: one range with large blocks one behind
    /// the other.
    fn should_use_arena(&self, size: usize) -> bool;

    /// Returns whether a pool should serve `size` bytes: small blocks that are cached for reuse.
    fn should_use_pool(&self, size: usize) -> bool;

    /// Returns the alignment for numbers of a type such as `f32`, in bytes. The alignment is that
    /// of this processor's widest vectors, or the type's own if it is larger.
    fn get_alignment(&self, dtype: &str) -> usize {
        vector_alignment(dtype)
    }

    /// Returns the fraction, from 0 to 1, of the bytes held by the strategy's own allocators that
    /// is not in use; 0 without such allocators.
    fn estimate_fragmentation(&self) -> f64 {
        0.0
    }

    /// Returns whether the process may allocate `size` more bytes: the limits of the machine, its
    /// control groups and the process. Opens about ten files.
    fn can_allocate(&self, size: usize) -> bool {
        size as u64 <= available_memory() && isize::try_from(size).is_ok()
    }

    /// Returns a good size for a block of elements that is processed at once: a multiple of the
    /// element size.
    fn preferred_block_size(&self, element_size: usize) -> usize;

    /// Reads the memory pressure. Opens about ten files.
    fn memory_pressure_level(&self) -> MemoryPressure {
        PressureReading::read().level().memory_pressure()
    }
}

/// Names of the number types that vector units work on.
const NUMBERS: [&str; 24] = [
    "f16", "bf16", "f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "c64", "c128",
    "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
];

/// Returns the size of this processor's widest vectors for a number type, and of a machine word
/// for other names, in bytes.
pub(super) fn vector_alignment(dtype: &str) -> usize {
    if !NUMBERS.contains(&dtype) {
        return size_of::<usize>();
    }
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f") {
            return 64;
        }
        if std::is_x86_feature_detected!("avx") {
            return 32;
        }
    }
    16
}
