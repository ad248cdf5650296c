//! Two-level segregated fit: blocks of any size in one range of bytes, in constant time.
//!
//! Free blocks are linked in lists by size, 32 lists for each doubling. Two levels of bitmaps show
//! which lists are not empty, so a fitting block is found without a search. (Masmano, Ripoll,
//! Crespo and Real, "TLSF: a New Dynamic Memory Allocator for Real-Time Systems", 2004.)
//!
//! A freed block is coalesced with its free neighbours, at the latest before another size is
//! requested. Each block costs one word: its size, and whether it and the previous block are free.
//! All positions are offsets from the range's start.
#![expect(unsafe_code, reason = "keeps words and lists in the range that it splits")]

use core::ptr::NonNull;

/// Granularity of sizes and offsets, in bytes. A range may use a larger power of two.
const ALIGN: usize = 16;
const WORD: usize = size_of::<usize>();
/// Size of the smallest block, in bytes: its word, two links, and the size at its end.
const MIN_BLOCK: usize = 32;
/// Number of lists for each doubling (second level).
const SL_COUNT: usize = 32;
const SL_BITS: u32 = SL_COUNT.trailing_zeros();
/// Number of doublings (first level). The first holds all sizes below 512, one list for each.
const FL_COUNT: usize = 40;
const SMALL_BLOCK: usize = ALIGN * SL_COUNT;
/// Maximum number of blocks of a list that are checked if not all of them are large enough.
const MAX_SCAN: usize = 8;
/// The offset that stands for no block.
const NONE: usize = usize::MAX;

/// A bit that is set in the word of a free block.
const FREE_BIT: usize = 1;
/// A bit that is set if the previous block is free; its size stands in the word before this one.
const PREV_FREE_BIT: usize = 2;
/// A bit that is set if the OS pages inside this free block are purged.
const PURGED_BIT: usize = 4;
const FLAGS: usize = FREE_BIT | PREV_FREE_BIT | PURGED_BIT;

/// Blocks of one range. A block's start is a multiple of 16; its word stands before its start.
#[derive(Debug)]
pub(crate) struct Tlsf {
    base: NonNull<u8>,
    len: usize,
    granule: usize,
    /// Size of an OS page, once OS pages inside free blocks were purged.
    page: usize,
    /// Bytes of purged OS pages.
    purged: usize,
    fl_bitmap: u64,
    sl_bitmaps: [u32; FL_COUNT],
    heads: [[usize; SL_COUNT]; FL_COUNT],
    /// Bytes of live blocks, with their words.
    in_use: usize,
    live: usize,
    /// The block that was freed last. The next call reuses it for the same size, or else coalesces
    /// it.
    pending: usize,
}

// SAFETY: the range belongs to this value, by the promise of `new`.
unsafe impl Send for Tlsf {}

/// Returns the list of a size, as first-level and second-level index.
#[inline]
const fn mapping_insert(size: usize) -> (usize, usize) {
    if size < SMALL_BLOCK {
        return (0, size / ALIGN);
    }
    let top = usize::BITS - 1 - size.leading_zeros();
    let sl = (size >> (top - SL_BITS)) ^ SL_COUNT;
    ((top - SMALL_BLOCK.trailing_zeros()) as usize + 1, sl)
}

/// Returns the size from which on every block of a list is large enough.
#[inline]
const fn round_up_search(size: usize) -> usize {
    if size < SMALL_BLOCK {
        return size;
    }
    let top = usize::BITS - 1 - size.leading_zeros();
    let step = 1 << (top - SL_BITS);
    size.saturating_add(step - 1) & !(step - 1)
}

