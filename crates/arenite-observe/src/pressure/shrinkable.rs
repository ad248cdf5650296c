//! What can be shrunk under pressure.
//!
//! Rests on [`Resource`] and [`Trim`].

use arenite_core::{Resource, ResourceState, Trim};

/// A resource that gives back what it holds and nobody uses: every pool, cache, heap and arena that is both [`Resource`] and
/// [`Trim`]. Shared between threads, as the one that finds the pressure is another than the one that allocates.
///
/// ```
/// use arenite_alloc::{Heap, StratifiedMemoryPool};
/// use arenite_observe::Shrinkable;
/// let pool = StratifiedMemoryPool::new("pool");
/// drop(pool.allocate(1000)?);
/// let caches: [&dyn Shrinkable; 2] = [&pool, &Heap::new()];
/// assert_eq!(caches[0].idle(), 1024);
/// assert_eq!((caches[0].shrink(0), caches[0].idle()), (1024, 0));
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
pub trait Shrinkable: Send + Sync {
    /// What it has lent, and what it holds.
    fn figures(&self) -> ResourceState;

    /// Gives back until at most `target_held` bytes are held; returns how many went.
    fn shrink(&self, target_held: usize) -> usize;

    /// Bytes that it holds for nobody.
    fn idle(&self) -> usize {
        let state = self.figures();
        state.held.saturating_sub(state.in_use)
    }
}

impl<R: Resource + Trim + Send + Sync> Shrinkable for R {
    fn figures(&self) -> ResourceState {
        self.state()
    }

    fn shrink(&self, target_held: usize) -> usize {
        self.trim(target_held)
    }
}
