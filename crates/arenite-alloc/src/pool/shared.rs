//! The pool that threads share.
//!
//! Allocating and freeing take no lock; growing does.
#![expect(unsafe_code, reason = "allocates raw blocks and keeps its table in raw memory")]

use super::backing::Backing;
use super::index_stack::{IndexStack, MAX_SIZE, MAX_SLOTS, SlotState, StackError, is_allocated};
use super::slots::Slots;
use crate::Global;
use crate::util::resource_macros::grow_and_shrink_by;
use crate::util::sync::AtomicU64;
use arenite_core::{
    AllocError, AllocErrorKind, AllocResult, Label, MemoryAllocator, Owns, Resource, ResourceState, Trim,
};
use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A fixed-size pool that many threads use at once, checked like [`Pool`](crate::Pool).
///
/// The pool is lock-free and O(1); any thread may free a block. The table takes eight bytes for
/// each block. It records the size and alignment of each live block, so the pool is a
/// [`MemoryAllocator`] without a further table.
///
/// ```
/// use arenite_alloc::SharedPool;
/// let pool = SharedPool::new(256, 1000)?;
/// let blocks = std::thread::scope(|threads| {
///     let allocate = || -> Vec<_> {
///         (0..100).map(|_| pool.allocate_block().unwrap().addr()).collect()
///     };
///     let other = threads.spawn(allocate);
///     let mut blocks = allocate();
///     blocks.extend(other.join().unwrap());
///     blocks
/// });
/// assert_eq!(blocks.iter().collect::<std::collections::HashSet<_>>().len(), 200);
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
pub struct SharedPool<R: Resource = Global> {
    stack: IndexStack,
    /// Number of slots that were allocated at least once, and of slots that are committed.
    fresh: AtomicUsize,
    backed: AtomicUsize,
    peak: AtomicUsize,
    links: *const AtomicU64,
    base: *mut u8,
    slots: Slots,
    label: Label,
    backing: Mutex<Backing<R>>,
}

// SAFETY: the pointers are into the backing, which this value owns and which is `Send`.
unsafe impl<R: Resource + Send> Send for SharedPool<R> {}
// SAFETY: links are atomics, the backing is behind a lock, and each block has one owner at a time.
unsafe impl<R: Resource + Send> Sync for SharedPool<R> {}

impl SharedPool {
    /// Makes a pool of `count` blocks of `size` bytes; see [`Pool::new`](crate::Pool::new).
    ///
    /// # Errors
    /// As [`Pool::new`](crate::Pool::new), and if `count` is 2³² - 1 or more.
    pub fn new(size: usize, count: usize) -> Result<Self, AllocError> {
        let slots = Self::check_limits(Slots::new(size, None, count)?)?;
        let label = Label::new("shared pool");
        Ok(Self::from_backing(
            Backing::reserve(slots.bytes(), slot_table_bytes(count), slots.align, label)?,
            slots,
            label,
        ))
    }
}

fn alloc_error_kind(why: StackError) -> AllocErrorKind {
    match why {
        StackError::NotLive => AllocErrorKind::DoubleFree,
        StackError::Differs(SlotState { size, align, .. }) => AllocErrorKind::Mismatch { size, align },
    }
}

/// Returns the bytes of the table: a link for each block.
const fn slot_table_bytes(count: usize) -> usize {
    count * size_of::<AtomicU64>()
}

impl<R: Resource> SharedPool<R> {
    /// Makes a pool of `count` blocks of `size` bytes in one chunk of `upstream`.
    ///
    /// # Errors
    /// As [`SharedPool::new`], and if `upstream` cannot allocate the chunk.
    pub fn new_in(upstream: R, size: usize, count: usize) -> Result<Self, AllocError> {
        let slots = Self::check_limits(Slots::new(size, None, count)?)?;
        let label = Label::new("shared pool");
        Ok(Self::from_backing(
            Backing::allocate_from(upstream, slots.bytes(), slot_table_bytes(count), slots.align, label)?,
            slots,
            label,
        ))
    }

