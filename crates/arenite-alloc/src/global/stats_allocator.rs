//! The allocator of the global allocator: counts each thread's calls, and on request keeps freed blocks for the next call.
//!
//! Rests on any `GlobalAlloc`. Libraries take their scratch memory from the global allocator and give it back a moment
//! later; a program that wants none of that inside its loop puts this allocator before its allocator and can_cache.
#![expect(unsafe_code, reason = "is a global allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::any::TypeId;
use core::cell::Cell;
use core::marker::PhantomData;
use std::alloc::System;

/// How many blocks a thread keeps while it can_cache.
const MAX_CACHED_BLOCKS: usize = 16;
/// The smallest block that is worth keeping: smaller ones would push the large ones out, and cost little.
const MIN_CACHED_BYTES: usize = 1024;

thread_local! {
    // Constant and without a destructor: of use from the first allocation of a thread to the last.
    static THREAD: Thread = const {
        Thread {
            counts: Cell::new(AllocCounts { allocations: 0, deallocations: 0, upstream_calls: 0, bytes: 0 }),
            depth: Cell::new(0),
            id: Cell::new(None),
            next: Cell::new(0),
            cached: [const { Cell::new(None) }; MAX_CACHED_BLOCKS],
        }
    };
}

/// Which allocator stands behind a allocator: its type, and for one with a state of its own the allocator's address.
type AllocatorId = (TypeId, usize);

struct Thread {
    counts: Cell<AllocCounts>,
    depth: Cell<usize>,
    /// The allocator that can_cache: another one's blocks are not its to cache, nor its to lend.
    id: Cell<Option<AllocatorId>>,
    next: Cell<usize>,
    cached: [Cell<Option<(*mut u8, Layout)>>; MAX_CACHED_BLOCKS],
}

/// What one thread asked of the global allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocCounts {
    /// Allocations, zeroed ones and reallocations asked.
    pub allocations: u64,
    /// Deallocations asked.
    pub deallocations: u64,
    /// Calls that reached the allocator behind the allocator.
    pub upstream_calls: u64,
    /// Bytes asked.
    pub bytes: u64,
}

/// A global allocator that counts. Shared between threads; each counts its own.
///
/// ```
/// use arenite_alloc::StatsAllocator;
/// #[global_allocator]
/// static ALLOCATOR: StatsAllocator = StatsAllocator::system();
/// let before = StatsAllocator::<std::alloc::System>::counts();
/// drop(std::hint::black_box(Box::new([0u8; 4096])));
/// let guard = ALLOCATOR.recycle_scope();
/// for _ in 0..10 {
///     drop(std::hint::black_box(Box::new([0u8; 4096]))); // the same block again and again
/// }
/// drop(guard);
/// let after = StatsAllocator::<std::alloc::System>::counts();
/// assert_eq!(after.allocations - before.allocations, 11);
/// assert_eq!(after.upstream_calls - before.upstream_calls, 4);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct StatsAllocator<A = System> {
    upstream: A,
}

impl StatsAllocator<System> {
    /// Before the system's `malloc`.
    #[must_use]
    pub const fn system() -> Self {
        Self { upstream: System }
    }
}

impl<A> StatsAllocator<A> {
    /// Before `upstream`.
    pub const fn new(upstream: A) -> Self {
        Self { upstream }
    }

    /// What this thread asked so far.
    #[must_use]
    pub fn counts() -> AllocCounts {
        THREAD.try_with(|thread| thread.counts.get()).unwrap_or_default()
    }

    fn record(allocations: u64, deallocations: u64, bytes: usize) {
        Self::update(|counts| {
            counts.allocations += allocations;
            counts.deallocations += deallocations;
            counts.bytes += bytes as u64;
        });
    }

    fn record_upstream_call() {
        Self::update(|counts| counts.upstream_calls += 1);
    }

    fn update(change: impl FnOnce(&mut AllocCounts)) {
        // A thread that is being torn down counts no more.
        let _counted: Result<(), _> = THREAD.try_with(|thread| {
            let mut counts = thread.counts.get();
            change(&mut counts);
            thread.counts.set(counts);
        });
    }
}