impl Tlsf {
    /// Makes one free block of a range. Parts that are not aligned or too small for a block are
    /// unused. Blocks start at multiples of `granule`, a power of two from 16 on.
    ///
    /// # Safety
    /// The range is valid for reads and writes as long as the value and its blocks are used, and
    /// nothing else uses it.
    pub(crate) unsafe fn new(base: NonNull<u8>, len: usize, granule: usize) -> Self {
        debug_assert!(granule.is_power_of_two() && granule >= ALIGN);
        // The first block's word stands 8 bytes before a multiple of the granule.
        let skip = (granule + base.addr().get().wrapping_neg() % granule - WORD) % granule;
        let base = base.map_addr(|base| base.saturating_add(skip));
        // The last word is the end marker, which is never free.
        let len = len.saturating_sub(skip + WORD) / granule * granule;
        let mut this = Self {
            base,
            len: if len < MIN_BLOCK || len > isize::MAX.unsigned_abs() { 0 } else { len },
            granule,
            page: usize::MAX,
            purged: 0,
            fl_bitmap: 0,
            sl_bitmaps: [0; FL_COUNT],
            heads: [[NONE; SL_COUNT]; FL_COUNT],
            in_use: 0,
            live: 0,
            pending: NONE,
        };
        if this.len > 0 {
            this.set(0, this.len | FREE_BIT);
            this.set(this.len, 0);
            this.insert_free_block(0, this.len);
        }
        this
    }

    /// Returns the size of the smallest block.
    fn min_block(&self) -> usize {
        MIN_BLOCK.max(self.granule)
    }

    /// Returns the size of a block for `bytes` bytes, or `None` if it overflows.
    fn block_size(&self, bytes: usize) -> Option<usize> {
        let size = bytes.checked_add(WORD + self.granule - 1)?;
        Some((size & !(self.granule - 1)).max(self.min_block()))
    }

    // Words of the range. A block's offset is that of its word.

    #[inline]
    fn word_at(&self, at: usize) -> NonNull<usize> {
        debug_assert!(at <= self.len && at.is_multiple_of(WORD));
        // SAFETY: inside the range, or the word at its end.
        unsafe { self.base.byte_add(at) }.cast()
    }

    #[inline]
    fn get(&self, at: usize) -> usize {
        // SAFETY: a word of the range, or the one at its end, written before it is read.
        unsafe { self.word_at(at).read() }
    }

    #[inline]
    fn set(&mut self, at: usize, word: usize) {
        // SAFETY: a word of the range that belongs to no live block's user, or the one at its end.
        unsafe { self.word_at(at).write(word) };
    }

    #[inline]
    fn size(&self, block: usize) -> usize {
        self.get(block) & !FLAGS
    }

    // The free lists. A block's links stand behind its word.

    #[inline]
    fn insert_free_block(&mut self, block: usize, size: usize) {
        let (fl, sl) = mapping_insert(size);
        let next = self.heads[fl][sl];
        self.set(block + WORD, next);
        self.set(block + 2 * WORD, NONE);
        if next != NONE {
            self.set(next + 2 * WORD, block);
        }
        self.heads[fl][sl] = block;
        self.fl_bitmap |= 1 << fl;
        self.sl_bitmaps[fl] |= 1 << sl;
        // The next block finds here that this one is free, and where it starts.
        let behind = block + size;
        self.set(behind - WORD, size);
        let word = self.get(behind);
        self.set(behind, word | PREV_FREE_BIT);
    }

    #[inline]
    fn remove_free_block(&mut self, block: usize, size: usize) {
        let (fl, sl) = mapping_insert(size);
        if self.get(block) & PURGED_BIT != 0 {
            self.purged -= self.inner_pages(block, size).len();
        }
        let (next, previous) = (self.get(block + WORD), self.get(block + 2 * WORD));
        if next != NONE {
            self.set(next + 2 * WORD, previous);
        }
        if previous != NONE {
            self.set(previous + WORD, next);
        } else {
            self.heads[fl][sl] = next;
            if next == NONE {
                self.sl_bitmaps[fl] &= !(1 << sl);
                if self.sl_bitmaps[fl] == 0 {
                    self.fl_bitmap &= !(1 << fl);
                }
            }
        }
        let behind = block + size;
        let word = self.get(behind);
        self.set(behind, word & !PREV_FREE_BIT);
    }