    fn check_limits(slots: Slots) -> Result<Slots, AllocError> {
        if slots.stride >= MAX_SIZE || slots.count > MAX_SLOTS {
            let state = ResourceState::default();
            return Err(AllocError::bad_layout(slots.bytes(), slots.align, state, Label::new("shared pool")));
        }
        Ok(slots)
    }

    fn from_backing(backing: Backing<R>, slots: Slots, label: Label) -> Self {
        let backed = backing.committed() / slots.stride;
        Self {
            stack: IndexStack::new(),
            fresh: AtomicUsize::new(0),
            backed: AtomicUsize::new(backed.min(slots.count)),
            peak: AtomicUsize::new(0),
            links: backing.slot_table().cast().as_ptr(),
            base: backing.base().as_ptr(),
            slots,
            label,
            backing: Mutex::new(backing),
        }
    }

    /// Sets the label in errors and reports.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// Returns the size of a block in bytes, padding included.
    pub const fn block_size(&self) -> usize {
        self.slots.stride
    }

    /// Returns the number of blocks, live or free.
    pub const fn capacity(&self) -> usize {
        self.slots.count
    }

    /// Returns the number of live blocks. Exact while no call is in progress.
    pub fn live_blocks(&self) -> usize {
        self.fresh.load(Ordering::Relaxed).saturating_sub(self.stack.len())
    }

    /// Returns the fraction of the blocks touched so far that is free, from 0 to 1.
    pub fn fragmentation_level(&self) -> f64 {
        match self.fresh.load(Ordering::Relaxed) {
            0 => 0.0,
            touched => self.stack.len().min(touched) as f64 / touched as f64,
        }
    }

    fn links(&self) -> &[AtomicU64] {
        // SAFETY: the table has `count` links, zeroed when it was made, aligned, and lives as long
        // as the pool.
        unsafe { core::slice::from_raw_parts(self.links, self.slots.count) }
    }

    fn backing(&self) -> MutexGuard<'_, Backing<R>> {
        self.backing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn allocate_slot(&self, state: SlotState) -> Result<NonNull<u8>, AllocError> {
        let slot = match self.stack.pop(self.links(), state) {
            Some(slot) => slot,
            None => self
                .allocate_fresh(state)
                .map_err(|cause| self.alloc_error(cause, state.size, state.align))?,
        };
        // SAFETY: blocks lie in the backing: not null.
        Ok(unsafe { NonNull::new_unchecked(self.base.wrapping_add(slot * self.slots.stride)) })
    }

