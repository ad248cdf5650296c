//! One region that is split into blocks of any size and coalesced again.
//!
//! The region is reserved once and committed as far as blocks lie. Every call is O(1) except for
//! the commits, whose number is logarithmic in the size.
#![expect(unsafe_code, reason = "allocates blocks of its region")]

use super::Tlsf;
use crate::checked::Locked;
use crate::util::resource_macros::grow_and_shrink_by;
use arenite_core::{
    AllocError, AllocErrorKind, AllocResult, Bytes, Label, Resource, ResourceState, Trim, realloc_by_copy,
};
use arenite_pages::{HUGE_PAGE, Region, page_size};
use core::alloc::Layout;
use core::cell::RefCell;
use core::fmt;
use core::ptr::NonNull;

/// Default alignment of every block, in bytes.
const DEFAULT_ALIGNMENT: usize = 16;
/// Minimum number of bytes that are committed at once.
const MIN_COMMIT_BYTES: usize = 64 << 10;

/// A pool of one region for tensors of any size, used by one thread. Threads share a
/// [`SharedMemoryPool`].
///
/// Blocks are found by a two-level segregated fit and coalesced with their free neighbours.
/// (Masmano, Ripoll, Crespo and Real, "TLSF: a New Dynamic Memory Allocator for Real-Time
/// Systems", 2004.) A block costs 8 bytes, and is rounded up with them to the pool's alignment.
/// The pool commits memory as far as blocks lie. [`Trim`] decommits what lies behind the last
/// block and purges the OS pages inside free blocks.
///
/// ```
/// use arenite_alloc::MemoryPool;
/// let pool = MemoryPool::new(1 << 30).with_alignment(32);
/// for _epoch in 0..100 {
///     let batch = pool.allocate::<f32>(32 * 784)?;
///     let gradients = pool.allocate::<f32>(784 * 10)?;
///     assert!(batch.iter().chain(&*gradients).all(|&x| x == 0.0));
///     assert_eq!(batch.as_ptr().addr() % 32, 0);
/// } // both return to the pool
/// assert_eq!(pool.fragmentation(), 0.0);
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
#[derive(Debug)]
pub struct MemoryPool {
    inner: RefCell<PoolState>,
    capacity: usize,
    alignment: usize,
    gpu: bool,
    label: Label,
}

/// A [`MemoryPool`] behind a lock.
///
/// ```
/// use arenite_alloc::{MemoryPool, SharedMemoryPool};
/// let pool = SharedMemoryPool::new(MemoryPool::new(1 << 20));
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| drop(pool.allocate::<u64>(1000).unwrap()));
///     }
/// });
/// ```
pub type SharedMemoryPool = Locked<MemoryPool>;

#[derive(Debug)]
struct PoolState {
    region: Option<(Region, Tlsf)>,
    committed: usize,
    peak: usize,
}

/// Error of a pool of host memory that was requested to serve a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuUnsupported;

impl fmt::Display for GpuUnsupported {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(
            "GPU memory is not supported: no device maps this pool's memory; use its blocks on the host",
        )
    }
}

impl core::error::Error for GpuUnsupported {}

