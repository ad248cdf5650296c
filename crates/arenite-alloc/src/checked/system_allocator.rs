//! The program's global allocator with counts of its own, and the checked door to it.
//!
//! Rests on `std::alloc`. [`Global`](crate::Global) counts for the whole process; a [`System`] counts what was taken
//! through it alone, which is what a part of a program wants to know.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use super::Checked;
use super::checked_resource::through_the_door;
use crate::global::counted;
use crate::util::usage_counter::Tally;
use arenite_core::{AllocError, Label, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;

/// Blocks from the program's global allocator, counted here. Shared between threads.
///
/// ```
/// use arenite_alloc::System;
/// use arenite_core::{AllocError, Block, Resource};
/// let system = System::new();
/// let block = Block::new_in(AllocError::layout(100, 8)?, &system)?;
/// assert_eq!(system.state().in_use, 100);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug, Default)]
pub struct System {
    tally: Tally,
}

const LABEL: Label = Label::new("system");

impl System {
    /// Counts from zero.
    #[must_use]
    pub const fn new() -> Self {
        Self { tally: Tally::new() }
    }
}

// SAFETY: laws 1 to 4, 6 and 7 are those of `GlobalAlloc`, whose blocks do not move with this value.
unsafe impl Resource for System {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        counted::allocate(&self.tally, LABEL, layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        counted::allocate_zeroed(&self.tally, LABEL, layout)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { counted::deallocate(&self.tally, block, layout) }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        unsafe { counted::resize(&self.tally, LABEL, block, old, new) }
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        unsafe { counted::resize(&self.tally, LABEL, block, old, new) }
    }

    fn state(&self) -> ResourceState {
        self.tally.state()
    }
}

impl Trim for System {
    /// The global allocator has no call to give memory back: 0.
    fn trim(&self, _target_held: usize) -> usize {
        0
    }
}

/// The program's global allocator behind the checked door, with tracking.
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
    door: Checked<System>,
}

impl SystemAllocator {
    /// Counts from zero.
    #[must_use]
    pub fn new() -> Self {
        Self { door: Checked::new(System::new()).labelled(LABEL) }
    }
}

impl Default for SystemAllocator {
    fn default() -> Self {
        Self::new()
    }
}

through_the_door!(SystemAllocator, door);
