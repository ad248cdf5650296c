//! The stratified pool that threads share.
//!
//! A thread uses its own magazines without a lock and without an atomic exchange. A thread that
//! frees more than it allocates flushes half of a magazine to the depot at once. Other threads
//! refill theirs from there (Bonwick and Adams, "Magazines and Vmem", 2001). Threads without
//! memory for magazines share one set under a lock.
#![expect(unsafe_code, reason = "allocates blocks of its upstream")]

use super::local::resize;
use super::magazines::{BlockChain, DepotList, Magazines};
use super::{SizeBucket, StratifiedPoolStats};
use crate::Heap;
use crate::util::resource_macros::grow_and_shrink_by;
use crate::util::sharded::{Sharded, ShardedState};
use crate::util::usage_counter::UsageCounter;
use crate::util::with_layout;
use arenite_core::{AllocError, AllocResult, Label, Resource, ResourceState, Trim};
use arenite_pages::ForkSafeMutex;
use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The shared part: the depot of chains, the upstream and the counters.
#[derive(Debug)]
struct Depot<R> {
    upstream: R,
    lists: [ForkSafeMutex<DepotList>; 5],
    direct: UsageCounter,
    direct_calls: AtomicU64,
    peak: AtomicUsize,
    /// The magazines of threads without memory for their own, used by one thread at a time under
    /// the lock.
    ///
    /// Lock order: this lock, then the list of shards, then a depot list. No foreign code runs
    /// under any of them, the global allocator included.
    fallback: Magazines,
    fallback_lock: ForkSafeMutex<()>,
    label: Label,
}

impl<R> Depot<R> {
    const fn list(&self, bucket: SizeBucket) -> &ForkSafeMutex<DepotList> {
        &self.lists[bucket as usize]
    }

    /// Pushes a chain to the depot.
    ///
    /// # Safety
    /// The chain is the caller's, of that bucket.
    unsafe fn push(&self, bucket: SizeBucket, chain: &BlockChain) {
        // SAFETY: the caller's guarantees are the same.
        unsafe { self.list(bucket).lock().push(chain) };
    }

    fn free_bytes(&self) -> usize {
        SizeBucket::ALL.iter().map(|&bucket| self.list(bucket).lock().buffers * bucket.size()).sum()
    }
}

impl<R: Sync> ShardedState for Depot<R> {
    type Local = Magazines;
}

impl<R> Depot<R> {
    /// Flushes magazines to the depot.
    ///
    /// # Safety
    /// They are the calling thread's, or no thread uses them now.
    unsafe fn flush(&self, magazines: &Magazines) {
        for bucket in SizeBucket::ALL {
            // SAFETY: the caller's guarantees are the same.
            if let Some(chain) = unsafe { magazines.flush_to(bucket, 0) } {
                // SAFETY: flushed just now, so the chain is this call's.
                unsafe { self.push(bucket, &chain) };
            }
        }
    }
}

/// Buffers of five sizes (256 B, 1, 4, 16 and 64 KiB) that are cached and reused by any thread.
/// Larger requests go to the upstream in the requested size.
///
/// A thread caches at most 1.2 MiB of free buffers; the rest goes to the depot for other threads.
/// A thread's first call allocates its magazines from the global allocator. Threads without memory
/// for magazines share one set under a lock.
///
/// [`Trim`] and [`StratifiedMemoryPool::shrink_to`] free the buffers of the depot and of the
/// calling thread. The other threads flush theirs when they next free a buffer.
///
/// ```
/// use arenite_alloc::{SizeBucket, StratifiedMemoryPool};
/// let pool = StratifiedMemoryPool::new("analytics");
/// let sizes = [100, 800, 2000, 10_000, 50_000];
/// let buffers: Vec<_> = sizes.iter().map(|&size| pool.allocate(size)).collect::<Result<_, _>>()?;
/// let buckets: Vec<_> = buffers.iter().map(|buffer| buffer.bucket()).collect();
/// assert_eq!(buckets, SizeBucket::ALL.map(Some));
/// drop(buffers);
/// let reused = pool.allocate(3500)?; // a hit
/// let stats = pool.stats();
/// assert_eq!((stats.total_allocations, stats.hits()), (6, 1));
/// println!("{:.1} % hits, in each bucket {:?}", stats.hit_rate() * 100.0, stats.hits_per_bucket);
/// # drop(reused); Ok::<(), arenite_core::AllocError>(())
/// ```
#[derive(Debug)]
pub struct StratifiedMemoryPool<R: Resource + Sync = Heap> {
    threads: Sharded<Depot<R>>,
}

impl StratifiedMemoryPool {
    /// Makes an empty pool with a heap of its own; `name` is the label in errors.
    pub fn new(name: impl Into<Label>) -> Self {
        Self::with_upstream(name, Heap::new())
    }
}

