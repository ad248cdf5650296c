//! A resource that counts its calls and tracks the live blocks of its upstream.
//!
//! Tests use it to show that an operation visits no block and frees no block twice.
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use super::with_blocks_left;
use arenite_core::{AllocError, AllocErrorKind, Label, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A wrapper that counts the calls to `R`; threads can share it if they can share `R`.
///
/// ```
/// use arenite_alloc::{Arena, CountedGlobal};
/// use testkit::doubles::Counting;
/// let upstream = Counting::new(CountedGlobal::new());
/// let mut arena = Arena::with_chunk_size(&upstream, 4096);
/// drop(arena.alloc(7)?);
/// arena.reset();
/// assert_eq!((upstream.allocations(), upstream.deallocations()), (1, 0));
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
#[derive(Debug)]
pub struct Counting<R> {
    upstream: R,
    allocations: AtomicUsize,
    deallocations: AtomicUsize,
    resizes: AtomicUsize,
    failures: AtomicUsize,
    invalid_frees: AtomicUsize,
    record: Mutex<Record>,
}

/// The requested layouts, and the number of live blocks at each address (zero-size blocks may
/// share one).
#[derive(Debug)]
struct Record {
    layouts: Vec<Layout>,
    live: BTreeMap<usize, usize>,
}

impl<R: Resource> Counting<R> {
    /// Wraps `upstream` with all counts at zero.
    pub const fn new(upstream: R) -> Self {
        Self {
            upstream,
            allocations: AtomicUsize::new(0),
            deallocations: AtomicUsize::new(0),
            resizes: AtomicUsize::new(0),
            failures: AtomicUsize::new(0),
            invalid_frees: AtomicUsize::new(0),
            record: Mutex::new(Record { layouts: Vec::new(), live: BTreeMap::new() }),
        }
    }

    /// Returns the number of allocated blocks.
    pub fn allocations(&self) -> usize {
        self.allocations.load(Relaxed)
    }

    /// Returns the number of freed blocks.
    pub fn deallocations(&self) -> usize {
        self.deallocations.load(Relaxed)
    }

    /// Returns the number of successful resizes.
    pub fn resizes(&self) -> usize {
        self.resizes.load(Relaxed)
    }

    /// Returns the number of failed requests.
    pub fn failures(&self) -> usize {
        self.failures.load(Relaxed)
    }

    /// Returns the layouts of all allocated blocks, in order.
    pub fn layouts(&self) -> Vec<Layout> {
        self.record().layouts.clone()
    }

    /// Returns the number of frees and resizes of blocks that were not live; they did not reach the
    /// upstream.
    pub fn invalid_frees(&self) -> usize {
        self.invalid_frees.load(Relaxed)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a live block from the record. Returns `false` and counts the call if the block is
    /// not live.
    fn remove(&self, block: NonNull<u8>) -> bool {
        let address = block.addr().get();
        let mut record = self.record();
        let Some(count) = record.live.get_mut(&address) else {
            self.invalid_frees.fetch_add(1, Relaxed);
            return false;
        };
        *count -= 1;
        if *count == 0 {
            record.live.remove(&address);
        }
        true
    }

    /// Records a live block. The record may allocate even while a test denies memory to the
    /// upstream.
    fn insert(&self, block: NonNull<u8>, layout: Option<Layout>) {
        with_blocks_left(usize::MAX, || {
            let mut record = self.record();
            record.layouts.extend(layout);
            *record.live.entry(block.addr().get()).or_default() += 1;
        });
    }

    fn count(
        &self,
        result: Result<NonNull<[u8]>, AllocError>,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let Ok(block) = result else {
            self.failures.fetch_add(1, Relaxed);
            return result;
        };
        self.allocations.fetch_add(1, Relaxed);
        self.insert(block.cast(), Some(layout));
        result
    }

    fn resize(
        &self,
        block: NonNull<u8>,
        new: Layout,
        resize: impl FnOnce() -> Result<NonNull<[u8]>, AllocError>,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if !self.remove(block) {
            return Err(AllocError::new(
                AllocErrorKind::DoubleFree,
                new,
                self.state(),
                Label::new("counting"),
            ));
        }
        let resized = resize();
        let count = if resized.is_ok() { &self.resizes } else { &self.failures };
        count.fetch_add(1, Relaxed);
        let now = resized.as_ref().map_or(block, |block| block.cast());
        self.insert(now, None);
        resized
    }
}

// SAFETY: every call that names a live block goes to the upstream, which obeys the laws.
unsafe impl<R: Resource> Resource for Counting<R> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.count(self.upstream.allocate(layout), layout)
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.count(self.upstream.allocate_zeroed(layout), layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if self.remove(block) {
            self.deallocations.fetch_add(1, Relaxed);
            // SAFETY: the caller's guarantee; `remove` just confirmed that the block is live.
            unsafe { self.upstream.deallocate(block, layout) }
        }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's guarantee; `resize` runs this only if the block is live.
        self.resize(block, new, || unsafe { self.upstream.grow(block, old, new) })
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's guarantee; `resize` runs this only if the block is live.
        self.resize(block, new, || unsafe { self.upstream.shrink(block, old, new) })
    }

    fn state(&self) -> ResourceState {
        self.upstream.state()
    }
}

impl<R: Trim> Trim for Counting<R> {
    fn trim(&self, target_held: usize) -> usize {
        self.upstream.trim(target_held)
    }
}
