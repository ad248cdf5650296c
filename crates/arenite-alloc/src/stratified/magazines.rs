//! The buffers that one thread caches: five magazines, changed without a lock.
//!
//! Free buffers are linked through their first words. All fields are atomics with plain loads and
//! stores. They cost the owning thread no more than plain fields, and any other thread may read
//! the counters.
#![expect(unsafe_code, reason = "links free buffers through their first words")]

use super::SizeBucket;
use core::cell::Cell;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicI64, AtomicPtr, AtomicU64, Ordering::Relaxed};

/// The first words of a free buffer.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Node {
    /// The next buffer of its chain. It comes first, because most free buffers use only their first
    /// word.
    next: Cell<*mut Self>,
    /// In a chain's first buffer: the next chain of the list, and the number of buffers of this
    /// one.
    next_chain: Cell<*mut Self>,
    count: Cell<u32>,
}

/// Returns the first word of a free buffer.
///
/// # Safety
/// The buffer is free, and the caller alone uses it as long as the reference lives.
#[inline(always)]
const unsafe fn next<'a>(node: NonNull<Node>) -> &'a Cell<*mut Node> {
    // SAFETY: the caller's guarantee; `push` wrote the first word of every free buffer.
    unsafe { node.cast::<Cell<*mut Node>>().as_ref() }
}

/// A linked list of free buffers of one bucket.
#[derive(Debug)]
pub(super) struct BlockChain {
    pub(super) first: NonNull<Node>,
    pub(super) count: u32,
}

impl BlockChain {
    /// Visits each buffer of the chain.
    ///
    /// # Safety
    /// The chain is the caller's; `visit` may use or free the buffer.
    pub(super) unsafe fn for_each(self, mut visit: impl FnMut(NonNull<u8>)) {
        let mut at = Some(self.first);
        while let Some(node) = at {
            // SAFETY: a free buffer of the chain, which is the caller's.
            at = NonNull::new(unsafe { next(node) }.get());
            visit(node.cast());
        }
    }
}

/// The depot's chains of one bucket.
#[derive(Debug)]
pub(super) struct DepotList {
    first: *mut Node,
    pub(super) buffers: usize,
}

// SAFETY: the list owns its chains.
unsafe impl Send for DepotList {}

impl DepotList {
    pub(super) const EMPTY: Self = Self { first: null_mut(), buffers: 0 };

    /// Pushes a chain.
    ///
    /// # Safety
    /// The chain is the caller's, and the list's afterwards.
    pub(super) unsafe fn push(&mut self, chain: &BlockChain) {
        // SAFETY: the first of the caller's free buffers.
        let after = unsafe { next(chain.first) }.get();
        let node =
            Node { next: Cell::new(after), next_chain: Cell::new(self.first), count: Cell::new(chain.count) };
        // SAFETY: the first of the caller's free buffers; every buffer is longer than a `Node`.
        unsafe { chain.first.write(node) };
        self.first = chain.first.as_ptr();
        self.buffers += chain.count as usize;
    }

    /// Pops a chain, which then belongs to the caller.
    pub(super) fn pop(&mut self) -> Option<BlockChain> {
        let first = NonNull::new(self.first)?;
        // SAFETY: the first buffer of a chain of this list.
        let node = unsafe { first.as_ref() };
        self.first = node.next_chain.get();
        self.buffers -= node.count.get() as usize;
        Some(BlockChain { first, count: node.count.get() })
    }
}

/// The cached buffers of one bucket and their counters.
///
/// The length is derived: puts + received − hits − sent. A stored length, changed by both
/// allocations and frees, would make each wait for the previous one.
#[derive(Debug)]
#[repr(align(64))]
struct Magazine {
    first: AtomicPtr<Node>,
    /// Buffers that were popped, and pushed.
    hits: AtomicU64,
    puts: AtomicU64,
    /// Maximum of puts − hits before the magazine is too full; `i64::MIN` if a flush is requested.
    max_cached: AtomicI64,
    misses: AtomicU64,
    /// Buffers that were received from and sent to the depot, in chains.
    received: AtomicU64,
    sent: AtomicU64,
}

/// The magazines of the five buckets.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Magazines([Magazine; 5]);