impl<R: Resource + Sync> StratifiedMemoryPool<R> {
    /// Makes an empty pool that allocates its buffers from `upstream`.
    pub fn with_upstream(name: impl Into<Label>, upstream: R) -> Self {
        let threads = Sharded::new(Depot {
            upstream,
            lists: [const { ForkSafeMutex::new(DepotList::EMPTY) }; 5],
            direct: UsageCounter::new(),
            direct_calls: AtomicU64::new(0),
            peak: AtomicUsize::new(0),
            fallback: Magazines::default(),
            fallback_lock: ForkSafeMutex::new(()),
            label: name.into(),
        });
        Self { threads }
    }

    /// Returns the pool's label.
    #[must_use]
    pub const fn label(&self) -> Label {
        self.depot().label
    }

    const fn depot(&self) -> &Depot<R> {
        self.threads.shared()
    }

    /// Returns the pool's counters. O(threads); exact once the threads have synchronized.
    #[must_use]
    pub fn stats(&self) -> StratifiedPoolStats {
        let depot = self.depot();
        let direct = depot.direct_calls.load(Relaxed);
        let mut stats = StratifiedPoolStats { direct, free_bytes: depot.free_bytes(), ..Default::default() };
        stats.add(&depot.fallback);
        self.threads.for_each(|magazines| stats.add(magazines));
        stats
    }

    /// Frees cached buffers to the upstream until at most `target_held` bytes are held. Returns the
    /// bytes freed.
    ///
    /// Other threads flush their buffers when they next free one.
    pub fn shrink_to(&self, target_held: usize) -> usize {
        let depot = self.depot();
        if let Some(magazines) = self.threads.local() {
            // SAFETY: the calling thread's magazines.
            unsafe { depot.flush(magazines) };
        }
        self.flush_fallback();
        self.flush_orphans();
        let mut held = self.state().held;
        let mut released = 0;
        for bucket in SizeBucket::ALL.into_iter().rev() {
            while held > target_held {
                let Some(chain) = depot.list(bucket).lock().pop() else { break };
                let bytes = chain.count as usize * bucket.size();
                held = held.saturating_sub(bytes);
                released += bytes;
                // SAFETY: popped just now, so the chain is this call's.
                unsafe { self.release_chain(bucket, chain) };
            }
        }
        if held > target_held {
            self.threads.for_each(Magazines::request_flush);
            // The calling thread has nothing left to flush.
            self.threads.local().map(Magazines::poll_flush_request);
        }
        released
    }

    /// Frees a chain of buffers to the upstream.
    ///
    /// # Safety
    /// The chain is the caller's, of that bucket.
    unsafe fn release_chain(&self, bucket: SizeBucket, chain: BlockChain) {
        let upstream = &self.depot().upstream;
        let free = |buffer| {
            // SAFETY: allocated there with this layout, and no longer used.
            unsafe { upstream.deallocate(buffer, bucket.layout()) };
        };
        // SAFETY: the caller's guarantees are the same.
        unsafe { chain.for_each(free) };
    }

    /// Flushes the magazines of exited threads.
    fn flush_orphans(&self) {
        self.threads.for_each_orphan(|magazines| {
            // SAFETY: no thread adopts them while their list is locked.
            unsafe { self.depot().flush(magazines) };
        });
    }

    /// Returns a buffer for a layout if the calling thread has one cached.
    #[inline(always)]
    pub(crate) fn try_cached(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.try_cached_of(SizeBucket::for_layout(layout)?)
    }

    #[inline(always)]
    fn try_cached_of(&self, bucket: SizeBucket) -> Option<NonNull<u8>> {
        // SAFETY: the calling thread's magazines.
        unsafe { self.threads.local()?.pop(bucket) }
    }

