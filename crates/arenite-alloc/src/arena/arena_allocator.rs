//! An arena behind the checked checked.
//!
//! Rests on [`SharedArena`] and [`Checked`]. It has a name of its own because a document gives it one.

use super::SharedArena;
use crate::checked::Checked;
use crate::checked::impl_memory_allocator;

/// A bounded arena that takes and gives plain pointers, checked. Shared between threads.
///
/// Giving a block back counts it off; the memory is free again after [`ArenaAllocator::reset`], or when the arena is
/// dropped.
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
    /// An arena of at most `bytes`; the addresses are reserved when it is first used.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { checked: Checked::new(SharedArena::with_capacity(bytes)).with_label("arena") }
    }

    /// Frees everything and keeps the memory. O(live blocks), for the check's sake.
    pub fn reset(&mut self) {
        self.checked.take_all_live(|arena, block| {
            if block.is_none() {
                arena.reset();
            }
        });
    }

    /// The arena behind the checked, for containers: what is allocated there is not the checked's.
    #[must_use]
    pub const fn arena(&self) -> &SharedArena {
        self.checked.resource()
    }
}

impl_memory_allocator!(ArenaAllocator, checked);
