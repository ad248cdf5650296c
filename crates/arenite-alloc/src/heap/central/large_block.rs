//! Large blocks: each in a region of its own, kept when it is given back.
//!
//! Rests on `arenite_pages::Region`. A block lies 2 MiB into its region, on huge pages, with more addresses behind it than it
//! needs, so that it grows where it is; where those end, its OS pages move to a larger region without a copy. What is given
//! back is kept, as it is, up to a bound: a program that takes and frees the same tensor faults its pages once. A kept block that is
//! too large for a request gives it OS pages: those at the same place in it, without a copy, so that a block that grows again to
//! what was there before finds all of them, in the same order and thus as one mapping.
#![expect(unsafe_code, reason = "keeps a head at the start of a region")]

use crate::heap::segment::segment::{ARENA, Header, Kind};
use crate::heap::segment::segment_map;
use arenite_pages::{HUGE_PAGE, Region, RegionOptions, page_size};
use core::cell::Cell;
use core::ptr::NonNull;

/// Where the block begins.
pub(crate) const OFFSET: usize = HUGE_PAGE;
/// The most that is kept, in bytes.
pub(crate) const KEPT: usize = 1 << 30;
/// A kept block serves a request of at least this share of it.
const SHARE: usize = 4;

/// The head of a large block. Its first field is that of an arena's tables, and those are zero here.
#[repr(C)]
pub(crate) struct Large {
    kind: Cell<Kind>,
    /// The next one that is kept or lent, under the heap's lock.
    next: Cell<Option<NonNull<Large>>>,
    /// The one before it of those that are lent, under the heap's lock.
    previous: Cell<Option<NonNull<Large>>>,
    /// The tick at which it was given back; 0 while it is lent.
    kept_at: Cell<u64>,
    /// Bytes committed behind the block's start, whole OS pages.
    committed: Cell<usize>,
    /// Of them, those that went to other blocks, from the start on; 0 while it is lent.
    gone: Cell<usize>,
    /// The address of the kept block that OS pages came from.
    source: Cell<usize>,
    region: Region,
}

// a look into the tables of an arena finds zeroes behind this head
const _: () = assert!(size_of::<Large>() <= core::mem::offset_of!(Header, owners));

/// Memory that was there is not there any more.
#[derive(Debug)]
pub(crate) struct Lost;

/// The large blocks that are kept for the next request, under the heap's lock; newest first.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    first: Option<NonNull<Large>>,
    pub(crate) bytes: usize,
}

impl core::fmt::Debug for Large {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Large").field("committed", &self.committed.get()).finish_non_exhaustive()
    }
}

impl Large {
    /// A new block of at least `size` bytes, zeroed; with `huge` on huge pages, where the system has them.
    pub(crate) fn reserve(size: usize, huge: bool) -> Option<NonNull<Self>> {
        let whole = size.checked_next_multiple_of(page_size())?;
        // room to grow: twice as much and some, as far as there are addresses
        let wish = whole.checked_mul(2)?.checked_add(64 << 20)?.checked_add(OFFSET)?;
        let least = whole.checked_add(OFFSET)?;
        let reserve = |len| RegionOptions::new().labelled("heap block").aligned(ARENA).reserve(len);
        let region = reserve(wish).or_else(|_| reserve(least)).ok()?;
        // as much of the head as an arena's table of owners would be asked for
        let head = (core::mem::offset_of!(Header, remote)).next_multiple_of(page_size());
        region.commit(0, head).ok()?;
        if huge {
            // a kernel without huge pages refuses, and gives small ones
            let _advised: Result<(), _> = region.advise_huge(OFFSET, region.len() - OFFSET, true);
        }
        region.commit(OFFSET, whole).ok()?;
        let base: NonNull<Self> = region.as_ptr().cast();
        let large = Self {
            kind: Cell::new(Kind::Large),
            next: Cell::new(None),
            previous: Cell::new(None),
            kept_at: Cell::new(0),
            committed: Cell::new(whole),
            gone: Cell::new(0),
            source: Cell::new(0),
            region,
        };
        // SAFETY: the start of the region, committed, aligned and nobody else's.
        unsafe { base.write(large) };
        segment_map::set(base.addr().get(), true);
        Some(base)
    }