    /// Allocates a slot that was never allocated before.
    #[cold]
    fn allocate_fresh(&self, state: SlotState) -> Result<usize, AllocErrorKind> {
        loop {
            let backed = self.backed.load(Ordering::Acquire);
            let step = |fresh| (fresh < backed).then_some(fresh + 1);
            if let Ok(slot) = self.fresh.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step) {
                self.stack.init_link(self.links(), slot, state);
                self.peak.fetch_max(slot + 1, Ordering::Relaxed);
                return Ok(slot);
            }
            let mut backing = self.backing();
            if self.backed.load(Ordering::Relaxed) > backed {
                continue;
            }
            if backed == self.slots.count {
                // Another thread may have freed a block meanwhile.
                return self.stack.pop(self.links(), state).ok_or(AllocErrorKind::CapacityReached);
            }
            let bytes = backing.commit_to((backed + 1) * self.slots.stride)?;
            self.backed.store((bytes / self.slots.stride).min(self.slots.count), Ordering::Release);
        }
    }

    /// Resizes a block in place: a block serves every size up to the stride.
    ///
    /// # Safety
    /// As [`Resource::grow`] and [`Resource::shrink`].
    unsafe fn resize(&self, block: NonNull<u8>, _old: Layout, new: Layout) -> AllocResult {
        self.check_request(new)?;
        // Made from the pool's own pointer: the caller's provenance may cover no more than the old
        // size.
        let own = self.base.wrapping_add(block.addr().get().wrapping_sub(self.base.addr()));
        Ok(NonNull::slice_from_raw_parts(NonNull::new(own).unwrap_or(block), self.slots.stride))
    }

    #[cold]
    fn alloc_error(&self, cause: AllocErrorKind, size: usize, align: usize) -> AllocError {
        AllocError { kind: cause, size, align, state: self.state(), label: self.label }
    }

    /// Allocates a block of undefined bytes. O(1), lock-free.
    ///
    /// # Errors
    /// [`AllocErrorKind::CapacityReached`] if every block is live, or the system's error if it has
    /// no more memory.
    #[inline]
    pub fn allocate_block(&self) -> Result<NonNull<u8>, AllocError> {
        self.allocate_slot(SlotState { owned: false, size: self.slots.stride, align: self.slots.align })
    }

    /// Frees `block`. O(1), lock-free.
    ///
    /// # Errors
    /// - [`AllocErrorKind::InvalidPointer`] outside the pool
    /// - [`AllocErrorKind::InteriorPointer`] inside a block
    /// - [`AllocErrorKind::DoubleFree`] for a block that is free, was never allocated, or was
    ///   allocated through the unchecked API (by a container)
    ///
    /// The pool is unchanged in each case.
    #[inline]
    pub fn deallocate_block(&self, block: NonNull<u8>) -> Result<(), AllocError> {
        let is_checked = |state: SlotState| if state.owned { Err(StackError::NotLive) } else { Ok(()) };
        self.free_slot(block.addr().get(), is_checked)
            .map_err(|cause| self.alloc_error(cause, self.slots.stride, self.slots.align))
    }

    #[inline]
    fn slot(&self, address: usize) -> Result<usize, AllocErrorKind> {
        let offset = address.wrapping_sub(self.base.addr());
        let slot = self.slots.slot(offset);
        if slot < self.slots.count { Ok(slot) } else { Err(self.slots.pointer_error(offset)) }
    }

    #[inline]
    fn free_slot(
        &self,
        address: usize,
        accept: impl FnOnce(SlotState) -> Result<(), StackError>,
    ) -> Result<(), AllocErrorKind> {
        let slot = self.slot(address)?;
        self.stack.push(self.links(), slot, accept).map_err(alloc_error_kind)
    }

    fn check_request(&self, layout: Layout) -> Result<(), AllocError> {
        if self.slots.serves(layout) {
            return Ok(());
        }
        Err(self.alloc_error(
            AllocErrorKind::TooLarge { largest: self.slots.stride },
            layout.size(),
            layout.align(),
        ))
    }

    fn layout(&self, size: usize, align: usize) -> Result<Layout, AllocError> {
        let layout = arenite_core::layout(size, align)
            .map_err(|error| error.with_context(self.state(), self.label))?;
        self.check_request(layout)?;
        Ok(layout)
    }
}

// SAFETY: 1. a block is `stride` bytes at `align`, which `check_request` compares. 2. the stack
// records each slot as allocated or free, and pops a slot for one thread alone. 3. the backing
// does not move, and only `trim_mut` decommits. 4. a request of zero bytes gets a block.
unsafe impl<R: Resource> Resource for SharedPool<R> {
    #[inline]
    fn allocate(&self, layout: Layout) -> AllocResult {
        self.check_request(layout)?;
        let block =
            self.allocate_slot(SlotState { owned: true, size: layout.size(), align: layout.align() })?;
        Ok(NonNull::slice_from_raw_parts(block, self.slots.stride))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, _layout: Layout) {
        let freed = self.free_slot(block.addr().get(), |_| Ok(()));
        debug_assert!(freed.is_ok(), "{freed:?}");
    }

    grow_and_shrink_by!(Self::resize);

