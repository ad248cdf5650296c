//! One region, cut into blocks of any size and joined again.
//!
//! Rests on [`Tlsf`] and a region that is reserved once and committed as far as blocks lie. Every call is O(1) but for the commits,
//! of which there are as many as the logarithm of the size.
#![expect(unsafe_code, reason = "lends blocks of its region")]

use super::{PoolPtr, Tlsf};
use crate::checked::Locked;
use arenite_core::{AllocCause, AllocError, Bytes, Label, Resource, ResourceState, Trim};
use arenite_pages::{HUGE_PAGE, Region, Scalar, page_size};
use core::alloc::Layout;
use core::cell::RefCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// The alignment of every block, unless the pool is given another.
const DEFAULT_ALIGNMENT: usize = 16;
/// The least that is committed at once.
const MIN_COMMIT_BYTES: usize = 64 << 10;

/// A pool of one region for tensors of any size, used by one thread; [`SharedMemoryPool`] is the one that threads share.
///
/// Blocks are found by a two-level segregated tlsf and joined with their free neighbours at once (Masmano, Ripoll, Crespo and Real, "TLSF:
/// a New Dynamic Memory Allocator for Real-Time Systems", 2004). A block costs 8 bytes and what its size, with those, lacks to a
/// multiple of the pool's alignment. Memory is taken from the system as far as blocks lie, and [`Trim`] gives back what
/// lies behind the last one and the total OS pages inside free ones.
///
/// ```
/// use arenite_alloc::MemoryPool;
/// let pool = MemoryPool::new(1 << 30).with_alignment(32);
/// for _epoch in 0..100 {
///     let batch = pool.allocate::<f32>(32 * 784)?;
///     let gradients = pool.allocate::<f32>(784 * 10)?;
///     assert!(batch.iter().chain(&*gradients).all(|&x| x == 0.0) && batch.as_ptr().addr() % 32 == 0);
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

/// A pool of host memory was asked to serve a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuUnsupported;

impl fmt::Display for GpuUnsupported {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("this pool's memory is the host's, and no device maps it; blocks serve the host alone")
    }
}

impl core::error::Error for GpuUnsupported {}

impl MemoryPool {
    /// A pool of at max_bytes `bytes` bytes. Nothing is asked of the system before the first block.
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

    /// The same with every block at a multiple of `alignment` (16 else): 32 for AVX2, 64 for AVX-512 and cache lines. What is no power of
    /// two is refused with the first block. After the first block it changes nothing.
    #[must_use]
    pub fn with_alignment(mut self, alignment: usize) -> Self {
        if self.inner.get_mut().region.is_none() {
            self.alignment = alignment;
        }
        self
    }

    /// The same that may grow to `max_bytes` bytes: that much address space is reserved instead. After the first block it changes nothing.
    #[must_use]
    pub fn with_growth(mut self, max_bytes: usize) -> Self {
        if self.inner.get_mut().region.is_none() {
            self.capacity = self.capacity.max(max_bytes);
        }
        self
    }

    /// Asks for memory that a GPU can use as well; [`MemoryPool::is_gpu_mapped`] says what came of it. Blocks are lent in either case.
    #[must_use]
    pub const fn with_gpu_support(mut self, enabled: bool) -> Self {
        self.gpu = enabled;
        self
    }

    /// Whether blocks can be used by a GPU; `None` if nobody asked.
    ///
    /// # Errors
    /// [`GpuUnsupported`]: no device maps the memory of a region.
    pub const fn is_gpu_mapped(&self) -> Result<Option<()>, GpuUnsupported> {
        if self.gpu { Err(GpuUnsupported) } else { Ok(None) }
    }

    /// The same under another name in errors.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// The alignment of every block, in bytes.
    #[must_use]
    pub const fn alignment(&self) -> usize {
        self.alignment
    }

