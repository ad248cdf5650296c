//! The stratified pool that threads share.
//!
//! Rests on [`Sharded`] magazines, a depot of chains between them, and any upstream. A thread takes from and gives to its own magazines
//! without a lock and without an atomic exchange; a thread that frees more than it takes hands half of what it keeps to the depot at
//! once, where a thread that takes more finds it (the magazines and depot of Bonwick and Adams, "Magazines and Vmem", 2001). Threads for
//! whose magazines there is no memory share one set, under a lock.
#![expect(unsafe_code, reason = "allocates blocks of its upstream")]

use super::buffer::layout;
use super::local::resize;
use super::magazines::{BlockChain, DepotList, Magazines};
use super::{SizeBucket, StratifiedBuffer, StratifiedPoolStats};
use crate::Heap;
use crate::util::sharded::{Sharded, ShardedState};
use crate::util::usage_counter::UsageCounter;
use crate::util::with_layout;
use arenite_core::{AllocError, Label, Resource, ResourceState, Trim};
use arenite_pages::Lock;
use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// What the threads share.
#[derive(Debug)]
struct Depot<R> {
    upstream: R,
    magazines: [Lock<DepotList>; 5],
    direct: UsageCounter,
    direct_calls: AtomicU64,
    peak: AtomicUsize,
    /// The magazines of threads for which there is no memory to have their own, one at a time under the lock. Under it the list of parts is
    /// locked, and under that a list; nothing that is others' code is called under any of them, the global allocator included.
    fallback: Magazines,
    fallback_lock: Lock<()>,
    label: Label,
}

impl<R> Depot<R> {
    const fn list(&self, bucket: SizeBucket) -> &Lock<DepotList> {
        &self.magazines[bucket as usize]
    }

    /// # Safety
    /// The chain is the caller's, of that bucket.
    unsafe fn push(&self, bucket: SizeBucket, chain: &BlockChain) {
        // SAFETY: the caller's promise.
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
    /// Takes everything off some magazines.
    ///
    /// # Safety
    /// They are the calling thread's, or no thread comes to them now.
    unsafe fn flush(&self, magazines: &Magazines) {
        for bucket in SizeBucket::ALL {
            // SAFETY: the caller's promise.
            if let Some(chain) = unsafe { magazines.flush_to(bucket, 0) } {
                // SAFETY: taken just now.
                unsafe { self.push(bucket, &chain) };
            }
        }
    }
}

/// Buffers of five sizes (256 B, 1, 4, 16 and 64 KiB), kept when they come back and lent again, to any thread. What is larger than the
/// largest is lent at the size poll_flush_request, straight from the upstream.
///
/// A thread keeps at most 1.2 MiB of free buffers; what it frees above that is the other threads'. Its first call asks the global allocator
/// for its magazines; where there is no memory for them, it uses a set that all such threads share under a lock. [`Trim`] and
/// [`StratifiedMemoryPool::shrink_to`] give back what the depot and the calling thread keep, and have the other threads hand in
/// theirs when they next free something.
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
    /// An empty pool over a heap of its own; `name` stands in its errors.
    pub fn new(name: impl Into<Label>) -> Self {
        Self::with_upstream(name, Heap::new())
    }
}

impl<R: Resource + Sync> StratifiedMemoryPool<R> {
    /// An empty pool that takes its buffers from `upstream`.
    pub fn with_upstream(name: impl Into<Label>, upstream: R) -> Self {
        let threads = Sharded::new(Depot {
            upstream,
            magazines: [const { Lock::new(DepotList::EMPTY) }; 5],
            direct: UsageCounter::new(),
            direct_calls: AtomicU64::new(0),
            peak: AtomicUsize::new(0),
            fallback: Magazines::default(),
            fallback_lock: Lock::new(()),
            label: name.into(),
        });
        Self { threads }
    }

