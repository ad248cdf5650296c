//! The context of one operation.
#![expect(unsafe_code, reason = "allocates and frees blocks of the pool")]

use super::entries::{ALIGN, Entries, Entry, Kind};
use crate::stratified::StratifiedMemoryPool;
use crate::util::with_layout;
use arenite_core::{AllocError, AllocErrorKind, Label, Resource};
use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;
use std::sync::OnceLock;

/// Returns the pool of contexts without a pool of their own.
#[inline]
pub(super) fn global_pool() -> &'static StratifiedMemoryPool {
    static POOL: OnceLock<StratifiedMemoryPool> = OnceLock::new();
    POOL.get_or_init(|| StratifiedMemoryPool::new("contexts"))
}

/// The buffers of one operation on one thread. They are allocated from a pool one by one and freed
/// together when the context is dropped.
///
/// ```
/// use arenite_alloc::AnalyticsContext;
/// let num_nodes = 10_000;
/// let context = AnalyticsContext::new("bfs_traversal");
/// let frontier = context.allocate(1024)?;
/// let mut visited = context.allocate(num_nodes / 8)?; // a bit for each
/// let mut distances = context.allocate_typed::<u32>(num_nodes)?;
/// distances[0] = 1;
/// visited[0] |= 1;
/// let stats = context.stats();
/// assert_eq!((stats.current_bytes, stats.allocation_count), (1024 + 1250 + 40_000, 3));
/// assert_eq!((stats.typed_allocations, frontier.len()), (1, 1024));
/// drop(context); // all three are back in the pool
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
#[derive(Debug)]
pub struct AnalyticsContext<'p> {
    pool: &'p StratifiedMemoryPool,
    parent: Option<&'p AnalyticsContext<'p>>,
    entries: Entries,
    current: Cell<usize>,
    /// Peak before the last decrease of `current`.
    peak: Cell<usize>,
    /// Buffers that sub-contexts allocated.
    sub_allocations: Cell<u64>,
    typed: Cell<u64>,
    label: Label,
}

/// Counters of a context and its sub-contexts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContextStats {
    /// Bytes of live buffers, by the requested sizes.
    pub current_bytes: usize,
    /// Maximum of `current_bytes` so far.
    pub peak_bytes: usize,
    /// Number of buffers allocated so far.
    pub allocation_count: u64,
    /// Number of those that were allocated by type.
    pub typed_allocations: u64,
}

/// The live buffers of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeStats {
    /// Name of the type, as the compiler spells it.
    pub name: &'static str,
    /// Number of buffers.
    pub buffers: usize,
    /// Bytes of the buffers.
    pub bytes: usize,
}

impl AnalyticsContext<'static> {
    /// Makes an empty context over the program's pool.
    #[inline]
    pub fn new(name: impl Into<Label>) -> Self {
        Self::with_pool(name, global_pool())
    }
}

impl<'p> AnalyticsContext<'p> {
    /// Makes an empty context over `pool`.
    #[inline]
    pub fn with_pool(name: impl Into<Label>, pool: &'p StratifiedMemoryPool) -> Self {
        Self::new_in_parent(name.into(), pool, None)
    }

    #[inline(always)]
    fn new_in_parent(
        label: Label,
        pool: &'p StratifiedMemoryPool,
        parent: Option<&'p AnalyticsContext<'p>>,
    ) -> Self {
        Self {
            pool,
            parent,
            entries: Entries::new(),
            current: Cell::new(0),
            peak: Cell::new(0),
            sub_allocations: Cell::new(0),
            typed: Cell::new(0),
            label,
        }
    }