    /// Gives the region back.
    ///
    /// # Safety
    /// Nobody uses the block or its head afterwards.
    pub(crate) unsafe fn release(this: NonNull<Self>) {
        segment_map::set(this.addr().get(), false);
        // SAFETY: written by `reserve`, read out once, and nobody uses the head afterwards.
        let large = unsafe { this.read() };
        drop(large.region);
    }

    pub(crate) fn block(this: NonNull<Self>) -> NonNull<u8> {
        this.cast::<u8>().map_addr(|address| address.saturating_add(OFFSET))
    }

    /// Bytes that it holds.
    pub(crate) fn committed(&self) -> usize {
        self.committed.get() - self.gone.get()
    }

    /// Whether nobody has it.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept_at.get() != 0
    }

    /// The addresses that are committed, the head's among them.
    pub(crate) fn addresses(&self) -> core::ops::Range<usize> {
        let base = self.region.as_ptr().addr().get();
        base..base + OFFSET + self.committed.get()
    }

    /// Makes the block at least `size` bytes where it is. False: there are no more addresses, or no memory.
    pub(crate) fn widen(&self, size: usize) -> bool {
        let Some(whole) = size.checked_next_multiple_of(page_size()) else { return false };
        let now = self.committed.get();
        if whole <= now {
            return true;
        }
        let fits =
            whole <= self.region.len() - OFFSET && self.region.commit(OFFSET + now, whole - now).is_ok();
        if fits {
            self.committed.set(whole);
        }
        fits
    }

    /// Moves the contents of `from` here; its memory comes along, where it is one mapping, and is copied where it is not.
    ///
    /// # Errors
    /// This block lost its memory, and must not be lent; the other is as it was.
    ///
    /// # Safety
    /// Nobody uses either block meanwhile. `from` is released afterwards, where this succeeds.
    pub(crate) unsafe fn take_over(&self, from: &Self) -> Result<(), Lost> {
        let size = from.committed.get().min(self.committed.get());
        // SAFETY: the caller's promise; both ranges are committed parts of two regions.
        if unsafe { from.region.remap(OFFSET, size, &self.region, OFFSET) }.is_ok() {
            return Ok(());
        }
        // what was there may have been closed by then
        if self.region.is_lost() || self.region.commit(OFFSET, size).is_err() {
            return Err(Lost);
        }
        let start = |large: &Self| large.region.as_ptr().as_ptr().wrapping_add(OFFSET);
        // SAFETY: both are committed for that many bytes, of two regions, and nobody uses them.
        unsafe { core::ptr::copy_nonoverlapping(start(from), start(self), size) };
        Ok(())
    }

    /// Takes the OS pages of `kept` from `at` on, as far as this block goes, in place of what it has there; where they are not there, or
    /// would not be one mapping with those before, or the system refuses, it stays as it is.
    ///
    /// # Errors
    /// This block has no memory from `at` on.
    ///
    /// # Safety
    /// Nobody uses the bytes of either block from `at` on, and nobody else has `kept`.
    pub(crate) unsafe fn take_pages(&self, kept: &Self, at: usize) -> Result<(), Lost> {
        let end = self.committed.get();
        let name = kept.region.as_ptr().addr().get();
        let follows = kept.gone.get() == at && (at == 0 || self.source.get() == name);
        if !follows || at >= end || kept.committed.get() < end {
            return Ok(());
        }
        // SAFETY: the caller's promise; both ranges are committed parts of two regions.
        let moved = unsafe { kept.region.remap_over(OFFSET + at, end - at, &self.region, OFFSET + at) };
        if moved.map_err(|_| Lost)? {
            kept.gone.set(end);
            self.source.set(name);
        }
        Ok(())
    }

    /// Says that the pages of `head` will begin this block.
    pub(crate) fn continues(&self, head: &Self) {
        self.source.set(head.source.get());
    }

    /// Forgets what is behind the first `size` bytes, which is not there any more.
    pub(crate) fn lose(&self, size: usize) {
        self.committed.set(size);
    }

    /// Makes a kept block that gave OS pages away whole again, with fresh ones. False: there is no memory.
    fn mend(&self) -> bool {
        let gone = self.gone.get();
        let whole = gone == 0 || self.region.commit(OFFSET, gone).is_ok();
        if whole {
            self.gone.set(0);
        }
        whole
    }
}