    fn state(&self) -> ResourceState {
        let live = self.live_blocks();
        ResourceState {
            in_use: live * self.slots.stride,
            held: self.backing().held(),
            peak: self.peak.load(Ordering::Relaxed).max(live) * self.slots.stride,
            live_blocks: live,
            largest_free: Some(if live < self.slots.count { self.slots.stride } else { 0 }),
            limit: Some(self.slots.bytes()),
        }
    }
}

// SAFETY: `slot` compares with the pool's own range.
unsafe impl<R: Resource> Owns for SharedPool<R> {
    fn owns(&self, block: NonNull<u8>) -> bool {
        self.slot(block.addr().get()).is_ok()
    }
}

impl<R: Resource + Send> MemoryAllocator for SharedPool<R> {
    type Error = AllocError;

    fn allocate(&self, size: usize, alignment: usize) -> Result<*mut u8, AllocError> {
        self.layout(size, alignment)?;
        self.allocate_slot(SlotState { owned: false, size, align: alignment }).map(NonNull::as_ptr)
    }

    fn deallocate(&self, ptr: *mut u8, size: usize, alignment: usize) -> Result<(), AllocError> {
        self.layout(size, alignment)?;
        let requested = SlotState { owned: false, size, align: alignment };
        let accept = |state: SlotState| match state {
            state if state == requested => Ok(()),
            state if state.owned => Err(StackError::NotLive),
            state => Err(StackError::Differs(state)),
        };
        self.free_slot(ptr.addr(), accept).map_err(|cause| self.alloc_error(cause, size, alignment))
    }

    /// Resizes the block in place if the new size fits.
    fn reallocate(
        &self,
        ptr: *mut u8,
        old_size: usize,
        new_size: usize,
        alignment: usize,
    ) -> Result<*mut u8, AllocError> {
        self.layout(old_size, alignment)?;
        self.layout(new_size, alignment)?;
        let slot = self.slot(ptr.addr()).map_err(|cause| self.alloc_error(cause, old_size, alignment))?;
        let requested = SlotState { owned: false, size: old_size, align: alignment };
        let resized = self.stack.resize(self.links(), slot, requested, new_size);
        resized.map_err(|why| self.alloc_error(alloc_error_kind(why), old_size, alignment))?;
        Ok(ptr)
    }

    fn allocated_size(&self) -> usize {
        self.live_blocks() * self.slots.stride
    }

    fn peak_allocated(&self) -> usize {
        self.peak.load(Ordering::Relaxed).max(self.live_blocks()) * self.slots.stride
    }

    fn reset_peak(&self) {
        self.peak.store(self.live_blocks(), Ordering::Relaxed);
    }
}

impl<R: Resource> Trim for SharedPool<R> {
    /// Returns 0: another thread may be about to use any free memory of a shared pool. See
    /// [`SharedPool::trim_mut`].
    fn trim(&self, _target_held: usize) -> usize {
        0
    }
}

impl<R: Resource> SharedPool<R> {
    /// Decommits the memory behind the last live block. O(capacity).
    pub fn trim_mut(&mut self) -> usize {
        let end = self.links().iter().rposition(is_allocated).map_or(0, |slot| slot + 1);
        self.stack = IndexStack::new();
        let links = self.links();
        for slot in (0..end).rev().filter(|&slot| !is_allocated(&links[slot])) {
            self.stack.init_link(links, slot, SlotState { owned: false, size: 0, align: 1 });
            let pushed = self.stack.push(links, slot, |_| Ok(()));
            debug_assert_eq!(pushed, Ok(()), "just entered");
        }
        let (stride, count) = (self.slots.stride, self.slots.count);
        let backing = self.backing.get_mut().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: no block from `end` on is live, and `allocate_fresh` commits above `backed`
        // first.
        let released = unsafe { backing.decommit_from(end * stride) };
        *self.backed.get_mut() = (backing.committed() / stride).min(count);
        *self.fresh.get_mut() = end;
        released
    }
}

impl<R: Resource> fmt::Debug for SharedPool<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SharedPool")
            .field("label", &self.label)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