impl Default for Magazines {
    fn default() -> Self {
        Self(SizeBucket::ALL.map(|bucket| Magazine {
            first: AtomicPtr::new(null_mut()),
            hits: AtomicU64::new(0),
            puts: AtomicU64::new(0),
            max_cached: AtomicI64::new(bucket.default_capacity().into()),
            misses: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }))
    }
}

/// Adds to a counter that only the owning thread writes. Returns the sum.
#[inline(always)]
fn bump(count: &AtomicU64, more: u64) -> u64 {
    let sum = count.load(Relaxed).wrapping_add(more);
    count.store(sum, Relaxed);
    sum
}

/// Counters of one thread and bucket.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) returns: u64,
    pub(super) free: u64,
}

impl Magazine {
    /// Returns the number of cached buffers. Exact while the owner is not using the magazine.
    fn free(&self) -> u64 {
        let received = self.puts.load(Relaxed).wrapping_add(self.received.load(Relaxed));
        let sent = self.hits.load(Relaxed).wrapping_add(self.sent.load(Relaxed));
        received.saturating_sub(sent)
    }

    /// Adjusts the cache limit by `more`, unless a flush is requested.
    fn adjust_limit(&self, more: i64) {
        let adjusted = |max_cached: i64| (max_cached != i64::MIN).then(|| max_cached + more);
        let _before: Result<i64, i64> = self.max_cached.fetch_update(Relaxed, Relaxed, adjusted);
    }
}

impl Magazines {
    #[inline(always)]
    const fn magazine(&self, bucket: SizeBucket) -> &Magazine {
        &self.0[bucket as usize]
    }

    /// Pops a buffer, which then belongs to the caller, and counts a hit.
    ///
    /// # Safety
    /// No other thread changes these magazines now.
    #[inline(always)]
    pub(super) unsafe fn pop(&self, bucket: SizeBucket) -> Option<NonNull<u8>> {
        let magazine = self.magazine(bucket);
        let first = NonNull::new(magazine.first.load(Relaxed))?;
        // SAFETY: a free buffer of this magazine, which no other thread changes now.
        let after = unsafe { next(first) }.get();
        magazine.first.store(after, Relaxed);
        bump(&magazine.hits, 1);
        Some(first.cast())
    }

    /// Pushes a buffer. Returns whether the magazine is too full.
    ///
    /// # Safety
    /// As [`Magazines::pop`]; the buffer belongs to that bucket, is aligned to 8, and is not used
    /// afterwards.
    #[inline(always)]
    pub(super) unsafe fn push(&self, bucket: SizeBucket, buffer: NonNull<u8>) -> bool {
        let magazine = self.magazine(bucket);
        let node = buffer.cast::<Node>();
        let next = Cell::new(magazine.first.load(Relaxed));
        // SAFETY: the buffer's first word.
        unsafe { node.cast::<Cell<*mut Node>>().write(next) };
        magazine.first.store(node.as_ptr(), Relaxed);
        let more = bump(&magazine.puts, 1).wrapping_sub(magazine.hits.load(Relaxed));
        more.cast_signed() > magazine.max_cached.load(Relaxed)
    }

    /// Counts a request that fresh memory served.
    pub(super) fn record_miss(&self, bucket: SizeBucket) {
        bump(&self.magazine(bucket).misses, 1);
    }

    /// Moves a chain into an empty magazine.
    ///
    /// # Safety
    /// As [`Magazines::pop`]; the chain is the caller's, of that bucket.
    pub(super) unsafe fn refill(&self, bucket: SizeBucket, chain: &BlockChain) {
        let magazine = self.magazine(bucket);
        debug_assert!(magazine.first.load(Relaxed).is_null(), "refilled before it was empty");
        magazine.first.store(chain.first.as_ptr(), Relaxed);
        magazine.adjust_limit(-i64::from(chain.count));
        bump(&magazine.received, u64::from(chain.count));
    }

