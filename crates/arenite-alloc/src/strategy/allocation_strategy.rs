//! The questions that a strategy answers.
//!
//! Rests on the machine's readings, for answers that all strategies share.

use arenite_core::MemoryPressure;
use arenite_pages::machine::{PressureReading, available_memory};

/// Which allocator a request should go to, and how its block should lie. Answers are advice: nothing is allocated.
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
    /// Whether so many bytes should come from an arena: one range, in which large blocks lie one behind the other.
    fn should_use_arena(&self, size: usize) -> bool;

    /// Whether so many bytes should come from a pool: small blocks, kept for the next request.
    fn should_use_pool(&self, size: usize) -> bool;

    /// The alignment for numbers of a type, named as in `f32`, in bytes: what this processor's widest vectors want, or what
    /// the type itself wants if that is more.
    fn get_alignment(&self, dtype: &str) -> usize {
        vector_alignment(dtype)
    }

    /// The part, from 0 to 1, of what the strategy's own allocators hold that no block has; 0 for one that has none.
    fn estimate_fragmentation(&self) -> f64 {
        0.0
    }

    /// Whether the process may take so many more bytes: what the machine, its control groups and its own limits let through. Opens
    /// about ten files.
    fn can_allocate(&self, size: usize) -> bool {
        size as u64 <= available_memory() && isize::try_from(size).is_ok()
    }

    /// A good size for a block of elements of so many bytes that is worked on at once: a multiple of the element's.
    fn preferred_block_size(&self, element_size: usize) -> usize;

    /// How short memory is. Opens about ten files.
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