    /// Returns a handle that frees several buffers of the calling thread with one lookup.
    #[inline(always)]
    pub(crate) fn return_handle(&self) -> ReturnHandle<'_, R> {
        ReturnHandle { pool: self, magazines: self.threads.local(), one_thread: PhantomData }
    }

    /// Runs `work` with the shared magazines of threads without their own. The lock is held
    /// meanwhile.
    fn with_fallback<A>(&self, work: impl FnOnce(&Magazines) -> A) -> A {
        let _alone = self.depot().fallback_lock.lock();
        work(&self.depot().fallback)
    }

    /// Flushes the shared magazines. Returns whether there was anything.
    fn flush_fallback(&self) -> bool {
        if self.depot().fallback.looks_empty() {
            return false;
        }
        // SAFETY: the lock is held, so no other thread uses the shared magazines.
        self.with_fallback(|fallback| unsafe { self.depot().flush(fallback) });
        true
    }

    /// Frees a buffer to some magazines, or to the upstream.
    ///
    /// # Safety
    /// As [`Resource::deallocate`]; the magazines are the calling thread's.
    #[inline(always)]
    unsafe fn push_block(&self, magazines: &Magazines, block: NonNull<u8>, layout: Layout) {
        match SizeBucket::for_layout(layout) {
            Some(bucket) => {
                // SAFETY: the calling thread's magazines; the caller's promise.
                if unsafe { magazines.push(bucket, block) } {
                    // SAFETY: the calling thread's magazines.
                    unsafe { self.flush_half(magazines, bucket) };
                }
            }
            // SAFETY: the caller's guarantees are the same.
            None => unsafe { self.free_direct(block, layout) },
        }
    }

    /// Frees a buffer to the shared magazines, or to the upstream.
    ///
    /// # Safety
    /// As [`Resource::deallocate`].
    #[cold]
    #[inline(never)]
    unsafe fn push_to_fallback(&self, block: NonNull<u8>, layout: Layout) {
        let Some(bucket) = SizeBucket::for_layout(layout) else {
            // SAFETY: the caller's guarantees are the same.
            return unsafe { self.free_direct(block, layout) };
        };
        self.with_fallback(|fallback| {
            // SAFETY: the lock is held, so no other thread uses the shared magazines; the caller's
            // promise.
            if unsafe { fallback.push(bucket, block) } {
                // SAFETY: the lock is held, so no other thread uses the shared magazines.
                unsafe { self.flush_half(fallback, bucket) };
            }
        });
    }

    /// Frees a block to the upstream.
    ///
    /// # Safety
    /// As [`Resource::deallocate`], for a block larger than any bucket or with a larger alignment.
    #[cold]
    #[inline(never)]
    unsafe fn free_direct(&self, block: NonNull<u8>, layout: Layout) {
        self.depot().direct.record_free(layout.size());
        // SAFETY: allocated there with this layout.
        unsafe { self.depot().upstream.deallocate(block, layout) };
    }

    /// Relabels an upstream's error as this pool's.
    #[cold]
    fn with_context(&self, error: AllocError, layout: Layout) -> AllocError {
        with_layout(error, layout).with_context(self.state(), self.label())
    }

    fn update_peak(&self) {
        let in_use = self.stats().in_use() + self.depot().direct.in_use();
        self.depot().peak.fetch_max(in_use, Relaxed);
    }

    /// Allocates a buffer when the calling thread has none cached.
    #[cold]
    #[inline(never)]
    fn refill(&self, bucket: SizeBucket, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let cached = match self.threads.local() {
            Some(magazines) => {
                // SAFETY: the calling thread's magazines.
                let pop = || unsafe { self.pop_from_depot(magazines, bucket) };
                // Then the buffers that threads without magazines freed.
                pop().or_else(|| if self.flush_fallback() { pop() } else { None })
            }
            // SAFETY: the lock is held, so no other thread uses the shared magazines.
            None => self.with_fallback(|fallback| unsafe { self.pop_from_depot(fallback, bucket) }),
        };
        if let Some(buffer) = cached {
            return Ok(buffer);
        }
        let fresh = self.depot().upstream.allocate(bucket.layout());
        let buffer = fresh.map_err(|error| self.with_context(error, layout))?.cast();
        match self.threads.local() {
            Some(magazines) => magazines.record_miss(bucket),
            None => self.with_fallback(|fallback| fallback.record_miss(bucket)),
        }
        self.update_peak();
        Ok(buffer)
    }

    /// Pops a buffer of some magazines, which are first refilled with a chain of the depot if they
    /// are empty.
    ///
    /// # Safety
    /// The magazines are the calling thread's, or the shared ones, whose lock is held.
    unsafe fn pop_from_depot(&self, magazines: &Magazines, bucket: SizeBucket) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise. Shared magazines and those of an exited thread may have
        // buffers.
        if let Some(buffer) = unsafe { magazines.pop(bucket) } {
            return Some(buffer);
        }
        let list = self.depot().list(bucket);
        let chain = list.lock().pop();
        let chain = chain.or_else(|| {
            self.flush_orphans();
            list.lock().pop()
        })?;
        // SAFETY: the caller's guarantee; the magazine of that bucket is empty.
        unsafe { magazines.refill(bucket, &chain) };
        // SAFETY: the caller's guarantees are the same.
        unsafe { magazines.pop(bucket) }
    }

    /// Flushes half of a full magazine, or all magazines if that was requested.
    ///
    /// # Safety
    /// As `pop_from_depot`.
    #[cold]
    #[inline(never)]
    unsafe fn flush_half(&self, magazines: &Magazines, bucket: SizeBucket) {
        if magazines.poll_flush_request() {
            // SAFETY: the caller's guarantees are the same.
            unsafe { self.depot().flush(magazines) };
            return;
        }
        // SAFETY: the caller's guarantees are the same.
        if let Some(chain) = unsafe { magazines.flush_to(bucket, bucket.default_capacity() / 2) } {
            // SAFETY: flushed just now, so the chain is this call's.
            unsafe { self.depot().push(bucket, &chain) };
        }
    }

    #[cold]
    fn allocate_direct(&self, layout: Layout) -> AllocResult {
        let depot = self.depot();
        let block = depot.upstream.allocate(layout).map_err(|error| self.with_context(error, layout))?;
        depot.direct.record_alloc(layout.size());
        depot.direct_calls.fetch_add(1, Relaxed);
        self.update_peak();
        Ok(NonNull::slice_from_raw_parts(block.cast(), layout.size()))
    }
}