/// How many bytes a request needs at least for OS pages of kept blocks: below, asking for them costs as much as fresh ones.
const WORTH: usize = 8 << 20;

impl Kept {
    pub(crate) const EMPTY: Self = Self { first: None, bytes: 0 };

    /// The smallest one that holds `size` bytes and is not too large for them.
    pub(crate) fn take(&mut self, size: usize) -> Option<NonNull<Large>> {
        let large = self.take_smallest(|head| {
            let bytes = head.committed.get();
            bytes >= size && bytes - size <= bytes / SHARE
        })?;
        // SAFETY: heads that are kept are live and this lock's.
        let head = unsafe { large.as_ref() };
        if head.mend() {
            return Some(large);
        }
        self.give_back(large);
        None
    }

    /// One that has OS pages for the bytes of `target` from `at` on, if that is worth it.
    pub(crate) fn take_for(&mut self, target: &Large, at: usize) -> Option<NonNull<Large>> {
        let end = target.committed.get();
        if end.saturating_sub(at) < WORTH {
            return None;
        }
        self.take_smallest(|head| {
            let follows = at == 0 || target.source.get() == head.region.as_ptr().addr().get();
            head.gone.get() == at && head.committed.get() >= end && follows
        })
    }

    /// Takes the smallest of those that fit off the list.
    fn take_smallest(&mut self, fits: impl Fn(&Large) -> bool) -> Option<NonNull<Large>> {
        let mut best: Option<(usize, Option<NonNull<Large>>, NonNull<Large>)> = None;
        let (mut before, mut at) = (None, self.first);
        while let Some(large) = at {
            // SAFETY: heads that are kept are live and this lock's.
            let head = unsafe { large.as_ref() };
            let bytes = head.committed();
            if fits(head) && best.is_none_or(|(other, _, _)| bytes < other) {
                best = Some((bytes, before, large));
            }
            (before, at) = (at, head.next.get());
        }
        let (bytes, before, large) = best?;
        // SAFETY: as above.
        let next = unsafe { large.as_ref() }.next.take();
        match before {
            // SAFETY: as above.
            Some(before) => unsafe { before.as_ref() }.next.set(next),
            None => self.first = next,
        }
        self.bytes -= bytes;
        Some(large)
    }

    /// Puts one that was taken off the list back, as old as it is; one without memory goes.
    pub(crate) fn give_back(&mut self, large: NonNull<Large>) {
        // SAFETY: a live head that nobody else has.
        let head = unsafe { large.as_ref() };
        if head.committed() == 0 {
            // SAFETY: it is on no list, and its block is nobody's.
            return unsafe { Large::release(large) };
        }
        let tick = head.kept_at.get();
        let (mut before, mut at) = (None, self.first);
        // those given back later stand before it
        while let Some(place) = at {
            // SAFETY: heads that are kept are live and this lock's.
            let other = unsafe { place.as_ref() };
            if other.kept_at.get() <= tick {
                break;
            }
            (before, at) = (at, other.next.get());
        }
        head.next.set(at);
        // SAFETY: as above.
        match before.map(|before: NonNull<Large>| unsafe { before.as_ref() }) {
            Some(before) => before.next.set(Some(large)),
            None => self.first = Some(large),
        }
        self.bytes += head.committed();
    }

