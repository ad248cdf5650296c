//! The stratified pool that threads share.
//!
//! Rests on [`PerThread`] shelves, a depot of chains between them, and any upstream. A thread takes from and gives to its own shelves
//! without a lock and without an atomic exchange; a thread that frees more than it takes hands half of what it keeps to the depot at
//! once, where a thread that takes more finds it (the magazines and depot of Bonwick and Adams, "Magazines and Vmem", 2001). Threads for
//! whose shelves there is no memory share one set, under a lock.
#![expect(unsafe_code, reason = "lends blocks of its upstream")]

use super::buffer::layout;
use super::local::resize;
use super::magazines::{Chain, Shelf, Shelves};
use super::{SizeBucket, StratifiedBuffer, StratifiedPoolStats};
use crate::Heap;
use crate::util::sharded::{Divided, PerThread};
use crate::util::usage_counter::Tally;
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
    shelves: [Lock<Shelf>; 5],
    direct: Tally,
    direct_calls: AtomicU64,
    peak: AtomicUsize,
    /// The shelves of threads for which there is no memory to have their own, one at a time under the lock. Under it the list of parts is
    /// locked, and under that a shelf; nothing that is others' code is called under any of them, the global allocator included.
    common: Shelves,
    of_common: Lock<()>,
    label: Label,
}

impl<R> Depot<R> {
    const fn shelf(&self, bucket: SizeBucket) -> &Lock<Shelf> {
        &self.shelves[bucket as usize]
    }

    /// # Safety
    /// The chain is the caller's, of that bucket.
    unsafe fn put(&self, bucket: SizeBucket, chain: &Chain) {
        // SAFETY: the caller's promise.
        unsafe { self.shelf(bucket).lock().put(chain) };
    }

    fn free_bytes(&self) -> usize {
        SizeBucket::ALL.iter().map(|&bucket| self.shelf(bucket).lock().buffers * bucket.size()).sum()
    }
}

impl<R: Sync> Divided for Depot<R> {
    type Part = Shelves;
}

impl<R> Depot<R> {
    /// Takes everything off some shelves.
    ///
    /// # Safety
    /// They are the calling thread's, or no thread comes to them now.
    unsafe fn clear(&self, shelves: &Shelves) {
        for bucket in SizeBucket::ALL {
            // SAFETY: the caller's promise.
            if let Some(chain) = unsafe { shelves.spill(bucket, 0) } {
                // SAFETY: taken just now.
                unsafe { self.put(bucket, &chain) };
            }
        }
    }
}

