//! The pool of one thread: a stack of free blocks and a live flag per block.
//!
//! Rests on [`Slots`] for the geometry and on [`Backing`] for the memory. The free blocks' addresses lie on a stack beside the
//! blocks, not in them, so a program that writes to a freed block cannot break the pool, and a block is not touched before
//! its user touches it; the last one freed waits in a field of its own, because it is the one wanted next.
#![expect(unsafe_code, reason = "keeps its table in raw memory and hands out raw blocks")]

use super::backing::Backing;
use super::slots::Slots;
use crate::Global;
use crate::util::with_layout;
use arenite_core::{AllocCause, AllocError, Label, Owns, Resource, ResourceState, Trim};
use core::alloc::Layout;
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::ptr::NonNull;

/// A fixed-size pool of one thread.
///
/// [`Pool::allocate_block`] and [`Pool::deallocate_block`] are O(1) and checked: a pointer from outside, one inside a block,
/// and a block that is already free are refused, and the pool is unchanged. Nine bytes of table a block.
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
    /// The block freed last; null where it is taken.
    hot: Cell<*mut u8>,
    /// Free blocks on the stack.
    depth: Cell<usize>,
    /// The first block never handed out, and the end of the backed blocks.
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
/// Lent by `allocate_block`: `deallocate_block` takes it back.
const SLOT_LIVE: u8 = 1;
/// Lent by the fast owner, to an owner that gives it back there: safe code must not free it from under that owner.
const SLOT_OWNED: u8 = 2;

// SAFETY: the pointers are into the backing, which this value owns and which is `Send`; a pool can only be sent while nothing
// borrows it.
unsafe impl<R: Resource + Send> Send for Pool<R> {}

impl Pool {
    /// `count` blocks of `size` bytes over a range of addresses reserved now and committed as the pool grows. Blocks of 64
    /// bytes and more are aligned to 64, smaller ones to the largest power of two that divides their size (8 at least).
    ///
    /// # Errors
    /// [`AllocError`] if `size` or `count` is zero, their product overflows, or there are no such addresses.
    pub fn new(size: usize, count: usize) -> Result<Self, AllocError> {
        Self::reserve(Slots::new(size, None, count)?)
    }

    /// The same, at a given alignment.
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

/// The bytes of the table: an address and a flag per block.
const fn slot_table_bytes(count: usize) -> usize {
    count * (size_of::<*mut u8>() + 1)
}

impl<R: Resource> Pool<R> {
    /// `count` blocks of `size` bytes in one chunk of `upstream`.
    ///
    /// # Errors
    /// As [`Pool::new`], and if `upstream` has no such chunk.
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

    /// The same pool under another name in errors and reports.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Label>) -> Self {
        self.label = label.into();
        self
    }

    /// The size of a block in bytes, padding included.
    pub const fn block_size(&self) -> usize {
        self.slots.stride
    }

    /// How many blocks there are.
    pub const fn capacity(&self) -> usize {
        self.slots.count
    }

    /// How many blocks are lent.
    pub fn live_blocks(&self) -> usize {
        // Touched, and neither on the stack nor hot: nothing is counted where blocks come and go.
        self.touched() - self.depth.get() - usize::from(!self.hot.get().is_null())
    }

    /// The part of the blocks touched so far that is free, 0 to 1: memory held for nobody.
    pub fn fragmentation_level(&self) -> f64 {
        match self.touched() {
            0 => 0.0,
            touched => (touched - self.live_blocks()) as f64 / touched as f64,
        }
    }

    /// Blocks handed out at least once.
    fn touched(&self) -> usize {
        (self.fresh.get().addr() - self.base.addr()) / self.slots.stride
    }

    /// Whether `block` is the start of one of this pool's blocks, live or not. O(1).
    #[inline]
    pub fn owns(&self, block: NonNull<u8>) -> bool {
        self.slots.slot(block.addr().get().wrapping_sub(self.base.addr())) < self.slots.count
    }

    /// A block, its bytes undefined. O(1).
    ///
    /// # Errors
    /// [`AllocCause::CapacityReached`] if every block is lent, or the system gives no more memory.
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

    /// The newest free block on the stack.
    #[inline]
    fn pop(&self) -> Option<*mut u8> {
        let depth = self.depth.get().checked_sub(1)?;
        self.depth.set(depth);
        // SAFETY: below the capacity.
        let entry = unsafe { self.entry(depth) };
        // SAFETY: entries below the old depth were written by `push`.
        Some(unsafe { entry.read() })
    }