    /// Returns a free block of at least `size` bytes. Searches the lists whose blocks are all that
    /// large, smallest first, and then the size's own list.
    #[inline]
    fn search_suitable_block(&self, size: usize) -> Option<usize> {
        let (fl, sl) = mapping_insert(round_up_search(size));
        if fl < FL_COUNT {
            let candidates = self.sl_bitmaps[fl] & (u32::MAX << sl);
            if candidates != 0 {
                return Some(self.heads[fl][candidates.trailing_zeros() as usize]);
            }
            let above = if fl + 1 < 64 { self.fl_bitmap & (u64::MAX << (fl + 1)) } else { 0 };
            if above != 0 {
                let fl = above.trailing_zeros() as usize;
                return Some(self.heads[fl][self.sl_bitmaps[fl].trailing_zeros() as usize]);
            }
        }
        // No larger block is left. A few blocks of the size's own list are checked.
        let (fl, sl) = mapping_insert(size);
        let mut at = *self.heads.get(fl)?.get(sl)?;
        for _ in 0..MAX_SCAN {
            if at == NONE {
                return None;
            }
            if self.size(at) >= size {
                return Some(at);
            }
            at = self.get(at + WORD);
        }
        None
    }

    /// Splits off and frees what lies behind the first `size` bytes of a block, if that is large
    /// enough for a block. Returns the block's size.
    #[inline]
    fn split(&mut self, block: usize, total: usize, size: usize) -> usize {
        if total - size < self.min_block() {
            return total;
        }
        let rest = block + size;
        self.set(rest, 0);
        self.coalesce_and_insert(rest, total - size);
        size
    }

    /// Coalesces a block that is in no list with its free neighbours and inserts the result.
    #[inline]
    fn coalesce_and_insert(&mut self, block: usize, size: usize) {
        let (mut first, mut total) = (block, size);
        if self.get(block) & PREV_FREE_BIT != 0 {
            let before = self.get(block - WORD);
            first = block - before;
            self.remove_free_block(first, before);
            total += before;
        }
        let behind = block + size;
        if self.get(behind) & FREE_BIT != 0 {
            let more = self.size(behind);
            self.remove_free_block(behind, more);
            total += more;
        }
        let before = self.get(first) & PREV_FREE_BIT;
        self.set(first, total | FREE_BIT | before);
        self.insert_free_block(first, total);
    }

    /// Allocates a block of `bytes` bytes at a multiple of `align`, a power of two.
    #[inline]
    pub(crate) fn allocate(&mut self, bytes: usize, align: usize) -> Option<NonNull<u8>> {
        let size = self.block_size(bytes)?;
        if self.pending != NONE {
            let block = core::mem::replace(&mut self.pending, NONE);
            let start = self.word_at(block + WORD);
            let has = self.size(block);
            if has == size && start.addr().get() & (align - 1) == 0 {
                self.in_use += size;
                self.live += 1;
                return Some(start.cast());
            }
            self.coalesce_and_insert(block, has);
        }
        // Space for the padding, which becomes a block of its own.
        let padded = if align > self.granule { size.checked_add(align + MIN_BLOCK)? } else { size };
        let block = self.search_suitable_block(padded)?;
        let mut total = self.size(block);
        self.remove_free_block(block, total);
        let mut start = block;
        if align > self.granule {
            let address = self.base.addr().get() + block + WORD;
            let mut padding = address.next_multiple_of(align) - address;
            if padding > 0 && padding < MIN_BLOCK {
                padding += align.max(MIN_BLOCK).next_multiple_of(align);
            }
            if padding > 0 {
                start = block + padding;
                let before = self.get(block) & PREV_FREE_BIT;
                self.set(block, before);
                self.set(start, 0);
                total -= padding;
                // The block behind is not free now, so the padding coalesces only with the block
                // before.
                self.coalesce_and_insert(block, padding);
            }
        }
        let before = self.get(start) & PREV_FREE_BIT;
        self.set(start, total | before);
        let used = self.split(start, total, size);
        let before = self.get(start) & PREV_FREE_BIT;
        self.set(start, used | before);
        self.in_use += used;
        self.live += 1;
        Some(self.word_at(start + WORD).cast())
    }

    #[inline]
    fn block_of(&self, start: NonNull<u8>) -> usize {
        start.addr().get() - self.base.addr().get() - WORD
    }

    /// Frees a block.
    ///
    /// # Safety
    /// `start` is a live block of this value, which is not used afterwards.
    #[inline]
    pub(crate) unsafe fn free(&mut self, start: NonNull<u8>) {
        let block = self.block_of(start);
        let size = self.size(block);
        self.in_use -= size;
        self.live -= 1;
        self.coalesce_pending();
        self.pending = block;
    }

