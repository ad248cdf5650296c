//! Large blocks of a heap: spans of whole units, and blocks with a region of their own.
//!
//! A request of up to 16 MiB is served by units of a segment. Otherwise a cached block of about
//! its size serves it, or else a fresh region. A fresh region of 8 MiB and more takes over the OS
//! pages of a cached block that is too large for the request.
//!
//! A growing block that has no addresses left moves to a larger region. The first `n` bytes keep
//! their OS pages. The next bytes come from a donor `D` in the cache:
//!
//! ```text
//! block   [0 ....... n)                    released afterwards
//! donor D [0 ....... n)[n ........ m)      bytes 0..n were donated before, n..m are donated now
//! target  [0 ....... n)[n ........ m)      one mapping, no fault, no copy
//! ```
#![expect(unsafe_code, reason = "writes to blocks that it owns and reads their headers")]

use crate::heap::central::central::Central;
use crate::heap::central::large_block::{DATA_OFFSET, LargeHeader, PagesLost};
use crate::heap::central::large_cache::MAX_CACHED_BYTES;
use crate::heap::geometry::{MAX_SPAN, UNIT};
use crate::heap::hardened::misuse::{Misuse, MisuseReport};
use crate::heap::owner::{OwnerWord, SPAN};
use crate::heap::segment::segment::{segment_of, unit_of};
use core::ptr::NonNull;

impl Central {
    /// Allocates a span or a block with a region of its own, zeroed if `zeroed`. Returns `None` for
    /// an alignment above 2 MiB, and without memory.
    pub(crate) fn alloc_large(&self, size: usize, align: usize, zeroed: bool) -> Option<NonNull<u8>> {
        if align > DATA_OFFSET {
            return None;
        }
        let (block, is_zeroed) = if size <= MAX_SPAN && self.hardening.get().is_none() {
            (self.alloc_span(size, align)?, false)
        } else {
            self.alloc_region(size, zeroed)?
        };
        if zeroed && !is_zeroed {
            // SAFETY: the block has that many bytes, and this call alone has it.
            unsafe { block.write_bytes(0, size) };
        }
        Some(block)
    }

    /// Allocates whole units of a segment.
    fn alloc_span(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let mut state = self.lock();
        let units = size.div_ceil(UNIT);
        let (segment, first) = state.alloc_units(units, align.div_ceil(UNIT))?;
        // SAFETY: segments live as long as their heap.
        let segment = unsafe { segment.as_ref() };
        segment.init_slab(first, units, 0, UNIT, false);
        segment.set_owner(first, OwnerWord::new(SPAN, 0, 0));
        state.large_blocks += 1;
        state.large_bytes += units * UNIT;
        state.span_bytes += units * UNIT;
        let block = segment.unit_start(first);
        self.note_held(&mut state);
        self.poll_decay(&mut state, false);
        Some(block)
    }

    /// Allocates a block with a region of its own. Returns the block and whether it is zeroed; if
    /// `zeroed`, the OS pages of no other block are used for a fresh region.
    fn alloc_region(&self, size: usize, zeroed: bool) -> Option<(NonNull<u8>, bool)> {
        let mut state = self.lock();
        let (cached, huge_pages) = (state.large_cache.pop(size), state.huge_pages);
        self.poll_decay(&mut state, true);
        drop(state);
        let fresh = || {
            LargeHeader::reserve(size, huge_pages).or_else(|| {
                // the cached blocks may hold the memory that is missing
                let released = self.lock().large_cache.trim(0);
                if released > 0 { LargeHeader::reserve(size, huge_pages) } else { None }
            })
        };
        let mut large = match cached {
            Some(cached) => cached,
            None => fresh()?,
        };
        // SAFETY: 1. a live header, whose block this call alone has; 2. a fresh region.
        if cached.is_none() && !zeroed && unsafe { self.donate_pages(large, 0) }.is_err() {
            // SAFETY: the block is in no list and was never returned.
            unsafe { LargeHeader::release(large) };
            large = fresh()?;
        }
        // SAFETY: a live header that this call alone has.
        let bytes = unsafe { large.as_ref() }.committed();
        let mut state = self.lock();
        state.live_large.insert(large);
        state.large_blocks += 1;
        state.large_bytes += bytes;
        self.note_held(&mut state);
        drop(state);
        Some((LargeHeader::data(large), zeroed && cached.is_none()))
    }

    /// Frees a span.
    pub(crate) fn free_span(&self, block: NonNull<u8>) {
        let mut state = self.lock();
        // SAFETY: a span lies in a segment of this heap.
        let segment = unsafe { segment_of(block).as_ref() };
        let (first, units) = (unit_of(block), usize::from(segment.slabs[unit_of(block)].units.get()));
        segment.set_owner(first, OwnerWord::NONE);
        segment.free_units(first, units);
        state.large_blocks -= 1;
        state.large_bytes -= units * UNIT;
        state.span_bytes -= units * UNIT;
    }

