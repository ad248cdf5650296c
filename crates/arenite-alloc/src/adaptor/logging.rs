//! An adaptor that writes a line for each call of the checked API (`MemoryAllocator`).
//!
//! An example of an allocator that wraps another: six methods, all forwarded.

use arenite_core::MemoryAllocator;
use core::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A [`MemoryAllocator`] that logs and counts its calls.
///
/// ```
/// use arenite_alloc::{LoggingAllocator, SystemAllocator};
/// use arenite_core::{AllocError, MemoryAllocator};
/// use std::sync::Mutex;
/// let lines = Mutex::new(Vec::new());
/// let log = |line: std::fmt::Arguments<'_>| lines.lock().unwrap().push(line.to_string());
/// let logging = LoggingAllocator::with_log(SystemAllocator::new(), log);
/// let block = logging.allocate(64, 8)?;
/// logging.deallocate(block, 64, 8)?;
/// assert_eq!(*lines.lock().unwrap(), ["allocate 64 B (align 8)", "deallocate 64 B"]);
/// # Ok::<(), AllocError>(())
/// ```
pub struct LoggingAllocator<T, L = fn(fmt::Arguments<'_>)> {
    inner: T,
    log: L,
    calls: AtomicUsize,
}

impl<T: MemoryAllocator> LoggingAllocator<T> {
    /// Logs to standard error.
    pub fn new(inner: T) -> Self {
        Self::with_log(inner, |line| eprintln!("{line}"))
    }
}

impl<T: MemoryAllocator, L: Fn(fmt::Arguments<'_>) + Send + Sync> LoggingAllocator<T, L> {
    /// Logs through `log`.
    pub const fn with_log(inner: T, log: L) -> Self {
        Self { inner, log, calls: AtomicUsize::new(0) }
    }

    /// Returns the wrapped allocator.
    pub const fn inner(&self) -> &T {
        &self.inner
    }

    /// Returns the number of requested allocations, deallocations and reallocations.
    pub fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }

    fn note(&self, line: fmt::Arguments<'_>) {
        self.calls.fetch_add(1, Relaxed);
        (self.log)(line);
    }
}

impl<T: MemoryAllocator, L: Fn(fmt::Arguments<'_>) + Send + Sync> MemoryAllocator for LoggingAllocator<T, L> {
    type Error = T::Error;

    fn allocate(&self, size: usize, alignment: usize) -> Result<*mut u8, Self::Error> {
        self.note(format_args!("allocate {size} B (align {alignment})"));
        self.inner.allocate(size, alignment)
    }

    fn deallocate(&self, ptr: *mut u8, size: usize, alignment: usize) -> Result<(), Self::Error> {
        self.note(format_args!("deallocate {size} B"));
        self.inner.deallocate(ptr, size, alignment)
    }

    fn reallocate(
        &self,
        ptr: *mut u8,
        old_size: usize,
        new_size: usize,
        alignment: usize,
    ) -> Result<*mut u8, Self::Error> {
        self.note(format_args!("reallocate {old_size} B to {new_size} B"));
        self.inner.reallocate(ptr, old_size, new_size, alignment)
    }

    fn allocated_size(&self) -> usize {
        self.inner.allocated_size()
    }

    fn peak_allocated(&self) -> usize {
        self.inner.peak_allocated()
    }

    fn reset_peak(&self) {
        self.inner.reset_peak();
    }
}

impl<T: fmt::Debug, L> fmt::Debug for LoggingAllocator<T, L> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("LoggingAllocator")
            .field("inner", &self.inner)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}
