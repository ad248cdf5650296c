//! The arena that threads share, in chunks of any upstream.
//!
//! The upstream is called under a lock in any case, so a lock-free cursor has no advantage. Over a
//! range of its own, [`SharedArena`](crate::SharedArena) takes no lock.

use super::chunk_source::ChunkSource;
use super::{Arena, Chunked, Mark, RestoreError};
use crate::checked::Locked;
use arenite_core::{AllocError, Resource};

/// An arena in chunks of `R` that many threads allocate from, one at a time.
///
/// ```
/// use arenite_alloc::SharedChunkedArena;
/// use arenite_pages::PageAllocator;
/// let arena = SharedChunkedArena::with_chunk_size(PageAllocator::new(), 1 << 20);
/// let kept = arena.mark()?;
/// std::thread::scope(|threads| {
///     for id in 0..2u64 {
///         let arena = &arena;
///         threads.spawn(move || arena.alloc(id).map(|value| assert_eq!(*value, id)));
///     }
/// });
/// assert!(arena.restore(kept).is_err()); // two values count as alive while the arena is shared
/// # let mut arena = arena;
/// arena.restore_mut(kept)?; // exclusive: nothing borrows them
/// assert_eq!(arena.in_use(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type SharedChunkedArena<R> = Locked<Arena<Chunked<R>>>;

impl<R: Resource> Locked<Arena<Chunked<R>>> {
    /// Makes a shared arena that allocates chunks of 64 MiB from `upstream`, larger ones for larger
    /// blocks.
    pub fn chunked(upstream: R) -> Self {
        Self::new(Arena::chunked(upstream))
    }

    /// Makes a shared arena that allocates chunks of `chunk_size` bytes from `upstream`, larger
    /// ones for larger blocks.
    pub fn with_chunk_size(upstream: R, chunk_size: usize) -> Self {
        Self::new(Arena::with_chunk_size(upstream, chunk_size))
    }
}

impl<S: ChunkSource> Locked<Arena<S>> {
    /// Makes a mark at the position; see [`Arena::mark`].
    ///
    /// # Errors
    /// As [`Arena::mark`].
    pub fn mark(&self) -> Result<Mark, AllocError> {
        self.with_lock(Arena::mark)
    }

    /// Frees everything allocated after `mark`, if none of it is live; see [`Arena::restore`].
    ///
    /// # Errors
    /// As [`Arena::restore`].
    pub fn restore(&self, mark: Mark) -> Result<(), RestoreError> {
        self.with_lock(|arena| arena.restore(mark))
    }

    /// Frees everything allocated after `mark`; see [`Arena::restore_mut`].
    ///
    /// # Errors
    /// As [`Arena::restore_mut`].
    ///
    /// # Panics
    /// If the destructor of an adopted value does.
    pub fn restore_mut(&mut self, mark: Mark) -> Result<(), RestoreError> {
        self.get_mut().restore_mut(mark)
    }

    /// Frees everything and keeps the chunks; see [`Arena::reset`].
    ///
    /// # Panics
    /// If the destructor of an adopted value does.
    pub fn reset(&mut self) {
        self.get_mut().reset();
    }

    /// Returns the bytes below the position, padding included.
    pub fn in_use(&self) -> usize {
        self.with_lock(Arena::in_use)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arenite_core::{Block, Trim};
    use arenite_pages::PageAllocator;

    #[test]
    fn a12_threads_share_chunks_that_stay_on_restore_and_are_freed_on_trim() {
        let mut arena = SharedChunkedArena::with_chunk_size(PageAllocator::new(), 64 << 10);
        let start = arena.mark().unwrap();
        let round = |arena: &SharedChunkedArena<PageAllocator>| {
            std::thread::scope(|threads| {
                for id in 0..4u8 {
                    threads.spawn(move || {
                        for size in (8..4000).step_by(61) {
                            let layout = arenite_core::layout(size, 64).unwrap();
                            let mut block = Block::zeroed_in(layout, arena).unwrap();
                            block.bytes_mut().iter_mut().for_each(|byte| _ = byte.write(id));
                            let values = arena.alloc_slice_copy(&[u64::from(id); 10]).unwrap();
                            assert!(values.iter().all(|&value| value == u64::from(id)));
                        }
                    });
                }
            });
        };
        round(&arena);
        let held = arena.state().held;
        assert!(held > 64 << 10 && arena.restore(start).is_err());
        arena.restore_mut(start).unwrap();
        assert_eq!((arena.in_use(), arena.state().held), (0, held));
        round(&arena);
        arena.reset();
        assert_eq!((arena.trim(0) > 0, arena.state().held), (true, 0));
    }
}