    /// Coalesces the block that was freed last with its neighbours.
    #[inline]
    fn coalesce_pending(&mut self) {
        if self.pending != NONE {
            let block = core::mem::replace(&mut self.pending, NONE);
            self.coalesce_and_insert(block, self.size(block));
        }
    }

    /// Resizes a block in place to at least, and not much more than, `bytes` bytes. Returns `false`
    /// if the memory behind it is not free.
    ///
    /// # Safety
    /// `start` is a live block of this value, the caller's alone; bytes beyond the smaller of the
    /// two sizes are given up.
    pub(crate) unsafe fn resize(&mut self, start: NonNull<u8>, bytes: usize) -> bool {
        let Some(needed) = self.block_size(bytes) else { return false };
        self.coalesce_pending();
        let block = self.block_of(start);
        let now = self.size(block);
        let mut total = now;
        if needed > now {
            let behind = block + now;
            let more = if self.get(behind) & FREE_BIT != 0 { self.size(behind) } else { 0 };
            if now + more < needed {
                return false;
            }
            self.remove_free_block(behind, more);
            total += more;
        }
        let before = self.get(block) & PREV_FREE_BIT;
        self.set(block, total | before);
        let used = self.split(block, total, needed);
        self.set(block, used | before);
        self.in_use = self.in_use - now + used;
        true
    }

    // Growing, shrinking and purging the range.

    /// Returns the free bytes at the end of the range.
    pub(crate) fn free_at_end(&mut self) -> usize {
        self.coalesce_pending();
        if self.len > 0 && self.get(self.len) & PREV_FREE_BIT != 0 { self.get(self.len - WORD) } else { 0 }
    }

    /// Returns the lengths of the range with which a block of that layout fits, and is found
    /// without a scan.
    pub(crate) fn len_for(&mut self, bytes: usize, align: usize) -> Option<(usize, usize)> {
        let padding = if align > self.granule { align.checked_add(MIN_BLOCK)? } else { 0 };
        let size = self.block_size(bytes)?.checked_add(padding)?;
        let before = self.len - self.free_at_end();
        let len = |size: usize| before.checked_add(size)?.checked_next_multiple_of(self.granule);
        Some((len(size)?, len(round_up_search(size))?))
    }

    /// Returns the bytes of the range before and behind its blocks.
    pub(crate) const fn frame(&self) -> usize {
        self.granule + WORD
    }

    /// Extends the range to `len` bytes.
    ///
    /// # Safety
    /// As [`Tlsf::new`], for `len` and [`Tlsf::frame`] bytes.
    pub(crate) unsafe fn extend(&mut self, len: usize) {
        self.coalesce_pending();
        let (old, len) = (self.len, len / self.granule * self.granule);
        if len < old + self.min_block() {
            return;
        }
        let before = if old > 0 { self.get(old) & PREV_FREE_BIT } else { 0 };
        self.len = len;
        self.set(len, 0);
        self.set(old, (len - old) | before);
        self.coalesce_and_insert(old, len - old);
    }

    /// Shrinks the range by the free bytes at its end, down to `keep` bytes. Returns its new
    /// length.
    pub(crate) fn shrink_end(&mut self, keep: usize) -> usize {
        let free = self.free_at_end();
        let first = self.len - free;
        let keep = keep.max(first).next_multiple_of(self.granule);
        let keep = if keep > first { keep.max(first + self.min_block()) } else { keep };
        if free == 0 || keep >= self.len {
            return self.len;
        }
        self.remove_free_block(first, free);
        self.len = keep;
        self.set(keep, 0);
        if keep > first {
            self.set(first, (keep - first) | FREE_BIT);
            self.insert_free_block(first, keep - first);
        }
        self.len
    }

    /// Returns the OS pages that lie entirely inside a free block, as offsets.
    fn inner_pages(&self, block: usize, size: usize) -> core::ops::Range<usize> {
        let base = self.base.addr().get();
        let first =
            (base + block + 3 * WORD).checked_next_multiple_of(self.page).map_or(usize::MAX, |at| at - base);
        let last = ((base + block + size - WORD) / self.page * self.page).saturating_sub(base);
        first..last.max(first)
    }