    /// A block that was never handed out.
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
            return Err(self.alloc_error(AllocCause::CapacityReached));
        }
        // SAFETY: the pool is of one thread, and nothing here calls back into it.
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
        let error = self.alloc_error(AllocCause::TooLarge { largest: self.slots.stride });
        Err(with_layout(error, layout))
    }

    #[cold]
    fn alloc_error(&self, cause: AllocCause) -> AllocError {
        AllocError {
            cause,
            size: self.slots.stride,
            align: self.slots.align,
            state: self.state(),
            label: self.label,
        }
    }

    /// Gives `block` back. O(1).
    ///
    /// # Errors
    /// [`AllocCause::Foreign`] outside the pool, [`AllocCause::Interior`] inside a block, [`AllocCause::NotLive`] already
    /// free, never lent, or lent through the fast owner (to a container). The pool is unchanged in each case.
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
            return Err(self.alloc_error(AllocCause::NotLive));
        }
        // SAFETY: as above.
        unsafe { flag.write(SLOT_FREE) };
        // The address is rebuilt from the pool's own pointer: the caller's may be any pointer with this address.
        self.free_slot(self.base.wrapping_add(offset));
        Ok(())
    }

    #[inline]
    fn free_slot(&self, block: *mut u8) {
        let older = self.hot.replace(block);
        if !older.is_null() {
            // SAFETY: each free block is on the stack at most once, so it holds fewer than there are.
            let entry = unsafe { self.entry(self.depth.get()) };
            // SAFETY: an entry of the table, which this thread alone uses.
            unsafe { entry.write(older) };
            self.depth.set(self.depth.get() + 1);
        }
    }

    /// The live flag of `slot`.
    ///
    /// # Safety
    /// `slot` is below the capacity.
    #[inline(always)]
    unsafe fn flag(&self, slot: usize) -> *mut u8 {
        debug_assert!(slot < self.slots.count, "a slot of this pool");
        // SAFETY: the table has a flag for each slot.
        unsafe { self.flags.add(slot) }
    }

    /// Entry `at` of the stack of free blocks.
    ///
    /// # Safety
    /// `at` is below the capacity.
    #[inline(always)]
    unsafe fn entry(&self, at: usize) -> *mut *mut u8 {
        debug_assert!(at < self.slots.count, "room for every block");
        // SAFETY: the table has an entry for each block.
        unsafe { self.stack.add(at) }
    }

    /// The highest live slot plus one. O(capacity).
    fn live_end(&self) -> usize {
        // SAFETY: the flags of the blocks touched so far.
        let flags = unsafe { core::slice::from_raw_parts(self.flags, self.touched()) };
        flags.iter().rposition(|&flag| flag != SLOT_FREE).map_or(0, |slot| slot + 1)
    }
}

// SAFETY: 1. a block is `stride` bytes at `align`, which `serves` compares. 2. a block is on the stack, hot, fresh or lent,
// and in one of these states alone: `deallocate_block` moves lent ones only. 3. the backing does not move; trimming unbacks
// only behind the last live block. 4. a request of no bytes gets a block.
unsafe impl<R: Resource> Resource for Pool<R> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
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

    unsafe fn grow(
        &self,
        block: NonNull<u8>,
        _old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        self.check_request(new)?;
        // Made from the pool's own pointer: the caller's may be good for no more than the old size.
        let own = self.base.wrapping_add(block.addr().get().wrapping_sub(self.base.addr()));
        Ok(NonNull::slice_from_raw_parts(NonNull::new(own).unwrap_or(block), self.slots.stride))
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise; a block serves a smaller size as it stands.
        unsafe { self.grow(block, old, new) }
    }

    fn state(&self) -> ResourceState {
        // SAFETY: the pool is of one thread, and the borrow ends here.
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
    /// Gives back the memory behind the last live block (of a pool over a range of its own). O(capacity).
    fn trim(&self, target_held: usize) -> usize {
        let end = self.live_end();
        self.peak.set(self.peak.get().max(self.touched()));
        let fresh = self.base.wrapping_add(end * self.slots.stride);
        // Free blocks from `end` on leave the stack: they are fresh again.
        let mut kept = 0;
        for at in 0..self.depth.get() {
            // SAFETY: below the depth.
            let entry = unsafe { self.entry(at) };
            // SAFETY: entries below the depth were written by `push`.
            let block = unsafe { entry.read() };
            if block.addr() < fresh.addr() {
                // SAFETY: `kept` is at most `at`.
                let entry = unsafe { self.entry(kept) };
                // SAFETY: an entry of the table, which this thread alone uses.
                unsafe { entry.write(block) };
                kept += 1;
            }
        }
        self.depth.set(kept);
        if self.hot.get().addr() >= fresh.addr() {
            self.hot.set(core::ptr::null_mut());
        }
        self.fresh.set(fresh);
        // SAFETY: the pool is of one thread, and nothing here calls back into it.
        let backing = unsafe { &mut *self.backing.get() };
        let table = backing.held() - backing.committed();
        let keep = (end * self.slots.stride).max(target_held.saturating_sub(table));
        // SAFETY: no block from `end` on is live, and `allocate_fresh` asks for backing above `backed`.
        let gone = unsafe { backing.decommit_from(keep) };
        self.backed.set(self.base.wrapping_add(backing.committed().min(self.slots.bytes())));
        gone
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
