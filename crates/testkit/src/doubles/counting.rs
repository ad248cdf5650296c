//! Counts calls and knows the live blocks, so that a test can say "no block was visited" and "none went back twice".
//!
//! Rests on any [`Resource`].
#![expect(unsafe_code, reason = "forwards an unsafe trait")]

use super::with_blocks_left;
use arenite_core::{AllocCause, AllocError, Label, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::ptr::NonNull;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts the calls that reach `R`. Shared between threads if `R` is.
///
/// ```
/// use arenite_alloc::{Arena, System};
/// use testkit::doubles::Counting;
/// let upstream = Counting::new(System::new());
/// let mut arena = Arena::chunked_by(&upstream, 4096);
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
    refusals: AtomicUsize,
    strays: AtomicUsize,
    record: Mutex<Record>,
}

/// What was lent, and how many blocks are live at each address: blocks of no bytes may share one.
#[derive(Debug)]
struct Record {
    layouts: Vec<Layout>,
    live: BTreeMap<usize, usize>,
}

impl<R: Resource> Counting<R> {
    /// Counts from zero.
    pub const fn new(upstream: R) -> Self {
        Self {
            upstream,
            allocations: AtomicUsize::new(0),
            deallocations: AtomicUsize::new(0),
            resizes: AtomicUsize::new(0),
            refusals: AtomicUsize::new(0),
            strays: AtomicUsize::new(0),
            record: Mutex::new(Record { layouts: Vec::new(), live: BTreeMap::new() }),
        }
    }

    /// Blocks lent.
    pub fn allocations(&self) -> usize {
        self.allocations.load(Relaxed)
    }

    /// Blocks taken back.
    pub fn deallocations(&self) -> usize {
        self.deallocations.load(Relaxed)
    }

    /// Blocks grown or shrunk.
    pub fn resizes(&self) -> usize {
        self.resizes.load(Relaxed)
    }

    /// Requests refused.
    pub fn refusals(&self) -> usize {
        self.refusals.load(Relaxed)
    }

    /// The layouts of the blocks lent, in order.
    pub fn layouts(&self) -> Vec<Layout> {
        self.record().layouts.clone()
    }

    /// Blocks given back, or resized, that were not live: they did not reach the upstream.
    pub fn strays(&self) -> usize {
        self.strays.load(Relaxed)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Strikes a live block out; `false`, and counted, where there is none.
    fn strike(&self, block: NonNull<u8>) -> bool {
        let address = block.addr().get();
        let mut record = self.record();
        let Some(count) = record.live.get_mut(&address) else {
            self.strays.fetch_add(1, Relaxed);
            return false;
        };
        *count -= 1;
        if *count == 0 {
            record.live.remove(&address);
        }
        true
    }

    /// Writes a live block down, also where a test lets the resource under it have no memory.
    fn enter(&self, block: NonNull<u8>, lent_as: Option<Layout>) {
        with_blocks_left(usize::MAX, || {
            let mut record = self.record();
            record.layouts.extend(lent_as);
            *record.live.entry(block.addr().get()).or_default() += 1;
        });
    }

    fn count(
        &self,
        result: Result<NonNull<[u8]>, AllocError>,
        layout: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let Ok(block) = result else {
            self.refusals.fetch_add(1, Relaxed);
            return result;
        };
        self.allocations.fetch_add(1, Relaxed);
        self.enter(block.cast(), Some(layout));
        result
    }

    fn resize(
        &self,
        block: NonNull<u8>,
        new: Layout,
        resize: impl FnOnce() -> Result<NonNull<[u8]>, AllocError>,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if !self.strike(block) {
            return Err(AllocError::new(AllocCause::NotLive, new, self.state(), Label::new("counting")));
        }
        let resized = resize();
        let count = if resized.is_ok() { &self.resizes } else { &self.refusals };
        count.fetch_add(1, Relaxed);
        let now = resized.as_ref().map_or(block, |block| block.cast());
        self.enter(now, None);
        resized
    }
}

// SAFETY: forwards every call that names a live block to the upstream, which keeps the laws.
unsafe impl<R: Resource> Resource for Counting<R> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.count(self.upstream.allocate(layout), layout)
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.count(self.upstream.allocate_zeroed(layout), layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if self.strike(block) {
            self.deallocations.fetch_add(1, Relaxed);
            // SAFETY: the caller's promise, of which "live" was just looked up.
            unsafe { self.upstream.deallocate(block, layout) }
        }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        self.resize(block, new, || unsafe { self.upstream.grow(block, old, new) })
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
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