    /// Makes a context inside this one. Its buffers are freed with it, and count in this context's
    /// statistics as long as they live.
    ///
    /// ```
    /// use arenite_alloc::AnalyticsContext;
    /// let whole = AnalyticsContext::new("mining");
    /// let kept = whole.allocate(100)?;
    /// let step = whole.sub_context("step");
    /// step.allocate(1000)?;
    /// assert_eq!((step.stats().current_bytes, whole.stats().current_bytes), (1000, 1100));
    /// drop(step);
    /// let stats = whole.stats();
    /// assert_eq!((stats.current_bytes, stats.peak_bytes, kept.len()), (100, 1100, 100));
    /// # Ok::<(), arenite_core::AllocError>(())
    /// ```
    pub fn sub_context<'s>(&'s self, name: impl Into<Label>) -> AnalyticsContext<'s> {
        AnalyticsContext::new_in_parent(name.into(), self.pool, Some(self))
    }

    #[inline]
    pub(super) fn layout<T>(&self, count: usize) -> Result<Layout, AllocError> {
        Layout::array::<T>(count).and_then(|layout| layout.align_to(ALIGN)).map_err(|_| {
            let size = count.saturating_mul(size_of::<T>());
            AllocError::bad_layout(size, align_of::<T>(), self.pool.state(), self.label)
        })
    }

    /// Allocates a block. Most calls find no preallocated buffer and pop one from the thread's
    /// magazine.
    #[inline(always)]
    pub(super) fn allocate_block(
        &self,
        layout: Layout,
        kind: Option<Kind>,
    ) -> Result<(NonNull<u8>, usize), AllocError> {
        let cached = if self.entries.has_prepared() { None } else { self.pool.try_cached(layout) };
        match cached {
            Some(start) => self.insert(start, layout, kind),
            None => self.allocate_slow(layout, kind),
        }
    }

    #[cold]
    #[inline(never)]
    fn allocate_slow(&self, layout: Layout, kind: Option<Kind>) -> Result<(NonNull<u8>, usize), AllocError> {
        if let Some(ready) = self.entries.request(layout, kind) {
            self.record_usage(layout.size(), kind.is_some());
            return Ok(ready);
        }
        let start =
            Resource::allocate(self.pool, layout).map_err(|error| self.with_context(error, layout))?.cast();
        self.insert(start, layout, kind)
    }

    /// Lists a buffer and counts it here and in the parents. Returns the buffer and its id.
    #[inline(always)]
    fn insert(
        &self,
        start: NonNull<u8>,
        layout: Layout,
        kind: Option<Kind>,
    ) -> Result<(NonNull<u8>, usize), AllocError> {
        let Some(id) = self.entries.push(Entry { start, layout, kind }) else {
            return Err(self.no_list_memory(start, layout));
        };
        self.record_usage(layout.size(), kind.is_some());
        Ok((start, id))
    }

    /// Counts a buffer here and in the parents.
    #[inline(always)]
    fn record_usage(&self, bytes: usize, typed: bool) {
        self.record(bytes, typed);
        if let Some(parent) = self.parent {
            parent.record_in_ancestors(bytes, typed);
        }
    }

    /// Frees a buffer that cannot be listed, and returns the error.
    #[cold]
    #[inline(never)]
    fn no_list_memory(&self, start: NonNull<u8>, layout: Layout) -> AllocError {
        // SAFETY: allocated from the pool with this layout, and not yet returned.
        unsafe { self.pool.deallocate(start, layout) };
        AllocError::new(AllocErrorKind::Exhausted { errno: 0 }, layout, self.pool.state(), self.label)
    }

    #[inline(always)]
    fn record(&self, bytes: usize, typed: bool) {
        self.current.set(self.current.get() + bytes);
        self.typed.set(self.typed.get() + u64::from(typed));
    }

    #[inline(never)]
    fn record_in_ancestors(&self, bytes: usize, typed: bool) {
        let mut at = Some(self);
        while let Some(context) = at {
            context.record(bytes, typed);
            context.sub_allocations.set(context.sub_allocations.get() + 1);
            at = context.parent;
        }
    }

    /// Relabels the pool's error as this context's.
    #[cold]
    fn with_context(&self, error: AllocError, layout: Layout) -> AllocError {
        AllocError { label: self.label, ..with_layout(error, layout) }
    }

    /// Allocates a buffer for a later request.
    pub(super) fn prepare(&self, size: usize) -> Result<(), AllocError> {
        let layout = self.layout::<u8>(size)?;
        let start =
            Resource::allocate(self.pool, layout).map_err(|error| self.with_context(error, layout))?.cast();
        self.entries.prepare(start, layout).ok_or_else(|| self.no_list_memory(start, layout))
    }

    pub(super) fn reserve_for(&self, count: usize, prepared: usize) {
        self.entries.reserve_for(count, prepared);
    }

    /// Returns the bytes of preallocated buffers that were not requested yet.
    #[must_use]
    pub fn preallocated_bytes(&self) -> usize {
        self.entries.prepared_bytes()
    }

    pub(super) fn release(&self, id: usize) {
        let entry = self.entries.take(id);
        if let Some(entry) = entry {
            self.on_released(entry.layout.size());
            // SAFETY: allocated from the pool with this layout; its only slice was consumed.
            unsafe { self.pool.deallocate(entry.start, entry.layout) };
        }
    }

    fn on_released(&self, bytes: usize) {
        let mut at = Some(self);
        while let Some(context) = at {
            let current = context.current.get();
            context.peak.set(context.peak.get().max(current));
            context.current.set(current - bytes);
            at = context.parent;
        }
    }

    /// Returns the context's counters.
    #[must_use]
    pub fn stats(&self) -> ContextStats {
        ContextStats {
            current_bytes: self.current.get(),
            peak_bytes: self.peak.get().max(self.current.get()),
            allocation_count: self.entries.count() as u64 + self.sub_allocations.get(),
            typed_allocations: self.typed.get(),
        }
    }

    /// Returns the live buffers of each type, the largest sum first; `u8` stands for buffers
    /// requested in bytes. Buffers of sub-contexts are not included. O(buffers × types).
    #[must_use]
    pub fn stats_by_type(&self) -> Vec<TypeStats> {
        let mut types = Vec::<TypeStats>::new();
        self.entries.for_each(|entry| {
            let (name, bytes) = (entry.kind.map_or("u8", |kind| kind()), entry.layout.size());
            match types.iter_mut().find(|stats| stats.name == name) {
                Some(stats) => {
                    stats.buffers += 1;
                    stats.bytes += bytes;
                }
                None => types.push(TypeStats { name, buffers: 1, bytes }),
            }
        });
        types.sort_by(|one, two| two.bytes.cmp(&one.bytes).then(one.name.cmp(two.name)));
        types
    }

    /// Returns the context's label.
    #[must_use]
    pub const fn label(&self) -> Label {
        self.label
    }
}

impl Drop for AnalyticsContext<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(parent) = self.parent {
            parent.on_released(self.current.get());
        }
        let back = self.pool.return_handle();
        self.entries.release_all(|start, layout| {
            // SAFETY: allocated from the pool with this layout; slices borrow the context, which is
            // dropped. `back` was made in this call, in which the thread does not start to exit.
            unsafe { back.push(start, layout) };
        });
    }
}
