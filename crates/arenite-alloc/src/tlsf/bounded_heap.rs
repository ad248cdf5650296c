//! A heap in memory that the caller provides.
//!
//! Rests on [`Tlsf`] and one lock. The memory is all there is: nothing is taken from the system, for blocks or for anything else.
#![expect(unsafe_code, reason = "lends blocks of the caller's memory")]

use super::Tlsf;
use arenite_core::{AllocCause, AllocError, Label, Resource, ResourceState};
use arenite_pages::Lock;
use core::alloc::{GlobalAlloc, Layout};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Blocks of any size, given back one by one, from any thread, in a buffer, a [region](arenite_pages::Region) or a mapped file of the
/// caller's: what is in there is all it ever lends. Each call is O(1) under one lock; a block costs 8 bytes and its size rounded up to
/// 16 less those. Blocks that are freed join at once.
///
/// The program that shares the memory must not write to free blocks: the heap's lists stand in them.
///
/// ```
/// use arenite_alloc::BoundedHeap;
/// use arenite_core::{AllocCause, AllocError, Block};
/// let mut buffer = [core::mem::MaybeUninit::uninit(); 4096];
/// let heap = BoundedHeap::new(&mut buffer);
/// let block = Block::new_in(AllocError::layout(1000, 64)?, &heap)?;
/// let error = Block::new_in(AllocError::layout(4000, 8)?, &heap).unwrap_err();
/// assert_eq!(error.cause, AllocCause::CapacityReached);
/// drop(block);
/// assert!(Block::new_in(AllocError::layout(4000, 8)?, &heap).is_ok());
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct BoundedHeap<'m> {
    tlsf: Lock<Tlsf>,
    peak: AtomicUsize,
    label: Label,
    memory: PhantomData<&'m mut [MaybeUninit<u8>]>,
}

impl<'m> BoundedHeap<'m> {
    /// A heap in `memory`. A buffer of less than some 64 bytes is a heap that refuses everything.
    pub fn new(memory: &'m mut [MaybeUninit<u8>]) -> Self {
        let start = NonNull::from(&mut *memory).cast();
        // SAFETY: the slice is borrowed exclusively as long as the heap lives.
        unsafe { Self::from_raw_parts(start, memory.len()) }
    }

    /// A heap in a range of memory.
    ///
    /// # Safety
    /// The range is valid for reads and writes as long as the heap and its blocks live, and nobody else uses it.
    #[must_use]
    pub unsafe fn from_raw_parts(start: NonNull<u8>, len: usize) -> Self {
        Self {
            // SAFETY: the caller's promise.
            tlsf: Lock::new(unsafe { Tlsf::new(start, len, 16) }),
            peak: AtomicUsize::new(0),
            label: Label::new("bounded heap"),
            memory: PhantomData,
        }
    }

    /// The same under another name in errors.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    #[cold]
    fn alloc_error(&self, layout: Layout) -> AllocError {
        AllocError::new(AllocCause::CapacityReached, layout, self.state(), self.label)
    }
}

// SAFETY: laws 1 to 3 and 6: blocks are disjoint parts of the range, aligned as asked, by the checks of `Tlsf`; law 4: a request of no
// bytes gets the smallest block; law 7: a resize keeps the smaller of both sizes.
unsafe impl Resource for BoundedHeap<'_> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let mut tlsf = self.tlsf.lock();
        let Some(block) = tlsf.allocate(layout.size(), layout.align()) else {
            drop(tlsf);
            return Err(self.alloc_error(layout));
        };
        self.peak.fetch_max(tlsf.in_use(), Ordering::Relaxed);
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, _layout: Layout) {
        let mut tlsf = self.tlsf.lock();
        debug_assert!(tlsf.contains(block), "not a block of this heap");
        // SAFETY: the caller's promise.
        unsafe { tlsf.free(block) };
    }

    fn state(&self) -> ResourceState {
        let mut tlsf = self.tlsf.lock();
        ResourceState {
            in_use: tlsf.in_use(),
            held: tlsf.len(),
            peak: self.peak.load(Ordering::Relaxed),
            live_blocks: tlsf.live(),
            largest_free: Some(tlsf.largest_free()),
            limit: Some(tlsf.len()),
        }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if block.addr().get().is_multiple_of(new.align()) {
            let mut tlsf = self.tlsf.lock();
            // SAFETY: a live block of this heap, the caller's alone.
            if unsafe { tlsf.resize(block, new.size()) } {
                self.peak.fetch_max(tlsf.in_use(), Ordering::Relaxed);
                return Ok(NonNull::slice_from_raw_parts(block, new.size()));
            }
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
        if block.addr().get().is_multiple_of(new.align()) {
            let mut tlsf = self.tlsf.lock();
            // SAFETY: as above; what is given up is the caller's to give.
            if unsafe { tlsf.resize(block, new.size()) } {
                return Ok(NonNull::slice_from_raw_parts(block, new.size()));
            }
        }
        // SAFETY: the caller's promises.
        unsafe { arenite_core::relocate(self, block, old, new, new.size()) }
    }
}

// SAFETY: blocks are those of `Resource`; nothing unwinds, and the lock is the system's.
unsafe impl GlobalAlloc for BoundedHeap<'_> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.allocate(layout).map_or(core::ptr::null_mut(), |block| block.cast().as_ptr())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller's promises are the same.
            unsafe { self.deallocate(block, layout) };
        }
    }
}
