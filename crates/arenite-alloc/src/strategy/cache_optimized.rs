//! Blocks that are laid out for caches.
//!
//! Large equal blocks that all start at a multiple of a power of two map to the same cache sets. A
//! loop that reads one element of each evicts its own lines. So each block starts some lines
//! further into its first OS page than the previous one ("cache colouring": Kessler and Hill,
//! "Page Placement Algorithms for Large Real-Indexed Caches", 1992; Bonwick, "The Slab Allocator",
//! 1994). The first bytes of a block are prefetched before its caller gets it.
#![expect(unsafe_code, reason = "forwards an unsafe trait and moves the start of a block")]

use crate::Heap;
use crate::util::with_layout;
use arenite_core::{AllocError, AllocResult, Resource, ResourceState, Trim};
use arenite_pages::prefetch_write;
use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const CACHE_LINE: usize = 64;
/// Alignment of a coloured block's memory: its start, rounded down, is the upstream's block.
const PAGE_SIZE: usize = 4096;
/// Divisor of a block's size that bounds the bytes spent on colours.
const MAX_WASTE_SHARE: usize = 8;
/// Maximum number of prefetched bytes.
const MAX_PREFETCH_BYTES: usize = 4096;

/// Blocks of an upstream at different offsets in their first OS page, with their first bytes
/// prefetched.
///
/// Blocks of less than 4 KiB, and those aligned to more than 2 KiB, keep the upstream's start. A
/// colour costs at most an eighth of a block and 4 KiB.
///
/// ```
/// use arenite_alloc::CacheOptimizedAllocator;
/// use arenite_core::{AllocError, Block};
/// let allocator = CacheOptimizedAllocator::new().with_prefetch_distance(64).with_alignment(32);
/// let layout = arenite_core::layout(64 << 10, 32)?;
/// let blocks = (0..8).map(|_| Block::new_in(layout, &allocator));
/// let blocks: Vec<_> = blocks.collect::<Result<_, _>>()?;
/// let mut colours: Vec<_> =
///     blocks.iter().map(|block| block.as_ptr().addr().get() % 4096).collect();
/// colours.sort_unstable();
/// colours.dedup();
/// assert_eq!(colours.len(), 8); // eight blocks, and no two in the same sets
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct CacheOptimizedAllocator<R: Resource = Heap> {
    upstream: R,
    distance: usize,
    alignment: usize,
    /// Number of coloured blocks so far.
    count: AtomicUsize,
}

impl Default for CacheOptimizedAllocator {
    fn default() -> Self {
        Self::new()
    }
}

impl CacheOptimizedAllocator {
    /// Makes an allocator with a heap of its own, which prefetches and aligns to one cache line.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_upstream(Heap::new())
    }
}

impl<R: Resource> CacheOptimizedAllocator<R> {
    /// Makes an allocator over `upstream`.
    #[must_use]
    pub const fn with_upstream(upstream: R) -> Self {
        Self { upstream, distance: CACHE_LINE, alignment: CACHE_LINE, count: AtomicUsize::new(0) }
    }

    /// Sets the number of prefetched bytes of each block, 4096 at most.
    #[must_use]
    pub const fn with_prefetch_distance(mut self, bytes: usize) -> Self {
        self.distance = if bytes < MAX_PREFETCH_BYTES { bytes } else { MAX_PREFETCH_BYTES };
        self
    }

    /// Sets the alignment of every block, a power of two; with another value every allocation
    /// fails.
    #[must_use]
    pub const fn with_alignment(mut self, alignment: usize) -> Self {
        self.alignment = alignment;
        self
    }

    /// Returns the upstream's layout, the number of colours, and the bytes of a colour.
    fn colour_layout(&self, layout: Layout) -> Result<(Layout, usize, usize), AllocError> {
        let label = arenite_core::Label::new("cache optimized");
        let bad = || AllocError::bad_layout(layout.size(), layout.align(), self.upstream.state(), label);
        let align = if self.alignment.is_power_of_two() {
            layout.align().max(self.alignment)
        } else {
            return Err(bad());
        };
        let step = align.max(CACHE_LINE);
        let colours = (layout.size() / MAX_WASTE_SHARE).min(PAGE_SIZE) / step;
        if layout.size() < PAGE_SIZE || colours < 2 {
            return Ok((layout.align_to(align).map_err(|_| bad())?, 1, 0));
        }
        let size = layout.size().checked_add((colours - 1) * step).ok_or_else(bad)?;
        Ok((Layout::from_size_align(size, PAGE_SIZE).map_err(|_| bad())?, colours, step))
    }

    fn allocate_coloured(&self, layout: Layout, allocate: impl FnOnce(Layout) -> AllocResult) -> AllocResult {
        let (upstream_layout, colours, step) = self.colour_layout(layout)?;
        let start = allocate(upstream_layout).map_err(|error| with_layout(error, layout))?.cast::<u8>();
        let colour = if colours > 1 { self.count.fetch_add(1, Relaxed) % colours } else { 0 };
        // SAFETY: the block is longer than requested by all colours but one.
        let start = unsafe { start.add(colour * step) };
        prefetch_write(start.as_ptr(), self.distance.min(layout.size()));
        Ok(NonNull::slice_from_raw_parts(start, layout.size()))
    }
}

// SAFETY: laws 1 to 3: a block lies inside one of the upstream's, which is longer by as much as
// the start is moved. Freeing rounds the start down to the upstream's block, because it was moved
// by less than its alignment. The rest is the upstream's.
unsafe impl<R: Resource> Resource for CacheOptimizedAllocator<R> {
    fn allocate(&self, layout: Layout) -> AllocResult {
        self.allocate_coloured(layout, |layout| self.upstream.allocate(layout))
    }

    fn allocate_zeroed(&self, layout: Layout) -> AllocResult {
        self.allocate_coloured(layout, |layout| self.upstream.allocate_zeroed(layout))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // The layout of an allocated block always has a colour layout.
        let Ok((upstream_layout, colours, _)) = self.colour_layout(layout) else { return };
        let moved = if colours > 1 { block.addr().get() % PAGE_SIZE } else { 0 };
        // SAFETY: the upstream's block starts there.
        let start = unsafe { block.sub(moved) };
        // SAFETY: allocated there with this layout.
        unsafe { self.upstream.deallocate(start, upstream_layout) };
    }

    fn state(&self) -> ResourceState {
        self.upstream.state()
    }
}

impl<R: Resource + Trim> Trim for CacheOptimizedAllocator<R> {
    fn trim(&self, target_held: usize) -> usize {
        self.upstream.trim(target_held)
    }
}
