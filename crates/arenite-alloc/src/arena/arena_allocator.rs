//! An arena with the checked API (`MemoryAllocator`).

use super::SharedArena;
use crate::checked::Checked;
use crate::checked::impl_memory_allocator;

/// A bounded arena with checked plain pointers. Shared between threads.
///
/// Deallocating a block decrements the count; the memory is free again after
/// [`ArenaAllocator::reset`], or when the arena is dropped.
///
/// ```
/// use arenite_alloc::ArenaAllocator;
/// use arenite_core::MemoryAllocator;
/// let arena = ArenaAllocator::new(10 * 1024 * 1024);
/// let first = arena.allocate(1024, 8)?;
/// let second = arena.allocate(2048, 16)?;
/// assert_eq!(arena.allocated_size(), 3072);
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
#[derive(Debug)]
pub struct ArenaAllocator {
    checked: Checked<SharedArena>,
}

impl ArenaAllocator {
    /// Makes an arena of at most `bytes` bytes, whose addresses are reserved by the first
    /// allocation.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { checked: Checked::new(SharedArena::with_capacity(bytes)).with_label("arena") }
    }

    /// Frees everything and keeps the memory. O(live blocks), because the table of live blocks is
    /// cleared.
    pub fn reset(&mut self) {
        self.checked.take_all_live(|arena, block| {
            if block.is_none() {
                arena.reset();
            }
        });
    }

    /// Returns the arena, for containers. Blocks allocated there are not known to the checked API.
    #[must_use]
    pub const fn arena(&self) -> &SharedArena {
        self.checked.resource()
    }
}

impl_memory_allocator!(ArenaAllocator, checked);