impl MemoryPool {
    /// Makes a pool of at most `bytes` bytes. The first allocation reserves the addresses.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            inner: RefCell::new(PoolState { region: None, committed: 0, peak: 0 }),
            capacity: bytes,
            alignment: DEFAULT_ALIGNMENT,
            gpu: false,
            label: Label::new("memory pool"),
        }
    }

    /// Sets the alignment of every block (default 16): 32 for AVX2, 64 for AVX-512 and cache lines.
    ///
    /// If `alignment` is no power of two, the first allocation fails. After the first block the
    /// call has no effect.
    #[must_use]
    pub fn with_alignment(mut self, alignment: usize) -> Self {
        if self.inner.get_mut().region.is_none() {
            self.alignment = alignment;
        }
        self
    }

    /// Lets the pool grow to `max_bytes` bytes by reserving that much address space. After the
    /// first block the call has no effect.
    #[must_use]
    pub fn with_growth(mut self, max_bytes: usize) -> Self {
        if self.inner.get_mut().region.is_none() {
            self.capacity = self.capacity.max(max_bytes);
        }
        self
    }

    /// Requests memory that a GPU can use too. Blocks are allocated in either case;
    /// [`MemoryPool::is_gpu_mapped`] returns the outcome.
    #[must_use]
    pub const fn with_gpu_support(mut self, enabled: bool) -> Self {
        self.gpu = enabled;
        self
    }

    /// Returns whether a GPU can use the blocks: `false` if that was not requested.
    ///
    /// # Errors
    /// [`GpuUnsupported`] if it was requested: no device maps the memory of a region.
    pub const fn is_gpu_mapped(&self) -> Result<bool, GpuUnsupported> {
        if self.gpu { Err(GpuUnsupported) } else { Ok(false) }
    }

    /// Sets the label in errors.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// Returns the alignment of every block, in bytes.
    #[must_use]
    pub const fn alignment(&self) -> usize {
        self.alignment
    }

    /// Returns the maximum number of bytes of all blocks, with 8 for each.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns the fraction of the free bytes below the last block that lies outside the largest
    /// free block, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a fraction, to a few digits")]
    pub fn fragmentation(&self) -> f64 {
        let mut inner = self.inner.borrow_mut();
        let Some((_, tlsf)) = &mut inner.region else { return 0.0 };
        let free = tlsf.len() - tlsf.in_use() - tlsf.free_at_end();
        let largest = tlsf.largest_free().min(free);
        if free == 0 || tlsf.live() == 0 { 0.0 } else { 1.0 - largest as f64 / free as f64 }
    }

    #[cold]
    fn alloc_error(&self, cause: AllocErrorKind, layout: Layout) -> AllocError {
        AllocError::new(cause, layout, self.state(), self.label)
    }

    #[cold]
    #[inline(never)]
    fn grow_and_allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let mut inner = self.inner.borrow_mut();
        let grown = inner.grow(self, layout);
        let block = grown.and_then(|()| inner.allocate(layout).ok_or(AllocErrorKind::CapacityReached));
        drop(inner);
        block.map_err(|cause| self.alloc_error(cause, layout))
    }
}

impl PoolState {
    #[inline]
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let (_, tlsf) = self.region.as_mut()?;
        let block = tlsf.allocate(layout.size(), layout.align())?;
        self.peak = self.peak.max(tlsf.in_use());
        Some(block)
    }

    fn reserve(&mut self, pool: &MemoryPool) -> Result<(), AllocErrorKind> {
        if self.region.is_some() {
            return Ok(());
        }
        if !pool.alignment.is_power_of_two() {
            return Err(AllocErrorKind::BadLayout);
        }
        let granule = pool.alignment.max(DEFAULT_ALIGNMENT);
        let frame = granule.checked_mul(2).and_then(|frame| frame.checked_add(page_size()));
        let total =
            frame.and_then(|frame| frame.checked_add(pool.capacity)).ok_or(AllocErrorKind::BadLayout)?;
        let region = Region::reserve(total, pool.label).map_err(|error| error.alloc_kind())?;
        if region.len() > HUGE_PAGE {
            // If the system rejects the advice, ordinary OS pages work as well.
            let _advised: Result<(), _> = region.advise_huge(0, region.len(), true);
        }
        // SAFETY: a range of zero bytes.
        let tlsf = unsafe { Tlsf::new(region.as_ptr(), 0, granule) };
        self.region = Some((region, tlsf));
        Ok(())
    }

    /// Commits more of the region, so that a block of that layout fits at its end.
    fn grow(&mut self, pool: &MemoryPool, layout: Layout) -> Result<(), AllocErrorKind> {
        self.reserve(pool)?;
        let Some((region, tlsf)) = self.region.as_mut() else { return Err(AllocErrorKind::CapacityReached) };
        let (min_len, need) = tlsf.len_for(layout.size(), layout.align()).ok_or(AllocErrorKind::BadLayout)?;
        if min_len > pool.capacity {
            return Err(AllocErrorKind::CapacityReached);
        }
        // A little more at once, but never above the capacity.
        let len = need.max(tlsf.len() + MIN_COMMIT_BYTES.max(tlsf.len() / 32)).min(pool.capacity);
        let end = len.checked_add(tlsf.frame()).and_then(|end| end.checked_next_multiple_of(page_size()));
        let end = end.map_or(region.len(), |end| end.min(region.len()));
        if end > self.committed {
            region.commit(self.committed, end - self.committed).map_err(|error| error.alloc_kind())?;
            self.committed = end;
        }
        // The rest of the last OS page is used as well.
        let len = (self.committed - tlsf.frame()).min(pool.capacity);
        // SAFETY: committed with the frame, and the pool's own.
        unsafe { tlsf.extend(len) };
        Ok(())
    }

    fn trim(&mut self, target_held: usize) -> usize {
        let Some((region, tlsf)) = self.region.as_mut() else { return 0 };
        let held = self.committed - tlsf.purged_bytes();
        if held <= target_held {
            return 0;
        }
        let len = tlsf.shrink_end(target_held);
        let keep = (len + tlsf.frame()).next_multiple_of(page_size());
        if keep < self.committed {
            // SAFETY: behind the end of the range that blocks are split from.
            if unsafe { region.decommit(keep, self.committed - keep) }.is_ok() {
                self.committed = keep;
            }
        }
        let start = region.as_ptr().addr().get();
        // The frame is committed too, in OS pages.
        let target = target_held.saturating_add(tlsf.frame() + page_size());
        let excess = (self.committed - tlsf.purged_bytes()).saturating_sub(target);
        tlsf.purge(page_size(), if target_held == 0 { usize::MAX } else { excess }, |pages| {
            // SAFETY: inside a free block, between its links and its last word.
            unsafe { region.discard(pages.start - start, pages.len()) }.is_ok()
        });
        held.saturating_sub(self.committed - tlsf.purged_bytes())
    }
}