/// Buffers of five sizes (256 B, 1, 4, 16 and 64 KiB), kept when they come back and lent again, to any thread. What is larger than the
/// largest is lent at the size asked, straight from the upstream.
///
/// A thread keeps at most 1.2 MiB of free buffers; what it frees above that is the other threads'. Its first call asks the global allocator
/// for its shelves; where there is no memory for them, it uses a set that all such threads share under a lock. [`Trim`] and
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
    threads: PerThread<Depot<R>>,
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
        let threads = PerThread::new(Depot {
            upstream,
            shelves: [const { Lock::new(Shelf::EMPTY) }; 5],
            direct: Tally::new(),
            direct_calls: AtomicU64::new(0),
            peak: AtomicUsize::new(0),
            common: Shelves::default(),
            of_common: Lock::new(()),
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
        self.threads.whole()
    }

    /// What the pool has done. O(threads); exact once they have met.
    #[must_use]
    pub fn stats(&self) -> StratifiedPoolStats {
        let depot = self.depot();
        let direct = depot.direct_calls.load(Relaxed);
        let mut stats = StratifiedPoolStats { direct, free_bytes: depot.free_bytes(), ..Default::default() };
        stats.add(&depot.common);
        self.threads.each(|shelves| stats.add(shelves));
        stats
    }

    /// Gives free buffers back to the upstream until at most `target_held` bytes are held; returns how many went. What other
    /// threads keep, they hand in when they next free a buffer.
    pub fn shrink_to(&self, target_held: usize) -> usize {
        let depot = self.depot();
        if let Some(shelves) = self.threads.part() {
            // SAFETY: the calling thread's.
            unsafe { depot.clear(shelves) };
        }
        self.clear_common();
        self.clear_left();
        let mut held = self.state().held;
        let mut gone = 0;
        for bucket in SizeBucket::ALL.into_iter().rev() {
            while held > target_held {
                let Some(chain) = depot.shelf(bucket).lock().take() else { break };
                let bytes = chain.count as usize * bucket.size();
                held = held.saturating_sub(bytes);
                gone += bytes;
                // SAFETY: taken just now.
                unsafe { self.release(bucket, chain) };
            }
        }
        if held > target_held {
            self.threads.each(Shelves::ask);
            // this one has nothing left
            self.threads.part().map(Shelves::asked);
        }
        gone
    }

    /// # Safety
    /// The chain is the caller's, of that bucket.
    unsafe fn release(&self, bucket: SizeBucket, chain: Chain) {
        let upstream = &self.depot().upstream;
        let give = |buffer| {
            // SAFETY: came from there, with this layout, and is nobody's now.
            unsafe { upstream.deallocate(buffer, bucket.layout()) };
        };
        // SAFETY: the caller's promise.
        unsafe { chain.each(give) };
    }

    /// Takes everything off the shelves of threads that have ended.
    fn clear_left(&self) {
        self.threads.each_left(|shelves| {
            // SAFETY: no thread comes to them while the list of them is looked at.
            unsafe { self.depot().clear(shelves) };
        });
    }

    /// A buffer for a layout that the calling thread keeps, if it does.
    #[inline(always)]
    pub(crate) fn take_kept(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.take_kept_of(SizeBucket::serving(layout)?)
    }

    #[inline(always)]
    fn take_kept_of(&self, bucket: SizeBucket) -> Option<NonNull<u8>> {
        // SAFETY: the calling thread's shelves.
        unsafe { self.threads.part()?.pop(bucket) }
    }

    /// Where the calling thread's buffers go: looked up once for several of them.
    #[inline(always)]
    pub(crate) fn returning(&self) -> Returning<'_, R> {
        Returning { pool: self, shelves: self.threads.part(), one_thread: PhantomData }
    }

    /// Uses the shelves of all threads that have none of their own. The lock is held meanwhile.
    fn in_common<A>(&self, work: impl FnOnce(&Shelves) -> A) -> A {
        let _alone = self.depot().of_common.lock();
        work(&self.depot().common)
    }

    /// Takes everything off those, if there was anything.
    fn clear_common(&self) -> bool {
        if self.depot().common.look_empty() {
            return false;
        }
        // SAFETY: the shelves of whoever has the lock.
        self.in_common(|common| unsafe { self.depot().clear(common) });
        true
    }

    /// Gives a buffer back to some shelves, or to the upstream.
    ///
    /// # Safety
    /// As [`Resource::deallocate`]; the shelves are the calling thread's.
    #[inline(always)]
    unsafe fn give(&self, shelves: &Shelves, block: NonNull<u8>, layout: Layout) {
        match SizeBucket::serving(layout) {
            Some(bucket) => {
                // SAFETY: the calling thread's shelves; the caller's promise.
                if unsafe { shelves.push(bucket, block) } {
                    // SAFETY: the calling thread's shelves.
                    unsafe { self.spill(shelves, bucket) };
                }
            }
            // SAFETY: the caller's promise.
            None => unsafe { self.give_direct(block, layout) },
        }
    }

    /// # Safety
    /// As [`Resource::deallocate`].
    #[cold]
    #[inline(never)]
    unsafe fn give_to_common(&self, block: NonNull<u8>, layout: Layout) {
        let Some(bucket) = SizeBucket::serving(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { self.give_direct(block, layout) };
        };
        self.in_common(|common| {
            // SAFETY: the shelves of whoever has the lock; the caller's promise.
            if unsafe { common.push(bucket, block) } {
                // SAFETY: the shelves of whoever has the lock.
                unsafe { self.spill(common, bucket) };
            }
        });
    }

    /// # Safety
    /// As [`Resource::deallocate`], of a block larger than any bucket or more aligned.
    #[cold]
    #[inline(never)]
    unsafe fn give_direct(&self, block: NonNull<u8>, layout: Layout) {
        self.depot().direct.remove(layout.size());
        // SAFETY: came from there, with this layout.
        unsafe { self.depot().upstream.deallocate(block, layout) };
    }

    /// What an upstream refused, as this pool tells it.
    #[cold]
    fn refused(&self, error: AllocError, layout: Layout) -> AllocError {
        AllocError {
            cause: error.cause,
            size: layout.size(),
            align: layout.align(),
            state: self.state(),
            label: self.label(),
        }
    }

    fn note_peak(&self) {
        let in_use = self.stats().in_use() + self.depot().direct.in_use();
        self.depot().peak.fetch_max(in_use, Relaxed);
    }

    /// The calling thread keeps none.
    #[cold]
    #[inline(never)]
    fn refill(&self, bucket: SizeBucket, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let kept = match self.threads.part() {
            Some(shelves) => {
                // SAFETY: the calling thread's shelves.
                let take = || unsafe { self.take_of_depot(shelves, bucket) };
                // after it, what threads left on the common ones that had none of their own
                take().or_else(|| if self.clear_common() { take() } else { None })
            }
            // SAFETY: the shelves of whoever has the lock.
            None => self.in_common(|common| unsafe { self.take_of_depot(common, bucket) }),
        };
        if let Some(buffer) = kept {
            return Ok(buffer);
        }
        let fresh = self.depot().upstream.allocate(bucket.layout());
        let buffer = fresh.map_err(|error| self.refused(error, layout))?.cast();
        match self.threads.part() {
            Some(shelves) => shelves.missed(bucket),
            None => self.in_common(|common| common.missed(bucket)),
        }
        self.note_peak();
        Ok(buffer)
    }

    /// A buffer of some shelves, or of a chain of the depot's, whose others they keep then.
    ///
    /// # Safety
    /// The shelves are the calling thread's, or the common ones, whose lock it has.
    unsafe fn take_of_depot(&self, shelves: &Shelves, bucket: SizeBucket) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise. They may have some: the common ones, or those of a thread that ended.
        if let Some(buffer) = unsafe { shelves.pop(bucket) } {
            return Some(buffer);
        }
        let shelf = self.depot().shelf(bucket);
        let chain = shelf.lock().take();
        let chain = chain.or_else(|| {
            self.clear_left();
            shelf.lock().take()
        })?;
        // SAFETY: the caller's promise; the stack of that bucket is empty.
        unsafe { shelves.refill(bucket, &chain) };
        // SAFETY: the caller's promise.
        unsafe { shelves.pop(bucket) }
    }

    /// Some shelves keep too much, or were asked to keep nothing.
    ///
    /// # Safety
    /// As `take_of_depot`.
    #[cold]
    #[inline(never)]
    unsafe fn spill(&self, shelves: &Shelves, bucket: SizeBucket) {
        if shelves.asked() {
            // SAFETY: the caller's promise.
            unsafe { self.depot().clear(shelves) };
            return;
        }
        // SAFETY: the caller's promise.
        if let Some(chain) = unsafe { shelves.spill(bucket, bucket.kept() / 2) } {
            // SAFETY: taken just now.
            unsafe { self.depot().put(bucket, &chain) };
        }
    }

    #[cold]
    fn direct(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let depot = self.depot();
        let block = depot.upstream.allocate(layout).map_err(|error| self.refused(error, layout))?;
        depot.direct.add(layout.size());
        depot.direct_calls.fetch_add(1, Relaxed);
        self.note_peak();
        Ok(NonNull::slice_from_raw_parts(block.cast(), layout.size()))
    }
}

