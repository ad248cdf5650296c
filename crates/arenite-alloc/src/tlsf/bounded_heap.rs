//! A heap in memory that the caller provides.
//!
//! The memory is all that the heap uses: neither blocks nor bookkeeping take memory from the
//! system.
#![expect(unsafe_code, reason = "allocates blocks of the caller's memory")]

use super::Tlsf;
use crate::util::resource_macros::grow_and_shrink_by;
use arenite_core::{
    AllocError, AllocErrorKind, AllocResult, Label, Resource, ResourceState, realloc_by_copy,
};
use arenite_pages::ForkSafeMutex;
use core::alloc::{GlobalAlloc, Layout};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A heap of blocks of any size in the caller's buffer, [region](arenite_pages::Region) or mapped
/// file.
///
/// Any thread may free a block. Each call is O(1) under one lock. A block costs 8 bytes and its
/// size rounded up to 16 less those. Freed blocks are coalesced with their free neighbours.
///
/// The program that shares the memory must not write to free blocks: they hold the heap's lists.
///
/// ```
/// use arenite_alloc::BoundedHeap;
/// use arenite_core::{AllocErrorKind, AllocError, Block};
/// let mut buffer = [core::mem::MaybeUninit::uninit(); 4096];
/// let heap = BoundedHeap::new(&mut buffer);
/// let block = Block::new_in(arenite_core::layout(1000, 64)?, &heap)?;
/// let error = Block::new_in(arenite_core::layout(4000, 8)?, &heap).unwrap_err();
/// assert_eq!(error.kind, AllocErrorKind::CapacityReached);
/// drop(block);
/// assert!(Block::new_in(arenite_core::layout(4000, 8)?, &heap).is_ok());
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct BoundedHeap<'m> {
    tlsf: ForkSafeMutex<Tlsf>,
    peak: AtomicUsize,
    label: Label,
    memory: PhantomData<&'m mut [MaybeUninit<u8>]>,
}

impl<'m> BoundedHeap<'m> {
    /// Makes a heap in `memory`. With a buffer of less than about 64 bytes every allocation fails.
    pub fn new(memory: &'m mut [MaybeUninit<u8>]) -> Self {
        let start = NonNull::from(&mut *memory).cast();
        // SAFETY: the slice is borrowed exclusively as long as the heap lives.
        unsafe { Self::from_raw_parts(start, memory.len()) }
    }

    /// Makes a heap in a range of memory.
    ///
    /// # Safety
    /// The range is valid for reads and writes as long as the heap and its blocks live, and nothing
    /// else uses it.
    #[must_use]
    pub unsafe fn from_raw_parts(start: NonNull<u8>, len: usize) -> Self {
        Self {
            // SAFETY: the caller's guarantees are the same.
            tlsf: ForkSafeMutex::new(unsafe { Tlsf::new(start, len, 16) }),
            peak: AtomicUsize::new(0),
            label: Label::new("bounded heap"),
            memory: PhantomData,
        }
    }

    /// Sets the label in errors.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// Resizes a block in place if it can, or else moves it.
    ///
    /// # Safety
    /// As [`Resource::grow`] and [`Resource::shrink`].
    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> AllocResult {
        if block.addr().get().is_multiple_of(new.align()) {
            let mut tlsf = self.tlsf.lock();
            // SAFETY: a live block of this heap, the caller's alone; bytes beyond the new size are
            // the caller's to give up.
            if unsafe { tlsf.resize(block, new.size()) } {
                self.peak.fetch_max(tlsf.in_use(), Ordering::Relaxed);
                return Ok(NonNull::slice_from_raw_parts(block, new.size()));
            }
        }
        // SAFETY: the caller's promises, with the smaller of both sizes.
        unsafe { realloc_by_copy(self, block, old, new, old.size().min(new.size())) }
    }

    #[cold]
    fn alloc_error(&self, layout: Layout) -> AllocError {
        AllocError::new(AllocErrorKind::CapacityReached, layout, self.state(), self.label)
    }
}

// SAFETY: laws 1 to 3 and 6: blocks are disjoint parts of the range, aligned as requested, by the
// checks of `Tlsf`. Law 4: a request of zero bytes gets the smallest block. Law 7: a resize keeps
// the smaller of both sizes.
unsafe impl Resource for BoundedHeap<'_> {
    fn allocate(&self, layout: Layout) -> AllocResult {
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
        // SAFETY: the caller's guarantees are the same.
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

    grow_and_shrink_by!(Self::resize);
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
