//! Any resource, shared between threads and checked.

use super::checked_resource::impl_memory_allocator;
use super::{Checked, Locked};
use crate::global::CountedGlobal;
use arenite_core::Resource;

/// A resource of one thread made safe for many: a lock under the checked API.
///
/// ```
/// use arenite_alloc::ThreadSafeAllocator;
/// use arenite_core::{AllocError, MemoryAllocator};
/// use std::sync::Arc;
/// let allocator = Arc::new(ThreadSafeAllocator::new());
/// let threads: Vec<_> = (0..4)
///     .map(|_| {
///         let allocator = Arc::clone(&allocator);
///         std::thread::spawn(move || {
///             for j in 1..=100 {
///                 let block = allocator.allocate(j * 1024, 8)?;
///                 allocator.deallocate(block, j * 1024, 8)?;
///             }
///             Ok::<(), AllocError>(())
///         })
///     })
///     .collect();
/// for thread in threads {
///     thread.join().unwrap()?;
/// }
/// assert_eq!(allocator.allocated_size(), 0);
/// assert!(allocator.peak_allocated() >= 100 * 1024);
/// # Ok::<(), AllocError>(())
/// ```
#[derive(Debug)]
pub struct ThreadSafeAllocator<R: Resource = CountedGlobal> {
    checked: Checked<Locked<R>>,
}

impl ThreadSafeAllocator {
    /// Wraps the program's global allocator.
    #[must_use]
    pub fn new() -> Self {
        Self::with_upstream(CountedGlobal::new())
    }
}

impl Default for ThreadSafeAllocator {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: Resource> ThreadSafeAllocator<R> {
    /// Wraps any resource.
    pub fn with_upstream(resource: R) -> Self {
        Self { checked: Checked::new(Locked::new(resource)).with_label("thread-safe") }
    }
}

impl_memory_allocator!(ThreadSafeAllocator<R>, checked, R: Resource);