    pub(crate) fn each(&self, visit: impl FnMut(&Large)) {
        Lent { first: self.first }.each(visit);
    }

    /// Keeps one, given back at this tick.
    pub(crate) fn put(&mut self, large: NonNull<Large>, tick: u64) {
        // SAFETY: a live head that was just given back.
        let head = unsafe { large.as_ref() };
        head.next.set(self.first);
        head.kept_at.set(tick);
        self.bytes += head.committed();
        self.first = Some(large);
    }

    /// Gives the oldest back until `target` bytes are kept. How many bytes went.
    pub(crate) fn trim(&mut self, target: usize) -> usize {
        let before = self.bytes;
        while self.bytes > target && self.release_last(|_| true) {}
        before - self.bytes
    }

    /// Gives back those that were kept before this tick.
    pub(crate) fn trim_before(&mut self, tick: u64) {
        while self.release_last(|kept_at| kept_at < tick) {}
    }

    /// Gives the oldest one back, if its tick is asked for.
    fn release_last(&mut self, wanted: impl Fn(u64) -> bool) -> bool {
        let (mut previous, mut last) = (None::<NonNull<Large>>, self.first);
        while let Some(large) = last {
            // SAFETY: heads that are kept are live and this lock's.
            match unsafe { large.as_ref() }.next.get() {
                Some(next) => (previous, last) = (last, Some(next)),
                None => break,
            }
        }
        let Some(large) = last else { return false };
        // SAFETY: as above.
        let head = unsafe { large.as_ref() };
        if !wanted(head.kept_at.get()) {
            return false;
        }
        match previous {
            // SAFETY: as above.
            Some(previous) => unsafe { previous.as_ref() }.next.set(None),
            None => self.first = None,
        }
        self.bytes -= head.committed();
        // SAFETY: it is on no list, and its block is nobody's.
        unsafe { Large::release(large) };
        true
    }
}

/// The large blocks that are lent, under the heap's lock.
#[derive(Debug, Default)]
pub(crate) struct Lent {
    first: Option<NonNull<Large>>,
}

impl Lent {
    pub(crate) const EMPTY: Self = Self { first: None };

    pub(crate) fn enter(&mut self, large: NonNull<Large>) {
        // SAFETY: a live head of this heap, under its lock.
        let head = unsafe { large.as_ref() };
        head.previous.set(None);
        head.next.set(self.first);
        head.kept_at.set(0);
        if let Some(first) = self.first {
            // SAFETY: as above.
            unsafe { first.as_ref() }.previous.set(Some(large));
        }
        self.first = Some(large);
    }

    pub(crate) fn leave(&mut self, large: NonNull<Large>) {
        // SAFETY: a live head of this heap, under its lock.
        let head = unsafe { large.as_ref() };
        let (previous, next) = (head.previous.take(), head.next.take());
        match previous {
            // SAFETY: as above.
            Some(previous) => unsafe { previous.as_ref() }.next.set(next),
            None => self.first = next,
        }
        if let Some(next) = next {
            // SAFETY: as above.
            unsafe { next.as_ref() }.previous.set(previous);
        }
    }

    pub(crate) fn each(&self, mut visit: impl FnMut(&Large)) {
        let mut at = self.first;
        while let Some(large) = at {
            // SAFETY: as above.
            let head = unsafe { large.as_ref() };
            visit(head);
            at = head.next.get();
        }
    }

    /// Gives all back: the heap goes, and with it whoever had them.
    ///
    /// # Safety
    /// Nobody uses one of the blocks afterwards.
    pub(crate) unsafe fn release_all(&mut self) {
        while let Some(large) = self.first {
            // SAFETY: a live head.
            self.first = unsafe { large.as_ref() }.next.get();
            // SAFETY: the caller's promise.
            unsafe { Large::release(large) };
        }
    }
}