/// The calling thread's way back into a pool. It stays on its thread, and is not kept: a thread that ends gives its shelves up.
pub(crate) struct Returning<'p, R: Resource + Sync> {
    pool: &'p StratifiedMemoryPool<R>,
    /// `None`: there was no memory for its own.
    shelves: Option<&'p Shelves>,
    one_thread: PhantomData<*const ()>,
}

impl<R: Resource + Sync> Returning<'_, R> {
    /// Gives a buffer back.
    ///
    /// # Safety
    /// As [`Resource::deallocate`]; the thread did not begin to end since this was made.
    #[inline(always)]
    pub(crate) unsafe fn give(&self, block: NonNull<u8>, layout: Layout) {
        match self.shelves {
            // SAFETY: the calling thread's shelves; the caller's promises.
            Some(shelves) => unsafe { self.pool.give(shelves, block, layout) },
            // SAFETY: the caller's promises.
            None => unsafe { self.pool.give_to_common(block, layout) },
        }
    }
}

// SAFETY: laws 1 to 3: a block is one of the upstream's, lent to one at a time: it lies on one thread's shelves or in one chain
// of the depot; law 4: no bytes get the smallest buffer.
unsafe impl<R: Resource + Sync> Resource for StratifiedMemoryPool<R> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let Some(bucket) = SizeBucket::serving(layout) else { return self.direct(layout) };
        let buffer = match self.take_kept_of(bucket) {
            Some(buffer) => buffer,
            None => self.refill(bucket, layout)?,
        };
        Ok(NonNull::slice_from_raw_parts(buffer, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        match self.threads.part() {
            // SAFETY: the calling thread's shelves; the caller's promise.
            Some(shelves) => unsafe { self.give(shelves, block, layout) },
            // SAFETY: the caller's promise.
            None => unsafe { self.give_to_common(block, layout) },
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
        self.threads.each(|shelves| {
            // SAFETY: the pool is borrowed exclusively, so no thread uses it.
            unsafe { self.depot().clear(shelves) };
        });
        // SAFETY: as above.
        unsafe { self.depot().clear(&self.depot().common) };
        for bucket in SizeBucket::ALL {
            loop {
                let chain = self.depot().shelf(bucket).lock().take();
                let Some(chain) = chain else { break };
                // SAFETY: taken just now.
                unsafe { self.release(bucket, chain) };
            }
        }
    }
}