    /// A buffer of `size` bytes at 64, its bytes undefined. O(1), without a lock where the calling thread keeps one.
    ///
    /// # Errors
    /// What the upstream refuses, and sizes above `isize::MAX`.
    #[inline]
    pub fn allocate(&self, size: usize) -> Result<StratifiedBuffer<'_, Self>, AllocError> {
        let layout = layout(size, || (self.state(), self.label()))?;
        let start = Resource::allocate(self, layout)?.cast();
        // SAFETY: a fresh block of that layout.
        Ok(unsafe { StratifiedBuffer::own(start, size, self) })
    }

    /// A buffer of `size` zeroes.
    ///
    /// # Errors
    /// As [`StratifiedMemoryPool::allocate`].
    #[inline]
    pub fn allocate_zeroed(&self, size: usize) -> Result<StratifiedBuffer<'_, Self, u8>, AllocError> {
        Ok(self.allocate(size)?.zeroed())
    }

    /// The pool's name.
    #[must_use]
    pub const fn label(&self) -> Label {
        self.depot().label
    }

    const fn depot(&self) -> &Depot<R> {
        self.threads.shared()
    }

    /// What the pool has done. O(threads); exact once they have met.
    #[must_use]
    pub fn stats(&self) -> StratifiedPoolStats {
        let depot = self.depot();
        let direct = depot.direct_calls.load(Relaxed);
        let mut stats = StratifiedPoolStats { direct, free_bytes: depot.free_bytes(), ..Default::default() };
        stats.add(&depot.fallback);
        self.threads.for_each(|magazines| stats.add(magazines));
        stats
    }

    /// Gives free buffers back to the upstream until at most `target_held` bytes are held; returns how many sent. What other
    /// threads keep, they hand in when they next free a buffer.
    pub fn shrink_to(&self, target_held: usize) -> usize {
        let depot = self.depot();
        if let Some(magazines) = self.threads.local() {
            // SAFETY: the calling thread's.
            unsafe { depot.flush(magazines) };
        }
        self.flush_fallback();
        self.flush_orphans();
        let mut held = self.state().held;
        let mut gone = 0;
        for bucket in SizeBucket::ALL.into_iter().rev() {
            while held > target_held {
                let Some(chain) = depot.list(bucket).lock().pop() else { break };
                let bytes = chain.count as usize * bucket.size();
                held = held.saturating_sub(bytes);
                gone += bytes;
                // SAFETY: taken just now.
                unsafe { self.release_chain(bucket, chain) };
            }
        }
        if held > target_held {
            self.threads.for_each(Magazines::request_flush);
            // this one has nothing left
            self.threads.local().map(Magazines::poll_flush_request);
        }
        gone
    }

    /// # Safety
    /// The chain is the caller's, of that bucket.
    unsafe fn release_chain(&self, bucket: SizeBucket, chain: BlockChain) {
        let upstream = &self.depot().upstream;
        let give = |buffer| {
            // SAFETY: received from there, with this layout, and is nobody's now.
            unsafe { upstream.deallocate(buffer, bucket.layout()) };
        };
        // SAFETY: the caller's promise.
        unsafe { chain.for_each(give) };
    }

    /// Takes everything off the magazines of threads that have ended.
    fn flush_orphans(&self) {
        self.threads.for_each_orphan(|magazines| {
            // SAFETY: no thread comes to them while the list of them is looked at.
            unsafe { self.depot().flush(magazines) };
        });
    }

    /// A buffer for a layout that the calling thread keeps, if it does.
    #[inline(always)]
    pub(crate) fn try_cached(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.try_cached_of(SizeBucket::for_layout(layout)?)
    }

    #[inline(always)]
    fn try_cached_of(&self, bucket: SizeBucket) -> Option<NonNull<u8>> {
        // SAFETY: the calling thread's magazines.
        unsafe { self.threads.local()?.pop(bucket) }
    }

    /// Where the calling thread's buffers go: looked up once for several of them.
    #[inline(always)]
    pub(crate) fn return_handle(&self) -> ReturnHandle<'_, R> {
        ReturnHandle { pool: self, magazines: self.threads.local(), one_thread: PhantomData }
    }

    /// Uses the magazines of all threads that have none of their own. The lock is held meanwhile.
    fn with_fallback<A>(&self, work: impl FnOnce(&Magazines) -> A) -> A {
        let _alone = self.depot().fallback_lock.lock();
        work(&self.depot().fallback)
    }

    /// Takes everything off those, if there was anything.
    fn flush_fallback(&self) -> bool {
        if self.depot().fallback.looks_empty() {
            return false;
        }
        // SAFETY: the magazines of whoever has the lock.
        self.with_fallback(|fallback| unsafe { self.depot().flush(fallback) });
        true
    }

    /// Gives a buffer back to some magazines, or to the upstream.
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
            // SAFETY: the caller's promise.
            None => unsafe { self.free_direct(block, layout) },
        }
    }

    /// # Safety
    /// As [`Resource::deallocate`].
    #[cold]
    #[inline(never)]
    unsafe fn push_to_fallback(&self, block: NonNull<u8>, layout: Layout) {
        let Some(bucket) = SizeBucket::for_layout(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { self.free_direct(block, layout) };
        };
        self.with_fallback(|fallback| {
            // SAFETY: the magazines of whoever has the lock; the caller's promise.
            if unsafe { fallback.push(bucket, block) } {
                // SAFETY: the magazines of whoever has the lock.
                unsafe { self.flush_half(fallback, bucket) };
            }
        });
    }

    /// # Safety
    /// As [`Resource::deallocate`], of a block larger than any bucket or more aligned.
    #[cold]
    #[inline(never)]
    unsafe fn free_direct(&self, block: NonNull<u8>, layout: Layout) {
        self.depot().direct.record_free(layout.size());
        // SAFETY: received from there, with this layout.
        unsafe { self.depot().upstream.deallocate(block, layout) };
    }

    /// What an upstream refused, as this pool tells it.
    #[cold]
    fn with_context(&self, error: AllocError, layout: Layout) -> AllocError {
        with_layout(error, layout).of(self.state(), self.label())
    }

    fn update_peak(&self) {
        let in_use = self.stats().in_use() + self.depot().direct.in_use();
        self.depot().peak.fetch_max(in_use, Relaxed);
    }

    /// The calling thread keeps none.
    #[cold]
    #[inline(never)]
    fn refill(&self, bucket: SizeBucket, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let kept = match self.threads.local() {
            Some(magazines) => {
                // SAFETY: the calling thread's magazines.
                let take = || unsafe { self.pop_from_depot(magazines, bucket) };
                // after it, what threads left on the fallback ones that had none of their own
                take().or_else(|| if self.flush_fallback() { take() } else { None })
            }
            // SAFETY: the magazines of whoever has the lock.
            None => self.with_fallback(|fallback| unsafe { self.pop_from_depot(fallback, bucket) }),
        };
        if let Some(buffer) = kept {
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

    /// A buffer of some magazines, or of a chain of the depot's, whose others they keep then.
    ///
    /// # Safety
    /// The magazines are the calling thread's, or the fallback ones, whose lock it has.
    unsafe fn pop_from_depot(&self, magazines: &Magazines, bucket: SizeBucket) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise. They may have some: the fallback ones, or those of a thread that ended.
        if let Some(buffer) = unsafe { magazines.pop(bucket) } {
            return Some(buffer);
        }
        let list = self.depot().list(bucket);
        let chain = list.lock().pop();
        let chain = chain.or_else(|| {
            self.flush_orphans();
            list.lock().pop()
        })?;
        // SAFETY: the caller's promise; the magazine of that bucket is empty.
        unsafe { magazines.refill(bucket, &chain) };
        // SAFETY: the caller's promise.
        unsafe { magazines.pop(bucket) }
    }

    /// Some magazines keep too much, or were poll_flush_request to keep nothing.
    ///
    /// # Safety
    /// As `pop_from_depot`.
    #[cold]
    #[inline(never)]
    unsafe fn flush_half(&self, magazines: &Magazines, bucket: SizeBucket) {
        if magazines.poll_flush_request() {
            // SAFETY: the caller's promise.
            unsafe { self.depot().flush(magazines) };
            return;
        }
        // SAFETY: the caller's promise.
        if let Some(chain) = unsafe { magazines.flush_to(bucket, bucket.default_capacity() / 2) } {
            // SAFETY: taken just now.
            unsafe { self.depot().push(bucket, &chain) };
        }
    }

    #[cold]
    fn allocate_direct(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let depot = self.depot();
        let block = depot.upstream.allocate(layout).map_err(|error| self.with_context(error, layout))?;
        depot.direct.record_alloc(layout.size());
        depot.direct_calls.fetch_add(1, Relaxed);
        self.update_peak();
        Ok(NonNull::slice_from_raw_parts(block.cast(), layout.size()))
    }
}

