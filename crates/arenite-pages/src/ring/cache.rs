//! The memory of rings that were dropped, kept for the next ring of the same size.
//!
//! Rests on `DoubleMapping` and on the count of forks in `os`. Two views cost three calls to the kernel and an inode, some five
//! microseconds, and their pages faults again; a program that makes a ring a connection or a task pays that each time. What is
//! kept is little, and given back on demand.
//!
//! The bytes of a ring are shared memory: a child of `fork` sees what its parent writes there. So nothing is kept, nor taken
//! from what is kept, that was there when the process forked; each side gives its own view of it back.

use super::double_mapping::DoubleMapping;
use crate::fork_handlers::fork_epoch;
use arenite_core::Trim;
use std::sync::{Mutex, MutexGuard, TryLockError};

/// The most that is kept of one ring, in bytes.
const MAX_RING: usize = 256 << 10;
/// The most that is kept altogether, in bytes.
const MAX_TOTAL: usize = 1 << 20;
/// How many rings are kept at the most.
const MAX_RINGS: usize = 8;

/// What this process keeps of the rings that [`ring_buffer`](crate::ring_buffer) made and that were dropped: at most 1 MiB, of
/// rings of at most 256 KiB, for the next rings of the same size. Register it with whatever reacts to memory pressure, or trim it.
/// Thread-safe. A child of `fork` whose parent was making or dropping a ring at that moment keeps none, and says that it holds none.
///
/// ```standalone_crate
/// use arenite_core::Trim;
/// use arenite_pages::{RingCache, ring_buffer};
/// drop(ring_buffer::<u8>(65_536)?);
/// assert_eq!(RingCache::held(), 65_536);
/// assert_eq!(RingCache.trim(0), 65_536); // gives it back
/// # Ok::<(), arenite_pages::RingError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RingCache;

impl RingCache {
    /// The bytes that are kept now. O(1).
    #[must_use]
    pub fn held() -> usize {
        lock().map_or(0, |kept| kept.bytes())
    }
}

impl Trim for RingCache {
    /// The oldest go first. Gives nothing while other threads keep making and dropping rings: what is kept is in use then.
    fn trim(&self, target_held: usize) -> usize {
        lock().map_or(0, |mut kept| kept.shrink(target_held))
    }
}

/// A mapping of `len` bytes that was kept, of this process alone.
pub(super) fn pop(len: usize) -> Option<DoubleMapping> {
    let epoch = fork_epoch()?;
    let mapping = try_lock()?.pop(len)?;
    // one that a child sees is given back
    (mapping.fork_epoch() == Some(epoch)).then(|| mapping.reused())
}

/// Whether the compiler can be told that memory may hold any bytes.
const SUPPORTED: bool = cfg!(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)));

/// Keeps `mapping`, or gives it back.
pub(super) fn push(mapping: DoubleMapping) {
    if SUPPORTED
        && mapping.len() <= MAX_RING
        && mapping.fork_epoch().is_some_and(|epoch| Some(epoch) == fork_epoch())
        && let Some(mut kept) = try_lock()
    {
        kept.push(mapping);
    }
}

static CACHE: Mutex<Rings> = Mutex::new(Rings { mappings: Vec::new() });

/// Nobody waits for another thread here: mapping anew is not that slow, and in a child of `fork` the other may be missing.
fn try_lock() -> Option<MutexGuard<'static, Rings>> {
    match CACHE.try_lock() {
        Ok(kept) => Some(kept),
        Err(TryLockError::Poisoned(kept)) => Some(kept.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// The same for who has a little time.
fn lock() -> Option<MutexGuard<'static, Rings>> {
    let again = || {
        std::thread::yield_now();
        try_lock()
    };
    try_lock().or_else(|| (0..100).find_map(|_| again()))
}

/// The oldest first.
#[derive(Debug)]
struct Rings {
    mappings: Vec<DoubleMapping>,
}

impl Rings {
    fn bytes(&self) -> usize {
        self.mappings.iter().map(DoubleMapping::len).sum()
    }

    /// The youngest of that size: its pages are the likeliest to be in a cache.
    fn pop(&mut self, len: usize) -> Option<DoubleMapping> {
        let at = self.mappings.iter().rposition(|mapping| mapping.len() == len)?;
        Some(self.mappings.remove(at))
    }

    fn push(&mut self, mapping: DoubleMapping) {
        _ = self.shrink(MAX_TOTAL - mapping.len());
        if self.mappings.len() == MAX_RINGS {
            drop(self.mappings.remove(0));
        }
        self.mappings.push(mapping);
    }

    /// Gives the oldest back until at most `target` bytes are kept; the answer is how many went.
    fn shrink(&mut self, target: usize) -> usize {
        let (mut left, mut count) = (self.bytes(), 0);
        let before = left;
        while left > target {
            left -= self.mappings[count].len();
            count += 1;
        }
        drop(self.mappings.drain(..count));
        before - left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(len: usize) -> DoubleMapping {
        DoubleMapping::anonymous(len).unwrap()
    }

    #[test]
    fn n24_what_is_kept_is_bounded_and_the_youngest_comes_back() {
        let mut kept = Rings { mappings: Vec::new() };
        let bases: Vec<_> = (0..3)
            .map(|_| {
                let mapping = mapping(64 << 10);
                let base = mapping.as_ptr();
                kept.push(mapping);
                base
            })
            .collect();
        assert_eq!(kept.pop(64 << 10).unwrap().as_ptr(), bases[2]);
        assert!(kept.pop(4096).is_none());
        (0..20).for_each(|_| kept.push(mapping(4096)));
        assert_eq!((kept.mappings.len(), kept.bytes()), (MAX_RINGS, MAX_RINGS * 4096));
        (0..20).for_each(|_| kept.push(mapping(MAX_RING)));
        assert_eq!(kept.bytes(), MAX_TOTAL);
        assert_eq!(kept.shrink(MAX_RING), MAX_TOTAL - MAX_RING);
        assert_eq!((kept.shrink(MAX_RING), kept.shrink(1), kept.bytes()), (0, MAX_RING, 0));
    }
}
