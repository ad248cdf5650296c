//! The lists of large blocks: those cached for reuse, and those in use.
#![expect(unsafe_code, reason = "walks lists of headers that the heap's lock owns")]

use crate::heap::central::large_block::LargeHeader;
use core::ptr::NonNull;

/// Most bytes that the cache holds: 1 GiB.
pub(crate) const MAX_CACHED_BYTES: usize = 1 << 30;
/// A cached block serves a request if at most this fraction of it is left over.
const MAX_WASTE_DIVISOR: usize = 4;
/// Smallest number of bytes that is backed with OS pages of a cached block. Below, moving the OS
/// pages costs as much as faulting fresh ones.
const MIN_DONATION_BYTES: usize = 8 << 20;

/// Free large blocks, most recently freed first, under the heap's lock.
#[derive(Debug, Default)]
pub(crate) struct LargeCache {
    first: Option<NonNull<LargeHeader>>,
    pub(crate) bytes: usize,
}

impl LargeCache {
    pub(crate) const EMPTY: Self = Self { first: None, bytes: 0 };

    /// Removes the smallest block that holds `size` bytes and wastes at most a quarter of itself.
    /// O(blocks).
    pub(crate) fn pop(&mut self, size: usize) -> Option<NonNull<LargeHeader>> {
        let large = self.pop_smallest(|header| {
            let bytes = header.committed.get();
            bytes >= size && bytes - size <= bytes / MAX_WASTE_DIVISOR
        })?;
        // SAFETY: headers in the list are live, and the heap's lock owns them.
        let header = unsafe { large.as_ref() };
        if header.repair() {
            return Some(large);
        }
        self.reinsert(large);
        None
    }

    /// Removes a block that can donate OS pages to `target` from `at` on, if it is worth it.
    /// O(blocks).
    pub(crate) fn pop_donor(&mut self, target: &LargeHeader, at: usize) -> Option<NonNull<LargeHeader>> {
        let end = target.committed.get();
        if end.saturating_sub(at) < MIN_DONATION_BYTES {
            return None;
        }
        self.pop_smallest(|header| {
            let follows = at == 0 || target.donor_address.get() == header.region.as_ptr().addr().get();
            header.donated.get() == at && header.committed.get() >= end && follows
        })
    }