/// The calling thread's way back into a pool. It stays on its thread, and is not kept: a thread that ends gives its magazines up.
pub(crate) struct ReturnHandle<'p, R: Resource + Sync> {
    pool: &'p StratifiedMemoryPool<R>,
    /// `None`: there was no memory for its own.
    magazines: Option<&'p Magazines>,
    one_thread: PhantomData<*const ()>,
}

impl<R: Resource + Sync> ReturnHandle<'_, R> {
    /// Gives a buffer back.
    ///
    /// # Safety
    /// As [`Resource::deallocate`]; the thread did not begin to end since this was made.
    #[inline(always)]
    pub(crate) unsafe fn push(&self, block: NonNull<u8>, layout: Layout) {
        match self.magazines {
            // SAFETY: the calling thread's magazines; the caller's promises.
            Some(magazines) => unsafe { self.pool.push_block(magazines, block, layout) },
            // SAFETY: the caller's promises.
            None => unsafe { self.pool.push_to_fallback(block, layout) },
        }
    }
}

// SAFETY: laws 1 to 3: a block is one of the upstream's, lent to one at a time: it lies on one thread's magazines or in one chain
// of the depot; law 4: no bytes get the smallest buffer.
unsafe impl<R: Resource + Sync> Resource for StratifiedMemoryPool<R> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
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
            // SAFETY: the caller's promise.
            None => unsafe { self.push_to_fallback(block, layout) },
        }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises.
        unsafe { resize(self, block, old, new) }
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises.
        unsafe { resize(self, block, old, new) }
    }

    /// The peak is looked at when fresh memory is taken and when this is called.
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
        let gone = self.shrink_to(target_held);
        // what the upstream then holds for nobody
        if gone > 0 {
            self.depot().upstream.trim(0);
        }
        gone
    }
}

impl<R: Resource + Sync> Drop for StratifiedMemoryPool<R> {
    fn drop(&mut self) {
        self.threads.for_each(|magazines| {
            // SAFETY: the pool is borrowed exclusively, so no thread uses it.
            unsafe { self.depot().flush(magazines) };
        });
        // SAFETY: as above.
        unsafe { self.depot().flush(&self.depot().fallback) };
        for bucket in SizeBucket::ALL {
            loop {
                let chain = self.depot().list(bucket).lock().pop();
                let Some(chain) = chain else { break };
                // SAFETY: taken just now.
                unsafe { self.release_chain(bucket, chain) };
            }
        }
    }
}