/// The calling thread's handle for freeing buffers. It stays on its thread and is not stored: an
/// exiting thread gives up its magazines.
pub(crate) struct ReturnHandle<'p, R: Resource + Sync> {
    pool: &'p StratifiedMemoryPool<R>,
    /// The thread's magazines, or `None` if there was no memory for them.
    magazines: Option<&'p Magazines>,
    one_thread: PhantomData<*const ()>,
}

impl<R: Resource + Sync> ReturnHandle<'_, R> {
    /// Frees a buffer.
    ///
    /// # Safety
    /// As [`Resource::deallocate`]; the thread did not start to exit since the handle was made.
    #[inline(always)]
    pub(crate) unsafe fn push(&self, block: NonNull<u8>, layout: Layout) {
        match self.magazines {
            // SAFETY: the calling thread's magazines; the caller's promises.
            Some(magazines) => unsafe { self.pool.push_block(magazines, block, layout) },
            // SAFETY: the caller's guarantees are the same.
            None => unsafe { self.pool.push_to_fallback(block, layout) },
        }
    }
}

// SAFETY: laws 1 to 3: a block is one of the upstream's, allocated to one user at a time. A free
// one lies in one thread's magazines or in one chain of the depot. Law 4: zero bytes get the
// smallest buffer.
unsafe impl<R: Resource + Sync> Resource for StratifiedMemoryPool<R> {
    #[inline]
    fn allocate(&self, layout: Layout) -> AllocResult {
        let Some(bucket) = SizeBucket::for_layout(layout) else { return self.allocate_direct(layout) };
        let buffer = match self.try_cached_of(bucket) {
            Some(buffer) => buffer,
            None => self.refill(bucket, layout)?,
        };
        Ok(NonNull::slice_from_raw_parts(buffer, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        match self.threads.local() {
            // SAFETY: the calling thread's magazines; the caller's promise.
            Some(magazines) => unsafe { self.push_block(magazines, block, layout) },
            // SAFETY: the caller's guarantees are the same.
            None => unsafe { self.push_to_fallback(block, layout) },
        }
    }

    grow_and_shrink_by!(resize);

    /// Returns the state. The peak is updated by this call and by each allocation of fresh memory.
    fn state(&self) -> ResourceState {
        let stats = self.stats();
        let direct = self.depot().direct.state();
        let in_use = stats.in_use() + direct.in_use;
        let peak = self.depot().peak.fetch_max(in_use, Relaxed).max(in_use);
        ResourceState {
            in_use,
            held: in_use + stats.free_bytes,
            peak,
            live_blocks: stats.live_blocks() + direct.live_blocks,
            largest_free: None,
            limit: None,
        }
    }
}

impl<R: Resource + Sync + Trim> Trim for StratifiedMemoryPool<R> {
    fn trim(&self, target_held: usize) -> usize {
        let released = self.shrink_to(target_held);
        // The upstream trims what it now holds unused.
        if released > 0 {
            self.depot().upstream.trim(0);
        }
        released
    }
}

impl<R: Resource + Sync> Drop for StratifiedMemoryPool<R> {
    fn drop(&mut self) {
        self.threads.for_each(|magazines| {
            // SAFETY: the pool is borrowed exclusively, so no thread uses it.
            unsafe { self.depot().flush(magazines) };
        });
        // SAFETY: the pool is borrowed exclusively, so no thread uses it.
        unsafe { self.depot().flush(&self.depot().fallback) };
        for bucket in SizeBucket::ALL {
            loop {
                let chain = self.depot().list(bucket).lock().pop();
                let Some(chain) = chain else { break };
                // SAFETY: popped just now, so the chain is this call's.
                unsafe { self.release_chain(bucket, chain) };
            }
        }
    }
}
