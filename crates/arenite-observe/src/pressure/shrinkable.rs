//! The trait of resources that can be shrunk under pressure.

use arenite_core::{Resource, ResourceState, Trim};

/// A resource that releases memory that no block uses: every pool, cache, heap and arena that is
/// both [`Resource`] and [`Trim`]. Threads share it, because the monitor runs on a thread of its
/// own.
///
/// ```
/// use arenite_alloc::{Heap, StratifiedMemoryPool};
/// use arenite_observe::Shrinkable;
/// let pool = StratifiedMemoryPool::new("pool");
/// drop(pool.allocate(1000)?);
/// let caches: [&dyn Shrinkable; 2] = [&pool, &Heap::new()];
/// assert_eq!(caches[0].reclaimable_bytes(), 1024);
/// assert_eq!((caches[0].shrink(0), caches[0].reclaimable_bytes()), (1024, 0));
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
pub trait Shrinkable: Send + Sync {
    /// Returns the bytes in use and held.
    fn usage(&self) -> ResourceState;

    /// Releases memory until at most `target_held` bytes are held, and returns the released bytes.
    fn shrink(&self, target_held: usize) -> usize;

    /// Returns the bytes held that no block uses.
    fn reclaimable_bytes(&self) -> usize {
        let state = self.usage();
        state.held.saturating_sub(state.in_use)
    }
}

impl<R: Resource + Trim + Send + Sync> Shrinkable for R {
    fn usage(&self) -> ResourceState {
        self.state()
    }

    fn shrink(&self, target_held: usize) -> usize {
        self.trim(target_held)
    }
}
