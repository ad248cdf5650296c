//! A global allocator that counts each thread's calls and, on request, recycles freed blocks.
//!
//! Libraries allocate scratch memory from the global allocator and free it a moment later. A
//! program that wants no such calls inside its loop wraps its allocator in this one and opens a
//! recycle scope.
#![expect(unsafe_code, reason = "is a global allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::any::TypeId;
use core::cell::Cell;
use core::marker::PhantomData;
use std::alloc::System;

/// Maximum number of blocks that a thread caches while it recycles.
const MAX_CACHED_BLOCKS: usize = 16;
/// Size of the smallest cached block, in bytes. Smaller blocks cost little and would evict larger
/// ones.
const MIN_CACHED_BYTES: usize = 1024;

thread_local! {
    // Constant and without a destructor: usable from the first allocation of a thread to the last.
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

/// Identity of the wrapped allocator: its type, and for a type with state the wrapper's address.
type AllocatorId = (TypeId, usize);

struct Thread {
    counts: Cell<AllocCounts>,
    depth: Cell<usize>,
    /// The allocator that recycles. Blocks of other allocators are neither cached nor reused.
    id: Cell<Option<AllocatorId>>,
    next: Cell<usize>,
    cached: [Cell<Option<(*mut u8, Layout)>>; MAX_CACHED_BLOCKS],
}

/// Counters of one thread's calls to the global allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocCounts {
    /// Allocations, zeroed allocations and reallocations.
    pub allocations: u64,
    /// Deallocations.
    pub deallocations: u64,
    /// Calls that reached the wrapped allocator.
    pub upstream_calls: u64,
    /// Bytes requested.
    pub bytes: u64,
}

/// A global allocator with counters. Shared between threads; each thread has its own counters.
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
    /// Wraps the system's `malloc`.
    #[must_use]
    pub const fn system() -> Self {
        Self { upstream: System }
    }
}

impl<A> StatsAllocator<A> {
    /// Wraps `upstream`.
    pub const fn new(upstream: A) -> Self {
        Self { upstream }
    }

    /// Returns the counters of the calling thread.
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
        // A thread that is being torn down is no longer counted.
        let _counted: Result<(), _> = THREAD.try_with(|thread| {
            let mut counts = thread.counts.get();
            change(&mut counts);
            thread.counts.set(counts);
        });
    }
}

impl<A: GlobalAlloc + 'static> StatsAllocator<A> {
    /// Recycles blocks on this thread until the guard is dropped.
    ///
    /// Up to 16 freed blocks of 1 KiB or more are cached and reused for requests of the same size
    /// and alignment. While another allocator recycles on this thread, this one does not.
    ///
    /// The allocator is a static, as a `#[global_allocator]` is: cached blocks must not outlive it,
    /// even if the guard is forgotten.
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

    /// Returns whether this allocator recycles on this thread and `layout` is large enough to
    /// cache.
    fn can_cache(&self, thread: &Thread, layout: Layout) -> bool {
        thread.depth.get() > 0 && layout.size() >= MIN_CACHED_BYTES && thread.id.get() == Some(self.id())
    }

    /// Removes a cached block of `layout` and returns it.
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

    /// Caches `block` and returns the evicted block. Returns `block` itself if it was not cached.
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

    /// Frees a block.
    ///
    /// # Safety
    /// `block` came from `upstream` with `layout` and is not used afterwards.
    unsafe fn free(&self, block: *mut u8, layout: Layout) {
        Self::record_upstream_call();
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.upstream.dealloc(block, layout) }
    }
}

/// A guard that ends recycling and frees the cached blocks when it is dropped. Made by
/// [`StatsAllocator::recycle_scope`]; stays on its thread.
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
            // SAFETY: cached blocks came from the wrapped allocator with this layout and were
            // removed from the cache.
            unsafe { self.allocator.free(block, layout) }
        }
    }
}

// SAFETY: every block comes from `upstream`, which keeps the contract, or is a cached block of
// exactly the requested layout that its last owner freed.
unsafe impl<A: GlobalAlloc + 'static> GlobalAlloc for StatsAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::record(1, 0, layout.size());
        if let Some(block) = self.take_cached(layout) {
            return block;
        }
        Self::record_upstream_call();
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.upstream.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::record(1, 0, layout.size());
        Self::record_upstream_call();
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.upstream.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        Self::record(0, 1, 0);
        if let Some((block, layout)) = self.cache(block, layout) {
            // SAFETY: the caller's promise, or a block that was removed from the cache.
            unsafe { self.free(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        Self::record(1, 0, new_size);
        Self::record_upstream_call();
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.upstream.realloc(block, layout, new_size) }
    }
}
