//! A cache of the memory of dropped rings, for the next ring of the same size.
//!
//! A double mapping costs three system calls and an inode, about five microseconds, and its OS
//! pages fault again. A program that makes one ring per connection or task pays that each time.
//!
//! The bytes of a ring are shared memory: a child of `fork` sees the writes of its parent. So a
//! mapping that existed at a fork is neither cached nor reused; each process unmaps its own view.

use super::double_mapping::DoubleMapping;
use crate::fork_handlers::fork_epoch;
use arenite_core::Trim;
use std::sync::{Mutex, MutexGuard, TryLockError};

/// Maximum size of a cached ring, in bytes.
const MAX_RING: usize = 256 << 10;
/// Maximum number of cached bytes.
const MAX_TOTAL: usize = 1 << 20;
/// Maximum number of cached rings.
const MAX_RINGS: usize = 8;

/// The cache of the rings that [`ring_buffer`](crate::ring_buffer) made and that were dropped. At
/// most 1 MiB, of rings of at most 256 KiB, for the next rings of the same size. Trim it, or
/// register it with a memory monitor.
///
/// Thread-safe. In a child of `fork` whose parent was using the cache at that moment, it stays
/// empty and reports 0 bytes.
///
/// ```standalone_crate
/// use arenite_core::Trim;
/// use arenite_pages::{RingCache, ring_buffer};
/// drop(ring_buffer::<u8>(65_536)?);
/// assert_eq!(RingCache::held(), 65_536);
/// assert_eq!(RingCache.trim(0), 65_536); // unmaps it
/// # Ok::<(), arenite_pages::RingError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RingCache;

impl RingCache {
    /// Returns the number of cached bytes. O(1).
    #[must_use]
    pub fn held() -> usize {
        lock().map_or(0, |rings| rings.bytes())
    }
}

impl Trim for RingCache {
    /// Unmaps the oldest rings first. Unmaps none while other threads use the cache all the time.
    fn trim(&self, target_held: usize) -> usize {
        lock().map_or(0, |mut rings| rings.shrink(target_held))
    }
}

/// Pops a cached mapping of `len` bytes that only this process sees.
pub(super) fn pop(len: usize) -> Option<DoubleMapping> {
    let epoch = fork_epoch()?;
    let mapping = try_lock()?.pop(len)?;
    // a mapping that a child sees is unmapped
    (mapping.fork_epoch() == Some(epoch)).then(|| mapping.with_unknown_contents())
}

/// Whether the compiler can be made to assume that memory may contain any bytes.
const SUPPORTED: bool = cfg!(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)));

/// Caches `mapping`, or unmaps it.
pub(super) fn push(mapping: DoubleMapping) {
    if SUPPORTED
        && mapping.len() <= MAX_RING
        && mapping.fork_epoch().is_some_and(|epoch| Some(epoch) == fork_epoch())
        && let Some(mut rings) = try_lock()
    {
        rings.push(mapping);
    }
}

static CACHE: Mutex<Rings> = Mutex::new(Rings { mappings: Vec::new() });

/// Locks without waiting: a new mapping is fast enough, and in a child of `fork` the lock's holder
/// may not exist.
fn try_lock() -> Option<MutexGuard<'static, Rings>> {
    match CACHE.try_lock() {
        Ok(rings) => Some(rings),
        Err(TryLockError::Poisoned(rings)) => Some(rings.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Locks with up to 100 yields between attempts.
fn lock() -> Option<MutexGuard<'static, Rings>> {
    let again = || {
        std::thread::yield_now();
        try_lock()
    };
    try_lock().or_else(|| (0..100).find_map(|_| again()))
}

/// Cached mappings, oldest first.
#[derive(Debug)]
struct Rings {
    mappings: Vec<DoubleMapping>,
}

impl Rings {
    fn bytes(&self) -> usize {
        self.mappings.iter().map(DoubleMapping::len).sum()
    }

    /// Pops the youngest mapping of that size: its OS pages are the most likely to be in a cache.
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

    /// Unmaps the oldest mappings until at most `target` bytes are cached. Returns the unmapped
    /// bytes.
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
    fn n24_ring_cache_is_bounded_and_pops_the_youngest() {
        let mut rings = Rings { mappings: Vec::new() };
        let bases: Vec<_> = (0..3)
            .map(|_| {
                let mapping = mapping(64 << 10);
                let base = mapping.as_ptr();
                rings.push(mapping);
                base
            })
            .collect();
        assert_eq!(rings.pop(64 << 10).unwrap().as_ptr(), bases[2]);
        assert!(rings.pop(4096).is_none());
        (0..20).for_each(|_| rings.push(mapping(4096)));
        assert_eq!((rings.mappings.len(), rings.bytes()), (MAX_RINGS, MAX_RINGS * 4096));
        (0..20).for_each(|_| rings.push(mapping(MAX_RING)));
        assert_eq!(rings.bytes(), MAX_TOTAL);
        assert_eq!(rings.shrink(MAX_RING), MAX_TOTAL - MAX_RING);
        assert_eq!((rings.shrink(MAX_RING), rings.shrink(1), rings.bytes()), (0, MAX_RING, 0));
    }
}