    /// Grows a span to at least `size` bytes with the units behind it. Returns whether those were
    /// free and the result is no longer than a span may be.
    pub(crate) fn grow_span(&self, block: NonNull<u8>, size: usize) -> bool {
        if size > MAX_SPAN {
            return false;
        }
        let mut state = self.lock();
        // SAFETY: a span lies in a segment of this heap.
        let segment = unsafe { segment_of(block).as_ref() };
        let slab = &segment.slabs[unit_of(block)];
        let (first, units, needed) = (unit_of(block), usize::from(slab.units.get()), size.div_ceil(UNIT));
        if needed > units && segment.alloc_units_at(first + units, needed - units).is_none() {
            return false;
        }
        let more = needed.saturating_sub(units);
        slab.units.set(u16::try_from(units + more).unwrap_or(u16::MAX));
        state.large_bytes += more * UNIT;
        state.span_bytes += more * UNIT;
        self.note_held(&mut state);
        true
    }

    /// Frees a block with a region of its own. The cache keeps it as far as its limit allows.
    ///
    /// # Errors
    /// The block is already free.
    pub(crate) fn free_large(&self, large: NonNull<LargeHeader>) -> Result<(), MisuseReport> {
        let mut state = self.lock();
        // SAFETY: the header of a live or cached block.
        let header = unsafe { large.as_ref() };
        if header.is_cached() {
            return Err(MisuseReport::new(Misuse::DoubleFree, LargeHeader::data(large).addr().get()));
        }
        let bytes = header.committed();
        state.large_blocks -= 1;
        state.large_bytes -= bytes;
        state.live_large.remove(large);
        let tick = state.clock.tick();
        state.large_cache.push(large, tick);
        // an access to a freed block of a hardened heap must fault
        let max_bytes = if self.hardening.get().is_some() { 0 } else { MAX_CACHED_BYTES };
        state.large_cache.trim(max_bytes);
        self.poll_decay(&mut state, true);
        Ok(())
    }

    /// Grows a block with a region of its own to at least `size` bytes, in place or by moving its
    /// OS pages. Returns its address, or `None` if there is no memory; the block is unchanged then.
    pub(crate) fn grow_large(&self, large: NonNull<LargeHeader>, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: a live header; the caller alone has its block.
        let header = unsafe { large.as_ref() };
        // statistics read the size of every live block under the lock
        let mut state = self.lock();
        let before = header.committed();
        if header.grow_in_place(size) {
            state.large_bytes += header.committed() - before;
            self.note_held(&mut state);
            drop(state);
            // SAFETY: 1. the caller alone has the block; 2. `grow_in_place` committed these bytes,
            // and no user has them yet.
            if unsafe { self.donate_pages(large, before) }.is_err() {
                let mut state = self.lock();
                state.large_bytes -= header.committed() - before;
                header.drop_tail(before);
                return None;
            }
            return Some(LargeHeader::data(large));
        }
        let huge_pages = state.huge_pages;
        drop(state);
        let larger = LargeHeader::reserve(size, huge_pages)?;
        // SAFETY: a live header that this call alone has.
        let target = unsafe { larger.as_ref() };
        target.continue_from(header);
        // SAFETY: 1. a live header, whose block this call alone has; 2. a fresh region.
        let donated = unsafe { self.donate_pages(larger, before) };
        // SAFETY: the caller alone has the one block, this call the other.
        if donated.and_then(|()| unsafe { target.move_contents_from(header) }).is_err() {
            // SAFETY: the block is in no list and was never returned.
            unsafe { LargeHeader::release(larger) };
            return None;
        }
        let bytes = target.committed();
        let mut state = self.lock();
        state.large_bytes = state.large_bytes + bytes - before;
        state.live_large.remove(large);
        state.live_large.insert(larger);
        self.note_held(&mut state);
        drop(state);
        // SAFETY: its contents moved, and the caller gets the new block instead.
        unsafe { LargeHeader::release(large) };
        Some(LargeHeader::data(larger))
    }

    /// Backs the bytes from `at` on with OS pages of a cached block that is too large to be used
    /// itself, if there is one.
    ///
    /// # Errors
    /// The bytes from `at` on have no memory any more.
    ///
    /// # Safety
    /// 1. The header is live, and the calling thread alone has its block.
    /// 2. The bytes from `at` on are fresh.
    unsafe fn donate_pages(&self, large: NonNull<LargeHeader>, at: usize) -> Result<(), PagesLost> {
        // SAFETY: clause 1.
        let target = unsafe { large.as_ref() };
        let Some(cached) = self.lock().large_cache.pop_donor(target, at) else { return Ok(()) };
        // SAFETY: a live header that is in no list.
        let donor = unsafe { cached.as_ref() };
        // SAFETY: clauses 1 and 2 for the target; this call alone has the donor.
        let moved = unsafe { target.move_pages_from(donor, at) };
        self.lock().large_cache.reinsert(cached);
        moved
    }
}
