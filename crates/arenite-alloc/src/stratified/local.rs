//! The stratified pool of one thread. A cached buffer costs three loads and two stores.
#![expect(unsafe_code, reason = "allocates blocks of its upstream")]

use super::magazines::Magazines;
use super::{SizeBucket, StratifiedPoolStats};
use crate::Heap;
use crate::util::resource_macros::grow_and_shrink_by;
use crate::util::usage_counter::UsageCounter;
use crate::util::with_layout;
use arenite_core::{AllocError, AllocResult, Label, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// Buffers of five sizes that are cached for reuse, for one thread. Threads share a
/// [`StratifiedMemoryPool`](super::StratifiedMemoryPool).
///
/// ```
/// use arenite_alloc::LocalStratifiedPool;
/// let pool = LocalStratifiedPool::new("analytics");
/// drop(pool.allocate(2000)?);
/// let again = pool.allocate(3500)?; // the freed buffer serves this one
/// assert_eq!((pool.stats().hits(), pool.stats().misses()), (1, 1));
/// # drop(again); Ok::<(), arenite_core::AllocError>(())
/// ```
#[derive(Debug)]
pub struct LocalStratifiedPool<R: Resource = Heap> {
    upstream: R,
    magazines: Magazines,
    direct: UsageCounter,
    direct_calls: Cell<u64>,
    peak: Cell<usize>,
    pub(super) label: Label,
    one_thread: PhantomData<Cell<()>>,
}

impl LocalStratifiedPool {
    /// Makes an empty pool with a heap of its own; `name` is the label in errors.
    pub fn new(name: impl Into<Label>) -> Self {
        Self::with_upstream(name, Heap::new())
    }
}

impl<R: Resource> LocalStratifiedPool<R> {
    /// Makes an empty pool that allocates its buffers from `upstream`.
    pub fn with_upstream(name: impl Into<Label>, upstream: R) -> Self {
        Self {
            upstream,
            magazines: Magazines::default(),
            direct: UsageCounter::new(),
            direct_calls: Cell::new(0),
            peak: Cell::new(0),
            label: name.into(),
            one_thread: PhantomData,
        }
    }

    /// Returns the pool's counters.
    #[must_use]
    pub fn stats(&self) -> StratifiedPoolStats {
        let mut stats = StratifiedPoolStats { direct: self.direct_calls.get(), ..Default::default() };
        stats.add(&self.magazines);
        stats
    }

    /// Frees cached buffers to the upstream until at most `target_held` bytes are held. Returns the
    /// bytes freed.
    pub fn shrink_to(&self, target_held: usize) -> usize {
        let mut released = 0;
        for bucket in SizeBucket::ALL.into_iter().rev() {
            let excess = self.state().held.saturating_sub(target_held);
            let excess = excess.div_ceil(bucket.size());
            let free = self.magazines.counts(bucket).free;
            let keep = free.saturating_sub(excess as u64);
            // SAFETY: this thread alone uses the magazines.
            if let Some(chain) = unsafe { self.magazines.flush_to(bucket, u32::try_from(keep).unwrap_or(0)) }
            {
                released += chain.count as usize * bucket.size();
                let free_buffer = |buffer| {
                    // SAFETY: allocated there with this layout, and no longer used.
                    unsafe { self.upstream.deallocate(buffer, bucket.layout()) };
                };
                // SAFETY: the chain belongs to this call.
                unsafe { chain.for_each(free_buffer) };
            }
        }
        released
    }

    #[cold]
    #[inline(never)]
    fn allocate_fresh(&self, bucket: SizeBucket, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let buffer =
            self.upstream.allocate(bucket.layout()).map_err(|error| self.with_context(error, layout))?.cast();
        self.magazines.record_miss(bucket);
        self.peak.set(self.peak.get().max(self.stats().in_use()));
        Ok(buffer)
    }

    /// Relabels an upstream's error as this pool's.
    #[cold]
    fn with_context(&self, error: AllocError, layout: Layout) -> AllocError {
        with_layout(error, layout).with_context(self.state(), self.label)
    }

    #[cold]
    fn allocate_direct(&self, layout: Layout) -> AllocResult {
        let block = self.upstream.allocate(layout).map_err(|error| self.with_context(error, layout))?;
        self.direct.record_alloc(layout.size());
        self.direct_calls.set(self.direct_calls.get() + 1);
        self.peak.set(self.peak.get().max(self.stats().in_use() + self.direct.in_use()));
        Ok(NonNull::slice_from_raw_parts(block.cast(), layout.size()))
    }
}

impl StratifiedPoolStats {
    /// Adds the counters of one thread.
    pub(super) fn add(&mut self, magazines: &Magazines) {
        for bucket in SizeBucket::ALL {
            let counts = magazines.counts(bucket);
            let at = bucket as usize;
            self.hits_per_bucket[at] += counts.hits;
            self.misses_per_bucket[at] += counts.misses;
            self.returns_per_bucket[at] += counts.returns;
            self.free_bytes +=
                usize::try_from(counts.free).unwrap_or(usize::MAX).saturating_mul(bucket.size());
        }
        self.total_allocations = self.hits() + self.misses();
    }

    /// Returns the bytes of live buffers of the buckets.
    pub(super) fn in_use(&self) -> usize {
        SizeBucket::ALL
            .iter()
            .map(|&bucket| {
                usize::try_from(self.live(bucket)).unwrap_or(usize::MAX).saturating_mul(bucket.size())
            })
            .sum()
    }

    pub(super) fn live_blocks(&self) -> usize {
        SizeBucket::ALL.iter().map(|&bucket| usize::try_from(self.live(bucket)).unwrap_or(usize::MAX)).sum()
    }
}

// SAFETY: laws 1 to 3: a block is one of the upstream's, allocated to one user at a time. Law 4:
// zero bytes get the smallest buffer.
unsafe impl<R: Resource> Resource for LocalStratifiedPool<R> {
    #[inline]
    fn allocate(&self, layout: Layout) -> AllocResult {
        let Some(bucket) = SizeBucket::for_layout(layout) else { return self.allocate_direct(layout) };
        // SAFETY: this thread alone uses the magazines.
        let buffer = match unsafe { self.magazines.pop(bucket) } {
            Some(buffer) => buffer,
            None => self.allocate_fresh(bucket, layout)?,
        };
        Ok(NonNull::slice_from_raw_parts(buffer, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if let Some(bucket) = SizeBucket::for_layout(layout) {
            // SAFETY: this thread alone uses the magazines; the caller's promise. A pool of one
            // thread caches any number of buffers.
            let _more = unsafe { self.magazines.push(bucket, block) };
        } else {
            self.direct.record_free(layout.size());
            // SAFETY: allocated there with this layout.
            unsafe { self.upstream.deallocate(block, layout) };
        }
    }

    grow_and_shrink_by!(resize);

    /// Returns the state. The peak is updated by this call and by each allocation of fresh memory.
    fn state(&self) -> ResourceState {
        let stats = self.stats();
        let direct = self.direct.state();
        let in_use = stats.in_use() + direct.in_use;
        self.peak.set(self.peak.get().max(in_use));
        ResourceState {
            in_use,
            held: in_use + stats.free_bytes,
            peak: self.peak.get(),
            live_blocks: stats.live_blocks() + direct.live_blocks,
            largest_free: SizeBucket::ALL
                .into_iter()
                .rev()
                .find(|&bucket| self.magazines.counts(bucket).free > 0)
                .map(SizeBucket::size),
            limit: None,
        }
    }
}

/// Resizes a block in place if its bucket stays the same, or else moves it.
///
/// # Safety
/// As [`Resource::grow`] and [`Resource::shrink`].
pub(super) unsafe fn resize(
    pool: &impl Resource,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> AllocResult {
    if SizeBucket::for_layout(old).is_some() && SizeBucket::for_layout(old) == SizeBucket::for_layout(new) {
        return Ok(NonNull::slice_from_raw_parts(block, new.size()));
    }
    // SAFETY: 1. the caller's guarantees are those of `grow` and `shrink`. 2. the smaller size.
    unsafe { arenite_core::realloc_by_copy(pool, block, old, new, old.size().min(new.size())) }
}

impl<R: Resource + Trim> Trim for LocalStratifiedPool<R> {
    fn trim(&self, target_held: usize) -> usize {
        let released = self.shrink_to(target_held);
        // The upstream trims what it now holds unused.
        if released > 0 {
            self.upstream.trim(0);
        }
        released
    }
}

impl<R: Resource> Drop for LocalStratifiedPool<R> {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}