impl<A: GlobalAlloc + 'static> StatsAllocator<A> {
    /// From now until the guard is dropped, this thread keeps up to 16 of the blocks of 1 KiB and more that it frees, and
    /// takes them again for requests of the same size and alignment.
    /// While another allocator can_cache on this thread, this one does not.
    /// The allocator is a static, as a `#[global_allocator]` is: what is cached must not outlive it, even where the guard is
    /// forgotten.
    pub fn recycle_scope(&'static self) -> RecycleGuard<A> {
        let start = |thread: &Thread| {
            if thread.depth.get() == 0 {
                thread.id.set(Some(self.id()));
            }
            let started = thread.id.get() == Some(self.id());
            thread.depth.set(thread.depth.get() + usize::from(started));
            started
        };
        let started = THREAD.try_with(start).unwrap_or(false);
        RecycleGuard { allocator: self, started, thread: PhantomData }
    }

    fn id(&self) -> AllocatorId {
        let address = if size_of::<A>() == 0 { 0 } else { core::ptr::from_ref(self).addr() };
        (TypeId::of::<A>(), address)
    }

    /// Whether this allocator can_cache on this thread, and blocks of `layout` are worth it.
    fn can_cache(&self, thread: &Thread, layout: Layout) -> bool {
        thread.depth.get() > 0 && layout.size() >= MIN_CACHED_BYTES && thread.id.get() == Some(self.id())
    }

    /// A cached block of `layout`.
    fn take_cached(&self, layout: Layout) -> Option<*mut u8> {
        let take = |thread: &Thread| {
            if !self.can_cache(thread, layout) {
                return None;
            }
            let slot =
                thread.cached.iter().find(|slot| slot.get().is_some_and(|(_, cached)| cached == layout))?;
            slot.take().map(|(block, _)| block)
        };
        THREAD.try_with(take).ok().flatten()
    }

    /// Keeps `block`, and returns the one that had to make room for it; `block` itself where nothing is cached.
    fn cache(&self, block: *mut u8, layout: Layout) -> Option<(*mut u8, Layout)> {
        let cache = |thread: &Thread| {
            if !self.can_cache(thread, layout) {
                return Some((block, layout));
            }
            let free = thread.cached.iter().position(|slot| slot.get().is_none());
            let at = free.unwrap_or_else(|| {
                let next = thread.next.get();
                thread.next.set((next + 1) % MAX_CACHED_BLOCKS);
                next
            });
            thread.cached[at].replace(Some((block, layout)))
        };
        THREAD.try_with(cache).unwrap_or(Some((block, layout)))
    }

    /// # Safety
    /// `block` came from `upstream` with `layout` and is not used afterwards.
    unsafe fn free(&self, block: *mut u8, layout: Layout) {
        Self::record_upstream_call();
        // SAFETY: the caller's promise.
        unsafe { self.upstream.dealloc(block, layout) }
    }
}

/// Ends depth when dropped, and frees what was cached. Made by [`StatsAllocator::recycle_scope`]; stays on its thread.
#[derive(Debug)]
pub struct RecycleGuard<A: GlobalAlloc + 'static = System> {
    allocator: &'static StatsAllocator<A>,
    started: bool,
    thread: PhantomData<*const ()>,
}

impl<A: GlobalAlloc + 'static> Drop for RecycleGuard<A> {
    fn drop(&mut self) {
        if !self.started {
            return;
        }
        let take_all = |thread: &Thread| {
            thread.depth.set(thread.depth.get() - 1);
            if thread.depth.get() > 0 { None } else { Some(thread.cached.each_ref().map(Cell::take)) }
        };
        for (block, layout) in THREAD.try_with(take_all).ok().flatten().into_iter().flatten().flatten() {
            // SAFETY: cached blocks came from the allocator behind the allocator with this layout, and left the list.
            unsafe { self.allocator.free(block, layout) }
        }
    }
}

// SAFETY: every block comes from `upstream`, which keeps the contract, or is a cached one of exactly the layout asked, which
// its last id gave back.
unsafe impl<A: GlobalAlloc + 'static> GlobalAlloc for StatsAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::record(1, 0, layout.size());
        if let Some(block) = self.take_cached(layout) {
            return block;
        }
        Self::record_upstream_call();
        // SAFETY: the caller's promise.
        unsafe { self.upstream.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::record(1, 0, layout.size());
        Self::record_upstream_call();
        // SAFETY: the caller's promise.
        unsafe { self.upstream.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        Self::record(0, 1, 0);
        if let Some((block, layout)) = self.cache(block, layout) {
            // SAFETY: the caller's promise, or a cached block that left the list.
            unsafe { self.free(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        Self::record(1, 0, new_size);
        Self::record_upstream_call();
        // SAFETY: the caller's promise.
        unsafe { self.upstream.realloc(block, layout, new_size) }
    }
}