    /// Removes all but `keep` buffers of a bucket as a chain, which then belongs to the caller.
    ///
    /// # Safety
    /// As [`Magazines::pop`].
    pub(super) unsafe fn flush_to(&self, bucket: SizeBucket, keep: u32) -> Option<BlockChain> {
        let magazine = self.magazine(bucket);
        let first = NonNull::new(magazine.first.load(Relaxed))?;
        let excess = magazine.free().checked_sub(keep.into()).filter(|&excess| excess > 0)?;
        // A magazine without a limit may have more buffers than a chain can count.
        let excess = u32::try_from(excess).unwrap_or(u32::MAX);
        let mut last = first;
        for _ in 1..excess {
            // SAFETY: a free buffer of this magazine, which has at least `excess`.
            last = NonNull::new(unsafe { next(last) }.get())?;
        }
        // SAFETY: a free buffer of this magazine, which no other thread changes now.
        let rest = unsafe { next(last) }.replace(null_mut());
        magazine.first.store(rest, Relaxed);
        magazine.adjust_limit(excess.into());
        bump(&magazine.sent, u64::from(excess));
        Some(BlockChain { first, count: excess })
    }

    /// Requests that the owner flushes at its next free. Any thread may call this.
    pub(super) fn request_flush(&self) {
        self.0.iter().for_each(|magazine| magazine.max_cached.store(i64::MIN, Relaxed));
    }

    /// Clears a flush request. Returns whether there was one.
    pub(super) fn poll_flush_request(&self) -> bool {
        let requested = self.0.iter().any(|magazine| magazine.max_cached.load(Relaxed) == i64::MIN);
        if requested {
            for bucket in SizeBucket::ALL {
                let magazine = self.magazine(bucket);
                let moved =
                    magazine.sent.load(Relaxed).wrapping_sub(magazine.received.load(Relaxed)).cast_signed();
                magazine.max_cached.store(moved + i64::from(bucket.default_capacity()), Relaxed);
            }
        }
        requested
    }

    /// Returns whether the magazines are empty, as far as another thread can see.
    pub(super) fn looks_empty(&self) -> bool {
        self.0.iter().all(|magazine| magazine.first.load(Relaxed).is_null())
    }

    /// Returns the counters of a bucket. Any thread may call this; exact while the owner is not
    /// using the magazines.
    pub(super) fn counts(&self, bucket: SizeBucket) -> Counts {
        let magazine = self.magazine(bucket);
        let (hits, returns) = (magazine.hits.load(Relaxed), magazine.puts.load(Relaxed));
        Counts { hits, misses: magazine.misses.load(Relaxed), returns, free: magazine.free() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_magazine_counts_its_buffers_and_reports_an_excess() {
        let magazines = Magazines::default();
        let bucket = SizeBucket::Huge;
        let most = bucket.default_capacity() as usize;
        let mut buffers = vec![[0_u64; 32]; 4 * most];
        let mut buffers = buffers.iter_mut().map(|buffer| NonNull::from(buffer).cast::<u8>());
        let mut fill = |count: usize| {
            // SAFETY: buffers of this test, each used once, on one thread.
            buffers
                .by_ref()
                .take(count)
                .map(|buffer| unsafe { magazines.push(bucket, buffer) })
                .collect::<Vec<_>>()
        };
        let free = || usize::try_from(magazines.counts(bucket).free).unwrap();
        assert!(fill(most).iter().all(|&too_many| !too_many));
        assert_eq!((fill(1), free()), (vec![true], most + 1));
        // SAFETY: one thread.
        let half = unsafe { magazines.flush_to(bucket, bucket.default_capacity() / 2) }.unwrap();
        assert_eq!((half.count as usize, free()), (most / 2 + 1, most / 2));
        let filled = fill(most / 2 + 1);
        assert_eq!(
            filled.split_last(),
            Some((&true, vec![false; most / 2].as_slice())),
            "the capacity as before"
        );
        // SAFETY: one thread.
        while unsafe { magazines.pop(bucket) }.is_some() {}
        assert_eq!(free(), 0);
        // SAFETY: one thread; the chain was flushed above.
        unsafe { magazines.refill(bucket, &half) };
        assert_eq!(free(), most / 2 + 1);
        assert_eq!((fill(most - free()), fill(1)), (vec![false; most / 2 - 1], vec![true]));
        magazines.request_flush();
        // SAFETY: one thread.
        unsafe { magazines.flush_to(bucket, 0) }.unwrap();
        assert_eq!((fill(1), free()), (vec![true], 1), "a flush is requested, also after a flush");
        assert!(magazines.poll_flush_request() && !magazines.poll_flush_request());
        assert_eq!((fill(most - 1), fill(1)), (vec![false; most - 1], vec![true]), "as at first");
        let counts = magazines.counts(bucket);
        assert_eq!((counts.hits, counts.misses), (most as u64 + 1, 0));
    }
}