    /// Calls `decommit` with the OS pages inside free blocks, as addresses, until `enough` bytes
    /// are purged. `decommit` returns whether it succeeded. Returns the purged bytes. O(free
    /// blocks).
    pub(crate) fn purge(
        &mut self,
        page: usize,
        enough: usize,
        mut decommit: impl FnMut(core::ops::Range<usize>) -> bool,
    ) -> usize {
        self.coalesce_pending();
        self.page = page;
        let before = self.purged;
        for fl in 0..FL_COUNT {
            for sl in 0..SL_COUNT {
                let mut at = self.heads[fl][sl];
                while at != NONE && self.purged - before < enough {
                    let word = self.get(at);
                    let inner_pages = self.inner_pages(at, word & !FLAGS);
                    let base = self.base.addr().get();
                    if word & PURGED_BIT == 0
                        && !inner_pages.is_empty()
                        && decommit(base + inner_pages.start..base + inner_pages.end)
                    {
                        self.set(at, word | PURGED_BIT);
                        self.purged += inner_pages.len();
                    }
                    at = self.get(at + WORD);
                }
            }
        }
        self.purged - before
    }

    /// Returns the bytes of purged OS pages inside free blocks.
    pub(crate) const fn purged_bytes(&self) -> usize {
        self.purged
    }

    /// Returns the bytes of live blocks, with a word for each.
    pub(crate) const fn in_use(&self) -> usize {
        self.in_use
    }

    /// Returns the number of live blocks.
    pub(crate) const fn live(&self) -> usize {
        self.live
    }

    /// Returns the bytes for blocks, with a word for each.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Returns the size of the largest block that can be allocated now, aligned to the granule. Of
    /// the largest list, a few blocks are checked.
    pub(crate) fn largest_free(&mut self) -> usize {
        self.coalesce_pending();
        let Some(fl) = self.fl_bitmap.checked_ilog2() else { return 0 };
        let fl = fl as usize;
        let Some(sl) = self.sl_bitmaps[fl].checked_ilog2() else { return 0 };
        let (mut at, mut largest) = (self.heads[fl][sl as usize], 0);
        for _ in 0..MAX_SCAN {
            if at == NONE {
                break;
            }
            largest = largest.max(self.size(at));
            at = self.get(at + WORD);
        }
        largest - WORD
    }

    /// Returns whether a block may start at `start`.
    pub(crate) fn contains(&self, start: NonNull<u8>) -> bool {
        let at = start.addr().get().wrapping_sub(self.base.addr().get());
        at >= WORD && at < self.len && (at - WORD).is_multiple_of(ALIGN)
    }

    /// Checks every block: their sizes fill the range, no two free ones are neighbours, and the
    /// lists hold the free ones.
    #[cfg(test)]
    fn check(&mut self) {
        self.coalesce_pending();
        let (mut at, mut allocated, mut live, mut free, mut before_free) = (0, 0, 0, 0, false);
        while at < self.len {
            let word = self.get(at);
            let size = word & !FLAGS;
            assert!(size >= MIN_BLOCK && size.is_multiple_of(ALIGN), "{size} at {at}");
            assert_eq!(word & PREV_FREE_BIT != 0, before_free, "at {at}");
            if word & FREE_BIT != 0 {
                assert!(!before_free, "free neighbours at {at}");
                assert_eq!(self.get(at + size - WORD), size);
                free += 1;
            } else {
                allocated += size;
                live += 1;
            }
            before_free = word & FREE_BIT != 0;
            at += size;
        }
        assert_eq!((at, allocated, live), (self.len, self.in_use, self.live));
        let mut listed = 0;
        for (fl, heads) in self.heads.iter().enumerate() {
            for (sl, &head) in heads.iter().enumerate() {
                assert_eq!(self.sl_bitmaps[fl] >> sl & 1 == 1, head != NONE);
                let (mut at, mut previous) = (head, NONE);
                while at != NONE {
                    assert_eq!(
                        (mapping_insert(self.size(at)), self.get(at + 2 * WORD)),
                        ((fl, sl), previous)
                    );
                    (previous, at, listed) = (at, self.get(at + WORD), listed + 1);
                }
            }
            assert_eq!(self.fl_bitmap >> fl & 1 == 1, self.sl_bitmaps[fl] != 0);
        }
        assert_eq!(listed, free);
    }
}

#[cfg(test)]
#[path = "tlsf_tests.rs"]
mod tests;