    /// The max_bytes bytes that blocks can have together, with 8 for each.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// `count` zeroes.
    ///
    /// # Errors
    /// [`AllocError`].
    pub fn allocate<T: Scalar>(&self, count: usize) -> Result<PoolPtr<'_, T>, AllocError> {
        PoolPtr::zeroed_in(count, self)
    }

    /// `count` values that are yet to be written.
    ///
    /// # Errors
    /// [`AllocError`].
    pub fn allocate_uninit<T>(&self, count: usize) -> Result<PoolPtr<'_, MaybeUninit<T>>, AllocError> {
        PoolPtr::uninit_in(count, self)
    }

    /// The part of the free bytes below the last block that the largest free block has not, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a part, to a few digits")]
    pub fn fragmentation(&self) -> f64 {
        let mut inner = self.inner.borrow_mut();
        let Some((_, tlsf)) = &mut inner.region else { return 0.0 };
        let free = tlsf.len() - tlsf.in_use() - tlsf.free_at_end();
        let largest = tlsf.largest_free().min(free);
        if free == 0 || tlsf.live() == 0 { 0.0 } else { 1.0 - largest as f64 / free as f64 }
    }

    #[cold]
    fn alloc_error(&self, cause: AllocCause, layout: Layout) -> AllocError {
        AllocError::new(cause, layout, self.state(), self.label)
    }

    #[cold]
    #[inline(never)]
    fn grow_and_allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let mut inner = self.inner.borrow_mut();
        let grown = inner.grow(self, layout);
        let block = grown.and_then(|()| inner.allocate(layout).ok_or(AllocCause::CapacityReached));
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

    fn reserve(&mut self, pool: &MemoryPool) -> Result<(), AllocCause> {
        if self.region.is_some() {
            return Ok(());
        }
        if !pool.alignment.is_power_of_two() {
            return Err(AllocCause::BadLayout);
        }
        let granule = pool.alignment.max(DEFAULT_ALIGNMENT);
        let frame = granule.checked_mul(2).and_then(|frame| frame.checked_add(page_size()));
        let total = frame.and_then(|frame| frame.checked_add(pool.capacity)).ok_or(AllocCause::BadLayout)?;
        let region = Region::reserve(total, pool.label).map_err(|error| error.alloc_cause())?;
        if region.len() > HUGE_PAGE {
            // where the system takes no such advice, ordinary pages are as good
            let _advised: Result<(), _> = region.advise_huge(0, region.len(), true);
        }
        // SAFETY: of no bytes.
        let tlsf = unsafe { Tlsf::new(region.as_ptr(), 0, granule) };
        self.region = Some((region, tlsf));
        Ok(())
    }

    /// Backs more of the region, so that a block of that layout fits at its end.
    fn grow(&mut self, pool: &MemoryPool, layout: Layout) -> Result<(), AllocCause> {
        self.reserve(pool)?;
        let Some((region, tlsf)) = self.region.as_mut() else { return Err(AllocCause::CapacityReached) };
        let (least, need) = tlsf.len_for(layout.size(), layout.align()).ok_or(AllocCause::BadLayout)?;
        if least > pool.capacity {
            return Err(AllocCause::CapacityReached);
        }
        // a little more at once, but never above the capacity
        let len = need.max(tlsf.len() + MIN_COMMIT_BYTES.max(tlsf.len() / 32)).min(pool.capacity);
        let end = len.checked_add(tlsf.frame()).and_then(|end| end.checked_next_multiple_of(page_size()));
        let end = end.map_or(region.len(), |end| end.min(region.len()));
        if end > self.committed {
            region.commit(self.committed, end - self.committed).map_err(|error| error.alloc_cause())?;
            self.committed = end;
        }
        // what the last OS page has beyond what was asked is as good
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
            // SAFETY: behind the end of what blocks are cut from.
            if unsafe { region.decommit(keep, self.committed - keep) }.is_ok() {
                self.committed = keep;
            }
        }
        let start = region.as_ptr().addr().get();
        // what the end was cut to has a frame, in total OS pages
        let target = target_held.saturating_add(tlsf.frame() + page_size());
        let excess = (self.committed - tlsf.purged_bytes()).saturating_sub(target);
        tlsf.purge(page_size(), if target_held == 0 { usize::MAX } else { excess }, |pages| {
            // SAFETY: inside of a free block, between its links and its last word.
            unsafe { region.discard(pages.start - start, pages.len()) }.is_ok()
        });
        held.saturating_sub(self.committed - tlsf.purged_bytes())
    }
}

// SAFETY: laws 1 to 3 and 6: blocks are disjoint parts of the region, aligned as asked, by the checks of `Tlsf`; law 4: a request of no
// bytes gets the smallest block; law 7: a resize keeps the smaller of both sizes. The region goes with the pool.
unsafe impl Resource for MemoryPool {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
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
            // SAFETY: the caller's promise.
            unsafe { tlsf.free(block) };
        }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises.
        if unsafe { self.resize(block, new) } {
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        // SAFETY: the caller's promises.
        unsafe { arenite_core::relocate(self, block, old, new, old.size()) }
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises.
        if unsafe { self.resize(block, new) } {
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        // SAFETY: the caller's promises.
        unsafe { arenite_core::relocate(self, block, old, new, new.size()) }
    }

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
    /// # Safety
    /// As [`Resource::grow`] and [`Resource::shrink`].
    unsafe fn resize(&self, block: NonNull<u8>, new: Layout) -> bool {
        let mut inner = self.inner.borrow_mut();
        let PoolState { region: Some((_, tlsf)), peak, .. } = &mut *inner else { return false };
        // SAFETY: a live block of this pool, the caller's alone.
        let done =
            block.addr().get().is_multiple_of(new.align()) && unsafe { tlsf.resize(block, new.size()) };
        *peak = (*peak).max(tlsf.in_use());
        done
    }
}

impl Trim for MemoryPool {
    fn trim(&self, target_held: usize) -> usize {
        self.inner.borrow_mut().trim(target_held)
    }
}

impl Locked<MemoryPool> {
    /// `count` zeroes.
    ///
    /// # Errors
    /// [`AllocError`].
    pub fn allocate<T: Scalar>(&self, count: usize) -> Result<PoolPtr<'_, T, Self>, AllocError> {
        PoolPtr::zeroed_in(count, self)
    }

    /// `count` values that are yet to be written.
    ///
    /// # Errors
    /// [`AllocError`].
    pub fn allocate_uninit<T>(&self, count: usize) -> Result<PoolPtr<'_, MaybeUninit<T>, Self>, AllocError> {
        PoolPtr::uninit_in(count, self)
    }
}

impl fmt::Display for MemoryPool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}` of {}: {}", self.label, Bytes(self.capacity), self.state())
    }
}
