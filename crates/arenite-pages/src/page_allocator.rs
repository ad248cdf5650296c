//! A resource that maps each block from the operating system.
//!
//! The upstream for chunked arenas, pools and other users of few and large chunks: a freed chunk
//! returns to the system at once.
#![expect(unsafe_code, reason = "maps and unmaps blocks")]

use crate::huge_pages::HUGE_PAGE;
use crate::os;
use crate::region::round_up;
use arenite_core::{AllocError, AllocErrorKind, Label, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A resource whose blocks are mappings of OS pages, zeroed. Shared between threads.
///
/// Blocks of 2 MiB and more are aligned to 2 MiB and request huge pages. Allocation and
/// deallocation cost a system call each, and the first access to each OS page a page fault.
///
/// ```
/// use arenite_core::{AllocError, Block, Resource};
/// use arenite_pages::PageAllocator;
/// let pages = PageAllocator::new();
/// let block = Block::new_in(arenite_core::layout(100_000, 64)?, &pages)?;
/// assert_eq!(pages.state().held, 102_400); // 25 OS pages of 4 KiB
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug, Default)]
pub struct PageAllocator {
    in_use: AtomicUsize,
    peak: AtomicUsize,
    live: AtomicUsize,
}

impl PageAllocator {
    /// Makes an allocator with its own counts. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { in_use: AtomicUsize::new(0), peak: AtomicUsize::new(0), live: AtomicUsize::new(0) }
    }

    const LABEL: Label = Label::new("pages");

    fn alloc_error(&self, cause: AllocErrorKind, layout: Layout) -> AllocError {
        AllocError::new(cause, layout, self.state(), Self::LABEL)
    }

    /// Returns the mapping's size for a layout: a multiple of the OS page, at least one.
    fn mapped(layout: Layout) -> Option<usize> {
        round_up(layout.size().max(1), os::page_size()).filter(|&size| size <= isize::MAX.unsigned_abs())
    }
}

/// Returns the alignment of a block of `layout`.
fn alignment(layout: Layout) -> usize {
    let min_align = if layout.size() >= HUGE_PAGE { HUGE_PAGE } else { 1 };
    layout.align().max(min_align).max(os::page_size())
}

/// Maps `size` bytes at `align` (both multiples of the OS page) by trimming a larger mapping.
pub(crate) fn map_aligned(size: usize, align: usize) -> Result<NonNull<u8>, i32> {
    const NO_MEMORY: i32 = 12;
    let slack = align - os::page_size();
    let all = size.checked_add(slack).filter(|&all| all <= isize::MAX.unsigned_abs()).ok_or(NO_MEMORY)?;
    let start = os::map(all).map_err(rustix::io::Errno::raw_os_error)?;
    let before = start.as_ptr().addr().wrapping_neg() & (align - 1);
    let base = NonNull::new(start.as_ptr().wrapping_add(before)).ok_or(NO_MEMORY)?;
    let after = slack - before;
    if before > 0 {
        // SAFETY: the front of the mapping just made; no code uses it.
        let released = unsafe { os::release(start, before) };
        debug_assert!(released.is_ok(), "part of an own mapping");
    }
    if after > 0
        && let Some(end) = NonNull::new(base.as_ptr().wrapping_add(size))
    {
        // SAFETY: the back of the mapping just made; no code uses it.
        let released = unsafe { os::release(end, after) };
        debug_assert!(released.is_ok(), "part of an own mapping");
    }
    Ok(base)
}

// SAFETY: each block is a mapping of its own (laws 1 to 3), of at least one OS page (law 4). A
// fresh block is zero (law 6). `grow` and `shrink` are the provided ones (law 7).
unsafe impl Resource for PageAllocator {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let size = Self::mapped(layout).ok_or_else(|| self.alloc_error(AllocErrorKind::BadLayout, layout))?;
        let start = map_aligned(size, alignment(layout))
            .map_err(|errno| self.alloc_error(AllocErrorKind::Exhausted { errno }, layout))?;
        if size >= HUGE_PAGE {
            // SAFETY: the block just mapped. Failed advice leaves ordinary OS pages, which is
            // correct too.
            let _advised: Result<(), _> = unsafe { os::advise(start, size, os::Advice::Huge) };
        }
        self.live.fetch_add(1, Relaxed);
        let now = self.in_use.fetch_add(size, Relaxed) + size;
        self.peak.fetch_max(now, Relaxed);
        Ok(NonNull::slice_from_raw_parts(start, size))
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let Some(size) = Self::mapped(layout) else { return };
        // SAFETY: the caller frees a block of this layout: a full mapping of `size` bytes that no
        // code uses.
        let released = unsafe { os::release(block, size) };
        debug_assert!(released.is_ok(), "an entire mapping can be released");
        self.in_use.fetch_sub(size, Relaxed);
        self.live.fetch_sub(1, Relaxed);
    }

    fn state(&self) -> ResourceState {
        let in_use = self.in_use.load(Relaxed);
        ResourceState {
            in_use,
            held: in_use,
            peak: self.peak.load(Relaxed).max(in_use),
            live_blocks: self.live.load(Relaxed),
            largest_free: None,
            limit: None,
        }
    }
}

impl Trim for PageAllocator {
    /// Returns 0: nothing is held that is not in use.
    fn trim(&self, _target_held: usize) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_zero_aligned_and_freed() {
        let pages = PageAllocator::new();
        for (size, align) in [(0, 1), (1, 1), (5000, 64), (HUGE_PAGE, 8), (100, 1 << 22)] {
            let layout = Layout::from_size_align(size, align).unwrap();
            let block = pages.allocate(layout).unwrap();
            assert!(block.len() >= size && block.cast::<u8>().as_ptr().addr().is_multiple_of(align));
            // SAFETY: the block is at least one OS page long.
            assert_eq!(unsafe { block.cast::<u8>().read() }, 0);
            // SAFETY: the block is live and of this layout.
            unsafe { pages.deallocate(block.cast(), layout) };
        }
        assert_eq!(pages.state().in_use, 0);
        assert_eq!(pages.state().live_blocks, 0);
    }

    #[test]
    fn allocation_beyond_the_addresses_fails_with_numbers() {
        let pages = PageAllocator::new();
        let layout = Layout::from_size_align(1 << 60, 64).unwrap();
        let error = pages.allocate(layout).unwrap_err();
        assert!(matches!(error.kind, AllocErrorKind::Exhausted { errno } if errno != 0));
        assert_eq!(error.size, 1 << 60);
        assert_eq!(pages.state().in_use, 0);
    }
}
