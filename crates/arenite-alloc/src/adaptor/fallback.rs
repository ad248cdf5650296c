//! An adaptor that uses a second resource when the first fails.
//!
//! The first resource implements [`Owns`], so that every block is freed where it was allocated.
#![expect(unsafe_code, reason = "frees blocks in the resource that allocated them")]

use arenite_core::{AllocResult, Owns, Resource, ResourceState, Trim, realloc_by_copy};
use core::alloc::Layout;
use core::ptr::NonNull;

/// Blocks of `first` as long as it has memory, then of `second`.
///
/// ```
/// use arenite_alloc::{Fallback, Global, Pool};
/// use arenite_core::{AllocError, Block, Resource};
/// let both = Fallback::new(Pool::new(64, 1)?, Global);
/// let layout = arenite_core::layout(64, 8)?;
/// let blocks = [Block::new_in(layout, &both)?, Block::new_in(layout, &both)?]; // one of each
/// assert_eq!(both.first().live_blocks(), 1);
/// drop(blocks);
/// assert_eq!(both.first().live_blocks(), 0);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Fallback<A, B> {
    first: A,
    second: B,
}

impl<A: Owns, B: Resource> Fallback<A, B> {
    /// Combines two resources.
    pub const fn new(first: A, second: B) -> Self {
        Self { first, second }
    }

    /// Returns the resource that is tried first.
    pub const fn first(&self) -> &A {
        &self.first
    }

    /// Returns the resource that is used when the first fails.
    pub const fn second(&self) -> &B {
        &self.second
    }
}

// SAFETY: each block belongs to one of the resources, which keep the laws and do not overlap;
// `owns` selects the resource that allocated it.
unsafe impl<A: Owns, B: Resource> Resource for Fallback<A, B> {
    #[inline]
    fn allocate(&self, layout: Layout) -> AllocResult {
        self.first.allocate(layout).or_else(|_| self.second.allocate(layout))
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> AllocResult {
        self.first.allocate_zeroed(layout).or_else(|_| self.second.allocate_zeroed(layout))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if self.first.owns(block) {
            // SAFETY: the caller's promise, and the block is of `first`.
            unsafe { self.first.deallocate(block, layout) }
        } else {
            // SAFETY: the caller's promise, and the block is not of `first`.
            unsafe { self.second.deallocate(block, layout) }
        }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        if !self.first.owns(block) {
            // SAFETY: the caller's promise, and the block is not of `first`.
            return unsafe { self.second.grow(block, old, new) };
        }
        // SAFETY: the caller's promise, and the block is of `first`.
        match unsafe { self.first.grow(block, old, new) } {
            Ok(grown) => Ok(grown),
            // SAFETY: 1. the caller's guarantees; the block is unchanged after a failure. 2.
            // `old.size()` is the smaller size.
            Err(_) => unsafe { realloc_by_copy(self, block, old, new, old.size()) },
        }
    }

    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        if self.first.owns(block) {
            // SAFETY: the caller's promise, and the block is of `first`.
            unsafe { self.first.shrink(block, old, new) }
        } else {
            // SAFETY: the caller's promise, and the block is not of `first`.
            unsafe { self.second.shrink(block, old, new) }
        }
    }

    fn state(&self) -> ResourceState {
        let (a, b) = (self.first.state(), self.second.state());
        ResourceState {
            in_use: a.in_use + b.in_use,
            held: a.held + b.held,
            peak: a.peak + b.peak,
            live_blocks: a.live_blocks + b.live_blocks,
            largest_free: a.largest_free.zip(b.largest_free).map(|(a, b)| a.max(b)),
            limit: a.limit.zip(b.limit).map(|(a, b)| a.saturating_add(b)),
        }
    }
}

impl<A: Resource + Trim, B: Resource + Trim> Trim for Fallback<A, B> {
    /// Trims the first resource, then the second to the rest of the target.
    fn trim(&self, target_held: usize) -> usize {
        let first = self.first.trim(target_held.saturating_sub(self.second.state().held));
        first + self.second.trim(target_held.saturating_sub(self.first.state().held))
    }
}