// SAFETY: laws 1 to 3 and 6: blocks are disjoint parts of the region, aligned as requested, by the
// checks of `Tlsf`. Law 4: a request of zero bytes gets the smallest block. Law 7: a resize keeps
// the smaller of both sizes. The region is released with the pool.
unsafe impl Resource for MemoryPool {
    #[inline]
    fn allocate(&self, layout: Layout) -> AllocResult {
        let block = self.inner.borrow_mut().allocate(layout);
        let block = match block {
            Some(block) => block,
            None => self.grow_and_allocate(layout)?,
        };
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, _layout: Layout) {
        if let Some((_, tlsf)) = &mut self.inner.borrow_mut().region {
            debug_assert!(tlsf.contains(block), "not a block of this pool");
            // SAFETY: the caller's guarantees are the same.
            unsafe { tlsf.free(block) };
        }
    }

    grow_and_shrink_by!(Self::resize);

    fn state(&self) -> ResourceState {
        let mut inner = self.inner.borrow_mut();
        let PoolState { region: Some((_, tlsf)), committed, peak } = &mut *inner else {
            return ResourceState { largest_free: Some(0), limit: Some(self.capacity), ..Default::default() };
        };
        ResourceState {
            in_use: tlsf.in_use(),
            held: *committed - tlsf.purged_bytes(),
            peak: *peak,
            live_blocks: tlsf.live(),
            largest_free: Some(tlsf.largest_free()),
            limit: Some(self.capacity),
        }
    }
}

impl MemoryPool {
    /// Resizes a block in place if it can, or else moves it.
    ///
    /// # Safety
    /// As [`Resource::grow`] and [`Resource::shrink`].
    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        if block.addr().get().is_multiple_of(new.align())
            && let PoolState { region: Some((_, tlsf)), peak, .. } = &mut *self.inner.borrow_mut()
            // SAFETY: a live block of this pool, the caller's alone.
            && unsafe { tlsf.resize(block, new.size()) }
        {
            *peak = (*peak).max(tlsf.in_use());
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        // SAFETY: the caller's promises, with the smaller of both sizes.
        unsafe { realloc_by_copy(self, block, old, new, old.size().min(new.size())) }
    }
}

impl Trim for MemoryPool {
    fn trim(&self, target_held: usize) -> usize {
        self.inner.borrow_mut().trim(target_held)
    }
}

impl fmt::Display for MemoryPool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}` of {}: {}", self.label, Bytes(self.capacity), self.state())
    }
}
