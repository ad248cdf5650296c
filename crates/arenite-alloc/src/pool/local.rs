//! The pool of one thread: a stack of free blocks and a state flag for each block.
//!
//! The addresses of free blocks lie on a stack beside the blocks, not in them. A write to a freed
//! block cannot break the pool, and a block is not touched before its user touches it. The last
//! block freed lies in a field of its own, because it is the next one to be allocated.
#![expect(unsafe_code, reason = "allocates raw blocks and keeps its table in raw memory")]

use super::backing::Backing;
use super::slots::Slots;
use crate::Global;
use crate::util::resource_macros::grow_and_shrink_by;
use crate::util::with_layout;
use arenite_core::{AllocError, AllocErrorKind, AllocResult, Label, Owns, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::ptr::NonNull;

/// A fixed-size pool of one thread.
///
/// [`Pool::allocate_block`] and [`Pool::deallocate_block`] are O(1) and checked. A pointer outside
/// the pool or inside a block, and a block that is already free, are errors that leave the pool
/// unchanged. The table takes nine bytes for each block.
///
/// ```
/// use arenite_alloc::Pool;
/// let pool = Pool::new(1024, 100)?;
/// let block = pool.allocate_block()?;
/// assert_eq!(block.as_ptr() as usize % 64, 0);
/// pool.deallocate_block(block)?;
/// assert!(pool.deallocate_block(block).is_err());
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
pub struct Pool<R: Resource = Global> {
    /// The block freed last; null if it was allocated again.
    hot: Cell<*mut u8>,
    /// Number of free blocks on the stack.
    depth: Cell<usize>,
    /// The first block that was never allocated, and the end of the committed blocks.
    fresh: Cell<*mut u8>,
    backed: Cell<*mut u8>,
    base: *mut u8,
    stack: *mut *mut u8,
    flags: *mut u8,
    slots: Slots,
    peak: Cell<usize>,
    label: Label,
    backing: UnsafeCell<Backing<R>>,
}

const SLOT_FREE: u8 = 0;
/// Allocated by `allocate_block`, freed by `deallocate_block`.
const SLOT_LIVE: u8 = 1;
/// Allocated through the unchecked API (`Resource`), whose owner frees it there: safe code must
/// not free it.
const SLOT_OWNED: u8 = 2;

// SAFETY: the pointers are into the backing, which this value owns and which is `Send`; a pool can
// only be sent while nothing borrows it.
unsafe impl<R: Resource + Send> Send for Pool<R> {}

impl Pool {
    /// Makes a pool of `count` blocks of `size` bytes. The range of addresses is reserved now and
    /// committed as the pool grows.
    ///
    /// Blocks of 64 bytes and more are aligned to 64, smaller ones to the largest power of two that
    /// divides their size (8 at least).
    ///
    /// # Errors
    /// [`AllocError`] if `size` or `count` is zero, their product overflows, or the addresses
    /// cannot be reserved.
    pub fn new(size: usize, count: usize) -> Result<Self, AllocError> {
        Self::reserve(Slots::new(size, None, count)?)
    }

    /// Makes a pool as [`Pool::new`] does, with blocks aligned to `align`.
    ///
    /// # Errors
    /// As [`Pool::new`], and if `align` is no power of two.
    pub fn with_alignment(size: usize, align: usize, count: usize) -> Result<Self, AllocError> {
        Self::reserve(Slots::new(size, Some(align), count)?)
    }

    fn reserve(slots: Slots) -> Result<Self, AllocError> {
        let label = Label::new("pool");
        Ok(Self::from_backing(
            Backing::reserve(slots.bytes(), slot_table_bytes(slots.count), slots.align, label)?,
            slots,
            label,
        ))
    }
}

/// Returns the bytes of the table: an address and a flag for each block.
const fn slot_table_bytes(count: usize) -> usize {
    count * (size_of::<*mut u8>() + 1)
}

impl<R: Resource> Pool<R> {
    /// Makes a pool of `count` blocks of `size` bytes in one chunk of `upstream`.
    ///
    /// # Errors
    /// As [`Pool::new`], and if `upstream` cannot allocate the chunk.
    pub fn new_in(upstream: R, size: usize, count: usize) -> Result<Self, AllocError> {
        let slots = Slots::new(size, None, count)?;
        let label = Label::new("pool");
        Ok(Self::from_backing(
            Backing::allocate_from(upstream, slots.bytes(), slot_table_bytes(count), slots.align, label)?,
            slots,
            label,
        ))
    }

    fn from_backing(backing: Backing<R>, slots: Slots, label: Label) -> Self {
        let base = backing.base().as_ptr();
        let stack = backing.slot_table();
        // SAFETY: the table has `count` addresses and then `count` flags.
        let flags = unsafe { stack.add(slots.count * size_of::<*mut u8>()) };
        let backed = base.wrapping_add(backing.committed().min(slots.bytes()));
        Self {
            hot: Cell::new(core::ptr::null_mut()),
            depth: Cell::new(0),
            fresh: Cell::new(base),
            backed: Cell::new(backed),
            base,
            stack: stack.cast().as_ptr(),
            flags: flags.as_ptr(),
            slots,
            peak: Cell::new(0),
            label,
            backing: UnsafeCell::new(backing),
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

    /// Returns the number of live blocks.
    pub fn live_blocks(&self) -> usize {
        // Touched, and neither on the stack nor hot: allocations and frees maintain no counter.
        self.touched() - self.depth.get() - usize::from(!self.hot.get().is_null())
    }

    /// Returns the fraction of the blocks touched so far that is free, from 0 to 1.
    pub fn fragmentation_level(&self) -> f64 {
        match self.touched() {
            0 => 0.0,
            touched => (touched - self.live_blocks()) as f64 / touched as f64,
        }
    }

    /// Returns the number of blocks that were allocated at least once.
    fn touched(&self) -> usize {
        (self.fresh.get().addr() - self.base.addr()) / self.slots.stride
    }

    /// Returns whether `block` is the start of one of this pool's blocks, live or not. O(1).
    #[inline]
    pub fn owns(&self, block: NonNull<u8>) -> bool {
        self.slots.slot(block.addr().get().wrapping_sub(self.base.addr())) < self.slots.count
    }

    /// Allocates a block of undefined bytes. O(1).
    ///
    /// # Errors
    /// [`AllocErrorKind::CapacityReached`] if every block is live, or the system's error if it has
    /// no more memory.
    #[inline]
    pub fn allocate_block(&self) -> Result<NonNull<u8>, AllocError> {
        self.allocate_slot(SLOT_LIVE)
    }

    #[inline(always)]
    fn allocate_slot(&self, owner: u8) -> Result<NonNull<u8>, AllocError> {
        let mut block = self.hot.get();
        if block.is_null() {
            block = match self.pop() {
                Some(block) => block,
                None => self.allocate_fresh()?,
            };
        } else {
            self.hot.set(core::ptr::null_mut());
        }
        let slot = self.slots.slot(block.addr() - self.base.addr());
        // SAFETY: `block` is one of this pool's.
        let flag = unsafe { self.flag(slot) };
        // SAFETY: an entry of the table, which this thread alone uses.
        unsafe { flag.write(owner) };
        // SAFETY: blocks lie in the backing: not null.
        Ok(unsafe { NonNull::new_unchecked(block) })
    }

    /// Pops the newest free block off the stack.
    #[inline]
    fn pop(&self) -> Option<*mut u8> {
        let depth = self.depth.get().checked_sub(1)?;
        self.depth.set(depth);
        // SAFETY: below the capacity.
        let entry = unsafe { self.entry(depth) };
        // SAFETY: entries below the old depth were written by `free_slot`.
        Some(unsafe { entry.read() })
    }

    /// Allocates a block that was never allocated before.
    #[inline]
    fn allocate_fresh(&self) -> Result<*mut u8, AllocError> {
        let block = self.fresh.get();
        if block.addr() + self.slots.stride > self.backed.get().addr() {
            self.commit_more()?;
        }
        self.fresh.set(block.wrapping_add(self.slots.stride));
        Ok(block)
    }

    #[cold]
    fn commit_more(&self) -> Result<(), AllocError> {
        let end = self.fresh.get().addr() - self.base.addr() + self.slots.stride;
        if end > self.slots.bytes() {
            return Err(self.alloc_error(AllocErrorKind::CapacityReached));
        }
        // SAFETY: the pool is used by one thread, and nothing here calls back into it.
        let backing = unsafe { &mut *self.backing.get() };
        let backed = backing.commit_to(end);
        let backed = backed.map_err(|cause| self.alloc_error(cause))?;
        self.backed.set(self.base.wrapping_add(backed.min(self.slots.bytes())));
        Ok(())
    }

    fn check_request(&self, layout: Layout) -> Result<(), AllocError> {
        if self.slots.serves(layout) {
            return Ok(());
        }
        let error = self.alloc_error(AllocErrorKind::TooLarge { largest: self.slots.stride });
        Err(with_layout(error, layout))
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
    fn alloc_error(&self, cause: AllocErrorKind) -> AllocError {
        AllocError {
            kind: cause,
            size: self.slots.stride,
            align: self.slots.align,
            state: self.state(),
            label: self.label,
        }
    }

    /// Frees `block`. O(1).
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
        let offset = block.addr().get().wrapping_sub(self.base.addr());
        let slot = self.slots.slot(offset);
        if slot >= self.slots.count {
            return Err(self.alloc_error(self.slots.pointer_error(offset)));
        }
        // SAFETY: just compared with the capacity.
        let flag = unsafe { self.flag(slot) };
        // SAFETY: an entry of the table, which this thread alone uses.
        if unsafe { flag.read() } != SLOT_LIVE {
            return Err(self.alloc_error(AllocErrorKind::DoubleFree));
        }
        // SAFETY: as above.
        unsafe { flag.write(SLOT_FREE) };
        // The address is rebuilt from the pool's own pointer: the caller's may be any pointer with
        // this address.
        self.free_slot(self.base.wrapping_add(offset));
        Ok(())
    }

    #[inline]
    fn free_slot(&self, block: *mut u8) {
        let older = self.hot.replace(block);
        if !older.is_null() {
            // SAFETY: each free block is on the stack at most once, so the stack has fewer entries
            // than the pool has blocks.
            let entry = unsafe { self.entry(self.depth.get()) };
            // SAFETY: an entry of the table, which this thread alone uses.
            unsafe { entry.write(older) };
            self.depth.set(self.depth.get() + 1);
        }
    }

    /// Returns the state flag of `slot`.
    ///
    /// # Safety
    /// `slot` is below the capacity.
    #[inline(always)]
    unsafe fn flag(&self, slot: usize) -> *mut u8 {
        debug_assert!(slot < self.slots.count, "a slot of this pool");
        // SAFETY: the table has a flag for each slot.
        unsafe { self.flags.add(slot) }
    }

    /// Returns entry `at` of the stack of free blocks.
    ///
    /// # Safety
    /// `at` is below the capacity.
    #[inline(always)]
    unsafe fn entry(&self, at: usize) -> *mut *mut u8 {
        debug_assert!(at < self.slots.count, "an entry for every block");
        // SAFETY: the table has an entry for each block.
        unsafe { self.stack.add(at) }
    }

    /// Returns the highest live slot plus one. O(capacity).
    fn live_end(&self) -> usize {
        // SAFETY: the flags of the blocks touched so far.
        let flags = unsafe { core::slice::from_raw_parts(self.flags, self.touched()) };
        flags.iter().rposition(|&flag| flag != SLOT_FREE).map_or(0, |slot| slot + 1)
    }
}

// SAFETY: 1. a block is `stride` bytes at `align`, which `serves` compares. 2. a block is on the
// stack, hot, fresh or allocated, and in exactly one of these states: `deallocate_block` frees
// allocated blocks only. 3. the backing does not move; trimming decommits only behind the last
// live block. 4. a request of zero bytes gets a block.
unsafe impl<R: Resource> Resource for Pool<R> {
    #[inline]
    fn allocate(&self, layout: Layout) -> AllocResult {
        self.check_request(layout)?;
        let block = self.allocate_slot(SLOT_OWNED).map_err(|error| with_layout(error, layout))?;
        Ok(NonNull::slice_from_raw_parts(block, self.slots.stride))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, _layout: Layout) {
        let offset = block.addr().get().wrapping_sub(self.base.addr());
        // SAFETY: the caller's promise: the start of a block of this pool.
        let flag = unsafe { self.flag(self.slots.slot(offset)) };
        // SAFETY: an entry of the table, which this thread alone uses.
        unsafe { flag.write(SLOT_FREE) };
        self.free_slot(self.base.wrapping_add(offset));
    }

    grow_and_shrink_by!(Self::resize);

    fn state(&self) -> ResourceState {
        // SAFETY: the pool is used by one thread, and the borrow ends here.
        let held = unsafe { &*self.backing.get() }.held();
        let live = self.live_blocks();
        ResourceState {
            in_use: live * self.slots.stride,
            held,
            peak: self.peak.get().max(self.touched()) * self.slots.stride,
            live_blocks: live,
            largest_free: Some(if live < self.slots.count { self.slots.stride } else { 0 }),
            limit: Some(self.slots.bytes()),
        }
    }
}

// SAFETY: `owns` compares with the pool's own range.
unsafe impl<R: Resource> Owns for Pool<R> {
    fn owns(&self, block: NonNull<u8>) -> bool {
        Self::owns(self, block)
    }
}

impl<R: Resource> Trim for Pool<R> {
    /// Decommits the memory behind the last live block (of a pool with a range of its own).
    /// O(capacity).
    fn trim(&self, target_held: usize) -> usize {
        let end = self.live_end();
        self.peak.set(self.peak.get().max(self.touched()));
        let fresh = self.base.wrapping_add(end * self.slots.stride);
        // Free blocks from `end` on leave the stack: they are fresh again.
        let mut len = 0;
        for at in 0..self.depth.get() {
            // SAFETY: below the depth.
            let entry = unsafe { self.entry(at) };
            // SAFETY: entries below the depth were written by `free_slot`.
            let block = unsafe { entry.read() };
            if block.addr() < fresh.addr() {
                // SAFETY: `len` is at most `at`.
                let entry = unsafe { self.entry(len) };
                // SAFETY: an entry of the table, which this thread alone uses.
                unsafe { entry.write(block) };
                len += 1;
            }
        }
        self.depth.set(len);
        if self.hot.get().addr() >= fresh.addr() {
            self.hot.set(core::ptr::null_mut());
        }
        self.fresh.set(fresh);
        // SAFETY: the pool is used by one thread, and nothing here calls back into it.
        let backing = unsafe { &mut *self.backing.get() };
        let table = backing.held() - backing.committed();
        let keep = (end * self.slots.stride).max(target_held.saturating_sub(table));
        // SAFETY: no block from `end` on is live, and `allocate_fresh` commits above `backed`
        // first.
        let released = unsafe { backing.decommit_from(keep) };
        self.backed.set(self.base.wrapping_add(backing.committed().min(self.slots.bytes())));
        released
    }
}

impl<R: Resource> fmt::Debug for Pool<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Pool")
            .field("label", &self.label)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