    /// Removes the smallest block that fits.
    fn pop_smallest(&mut self, fits: impl Fn(&LargeHeader) -> bool) -> Option<NonNull<LargeHeader>> {
        let mut best: Option<(usize, Option<NonNull<LargeHeader>>, NonNull<LargeHeader>)> = None;
        let (mut before, mut at) = (None, self.first);
        while let Some(large) = at {
            // SAFETY: headers in the list are live, and the heap's lock owns them.
            let header = unsafe { large.as_ref() };
            let bytes = header.committed();
            if fits(header) && best.is_none_or(|(other, _, _)| bytes < other) {
                best = Some((bytes, before, large));
            }
            (before, at) = (at, header.next.get());
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

    /// Inserts a block that was removed, at its former age. Releases it if it has no memory left.
    pub(crate) fn reinsert(&mut self, large: NonNull<LargeHeader>) {
        // SAFETY: a live header that the caller alone has.
        let header = unsafe { large.as_ref() };
        if header.committed() == 0 {
            // SAFETY: the header is in no list, and its block is free.
            return unsafe { LargeHeader::release(large) };
        }
        let tick = header.freed_at_tick.get();
        let (mut before, mut at) = (None, self.first);
        // blocks freed later come first
        while let Some(cached) = at {
            // SAFETY: headers in the list are live, and the heap's lock owns them.
            let other = unsafe { cached.as_ref() };
            if other.freed_at_tick.get() <= tick {
                break;
            }
            (before, at) = (at, other.next.get());
        }
        header.next.set(at);
        // SAFETY: as above.
        match before.map(|before: NonNull<LargeHeader>| unsafe { before.as_ref() }) {
            Some(before) => before.next.set(Some(large)),
            None => self.first = Some(large),
        }
        self.bytes += header.committed();
    }

    pub(crate) fn for_each(&self, visit: impl FnMut(&LargeHeader)) {
        LiveList { first: self.first }.for_each(visit);
    }

    /// Inserts a block that was freed at this tick.
    pub(crate) fn push(&mut self, large: NonNull<LargeHeader>, tick: u64) {
        // SAFETY: the live header of a block that was just freed.
        let header = unsafe { large.as_ref() };
        header.next.set(self.first);
        header.freed_at_tick.set(tick);
        self.bytes += header.committed();
        self.first = Some(large);
    }

    /// Releases the oldest blocks until at most `target` bytes are cached. Returns the bytes
    /// released.
    pub(crate) fn trim(&mut self, target: usize) -> usize {
        let before = self.bytes;
        while self.bytes > target && self.release_oldest(|_| true) {}
        before - self.bytes
    }

    /// Releases the blocks that were freed before this tick.
    pub(crate) fn trim_before(&mut self, tick: u64) {
        while self.release_oldest(|freed_at_tick| freed_at_tick < tick) {}
    }

    /// Releases the oldest block if its tick matches. Returns whether it did.
    fn release_oldest(&mut self, matches: impl Fn(u64) -> bool) -> bool {
        let (mut previous, mut last) = (None::<NonNull<LargeHeader>>, self.first);
        while let Some(large) = last {
            // SAFETY: headers in the list are live, and the heap's lock owns them.
            match unsafe { large.as_ref() }.next.get() {
                Some(next) => (previous, last) = (last, Some(next)),
                None => break,
            }
        }
        let Some(large) = last else { return false };
        // SAFETY: as above.
        let header = unsafe { large.as_ref() };
        if !matches(header.freed_at_tick.get()) {
            return false;
        }
        match previous {
            // SAFETY: as above.
            Some(previous) => unsafe { previous.as_ref() }.next.set(None),
            None => self.first = None,
        }
        self.bytes -= header.committed();
        // SAFETY: the header is in no list, and its block is free.
        unsafe { LargeHeader::release(large) };
        true
    }
}

/// Live large blocks, under the heap's lock.
#[derive(Debug, Default)]
pub(crate) struct LiveList {
    first: Option<NonNull<LargeHeader>>,
}

impl LiveList {
    pub(crate) const EMPTY: Self = Self { first: None };

    pub(crate) fn insert(&mut self, large: NonNull<LargeHeader>) {
        // SAFETY: a live header of this heap, under its lock.
        let header = unsafe { large.as_ref() };
        header.previous.set(None);
        header.next.set(self.first);
        header.freed_at_tick.set(0);
        if let Some(first) = self.first {
            // SAFETY: as above.
            unsafe { first.as_ref() }.previous.set(Some(large));
        }
        self.first = Some(large);
    }

    pub(crate) fn remove(&mut self, large: NonNull<LargeHeader>) {
        // SAFETY: a live header of this heap, under its lock.
        let header = unsafe { large.as_ref() };
        let (previous, next) = (header.previous.take(), header.next.take());
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

    pub(crate) fn for_each(&self, mut visit: impl FnMut(&LargeHeader)) {
        let mut at = self.first;
        while let Some(large) = at {
            // SAFETY: headers in the list are live, and the heap's lock owns them.
            let header = unsafe { large.as_ref() };
            visit(header);
            at = header.next.get();
        }
    }

    /// Releases every block: the heap is dropped.
    ///
    /// # Safety
    /// None of the blocks is used afterwards.
    pub(crate) unsafe fn release_all(&mut self) {
        while let Some(large) = self.first {
            // SAFETY: headers in the list are live.
            self.first = unsafe { large.as_ref() }.next.get();
            // SAFETY: the clause.
            unsafe { LargeHeader::release(large) };
        }
    }
}
