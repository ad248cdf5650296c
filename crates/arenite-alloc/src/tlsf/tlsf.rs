//! Two-level segregated fit: blocks of any size in one range of bytes, in constant time.
//!
//! Rests on the range alone (Masmano, Ripoll, Crespo and Real, "TLSF: a New Dynamic Memory Allocator for Real-Time Systems", 2004). Free
//! blocks stand in lists by size, 32 for each fl; two levels of bits say which lists are not empty, so a block that fits is found
//! without a search. A block that is freed joins its free neighbours, at the latest before another size is asked for. Each block costs one word: its size, and whether it
//! and the one before it are free. All places are offsets from the range's start.
#![expect(unsafe_code, reason = "keeps words and lists in the range that it cuts up")]

use core::ptr::NonNull;

/// Sizes and places are multiples of this, or of a larger power of two that the range is given.
const ALIGN: usize = 16;
const WORD: usize = size_of::<usize>();
/// The smallest block: its word, two links, and the place of the word that says where it begins.
const MIN_BLOCK: usize = 32;
/// Lists of a fl.
const SL_COUNT: usize = 32;
const SL_BITS: u32 = SL_COUNT.trailing_zeros();
/// Doublings: the first holds all sizes below 512, one list for each.
const FL_COUNT: usize = 40;
const SMALL_BLOCK: usize = ALIGN * SL_COUNT;
/// How many blocks of a list are looked at where not all of them are large enough.
const MAX_SCAN: usize = 8;
/// No block.
const NONE: usize = usize::MAX;

/// This block is free.
const FREE_BIT: usize = 1;
/// The block before this one is free, and its size stands in the word before this one's.
const PREV_FREE_BIT: usize = 2;
/// The OS pages inner_pages this free block went back to the system.
const PURGED_BIT: usize = 4;
const FLAGS: usize = FREE_BIT | PREV_FREE_BIT | PURGED_BIT;

/// Blocks cut from one range. A block is known by the place of its first byte, a multiple of 16; its word stands before it.
#[derive(Debug)]
pub(crate) struct Tlsf {
    base: NonNull<u8>,
    len: usize,
    granule: usize,
    /// The size of an OS page, where those inner_pages free blocks are given back.
    page: usize,
    /// Bytes of OS pages that went back.
    purged: usize,
    fl_bitmap: u64,
    sl_bitmaps: [u32; FL_COUNT],
    heads: [[usize; SL_COUNT]; FL_COUNT],
    /// Bytes of blocks that are lent, with their words.
    in_use: usize,
    live: usize,
    /// The block that was freed last: joined with its neighbours by the next call, unless that asks for just its size.
    pending: usize,
}

// SAFETY: the range is this value's own, by the promise of `new`.
unsafe impl Send for Tlsf {}

/// The list that a size stands in.
#[inline]
const fn mapping_insert(size: usize) -> (usize, usize) {
    if size < SMALL_BLOCK {
        return (0, size / ALIGN);
    }
    let top = usize::BITS - 1 - size.leading_zeros();
    let sl = (size >> (top - SL_BITS)) ^ SL_COUNT;
    ((top - SMALL_BLOCK.trailing_zeros()) as usize + 1, sl)
}

/// The size from which on every block of a list is large enough.
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
    /// Cuts up a range; what of it is not aligned, or too small for a block, is left over. Blocks begin at multiples of `granule`, a
    /// power of two from 16 on.
    ///
    /// # Safety
    /// The range is valid for reads and writes as long as the value and its blocks are used, and nobody else uses it.
    pub(crate) unsafe fn new(base: NonNull<u8>, len: usize, granule: usize) -> Self {
        debug_assert!(granule.is_power_of_two() && granule >= ALIGN);
        // the first block's word stands 8 bytes before a multiple of the granule
        let skip = (granule + base.addr().get().wrapping_neg() % granule - WORD) % granule;
        let base = base.map_addr(|base| base.saturating_add(skip));
        // the last word is the end's, which is never free
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

    /// The smallest block.
    fn min_block(&self) -> usize {
        MIN_BLOCK.max(self.granule)
    }

    /// The size of a block for so many bytes; `None`: no address space has it.
    fn block_size(&self, bytes: usize) -> Option<usize> {
        let size = bytes.checked_add(WORD + self.granule - 1)?;
        Some((size & !(self.granule - 1)).max(self.min_block()))
    }

    // --- words of the range. A block's place here is that of its word.

    #[inline]
    fn word_at(&self, at: usize) -> NonNull<usize> {
        debug_assert!(at <= self.len && at.is_multiple_of(WORD));
        // SAFETY: inner_pages of the range, or the word at its end.
        unsafe { self.base.byte_add(at) }.cast()
    }

    #[inline]
    fn get(&self, at: usize) -> usize {
        // SAFETY: a word of the range, or the one at its end, written before it is read.
        unsafe { self.word_at(at).read() }
    }

    #[inline]
    fn set(&mut self, at: usize, word: usize) {
        // SAFETY: a word of the range that no block's user has, or the one at its end.
        unsafe { self.word_at(at).write(word) };
    }

    #[inline]
    fn size(&self, block: usize) -> usize {
        self.get(block) & !FLAGS
    }

    // --- the lists. The links stand in the block, behind its word.

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
        // where the next one finds that this is free, and where it begins
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

    /// A free block of at least `size` bytes: the first of the smallest list all of whose blocks are that large, else one of the
    /// list that the size itself stands in.
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
        // nothing larger is left: one of this list may do, and a few are looked at
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

    /// Cuts what is behind the first `size` bytes of a block off, where that is a block, and makes it free. The block's size then.
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

    /// Makes a block that is in no list free, joined with its neighbours.
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

    /// Lends a block of `bytes` bytes at a multiple of `align`, a power of two.
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
        // room for the padding, which becomes a block of its own
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
                // what is behind is not free at this moment, so the padding joins only what is before
                self.coalesce_and_insert(block, padding);
            }
        }
        let before = self.get(start) & PREV_FREE_BIT;
        self.set(start, total | before);
        let kept = self.split(start, total, size);
        let before = self.get(start) & PREV_FREE_BIT;
        self.set(start, kept | before);
        self.in_use += kept;
        self.live += 1;
        Some(self.word_at(start + WORD).cast())
    }

    #[inline]
    fn block_of(&self, start: NonNull<u8>) -> usize {
        start.addr().get() - self.base.addr().get() - WORD
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// A live block of this value, which nobody uses afterwards.
    #[inline]
    pub(crate) unsafe fn free(&mut self, start: NonNull<u8>) {
        let block = self.block_of(start);
        let size = self.size(block);
        self.in_use -= size;
        self.live -= 1;
        self.coalesce_pending();
        self.pending = block;
    }

    /// Joins the block that was freed last with its neighbours.
    #[inline]
    fn coalesce_pending(&mut self) {
        if self.pending != NONE {
            let block = core::mem::replace(&mut self.pending, NONE);
            self.coalesce_and_insert(block, self.size(block));
        }
    }

    /// Makes a block at least, and not much more than, `bytes` bytes where it is. False: what is behind it is not free.
    ///
    /// # Safety
    /// A live block of this value, the caller's alone; bytes beyond the smaller of the two sizes are given up.
    pub(crate) unsafe fn resize(&mut self, start: NonNull<u8>, bytes: usize) -> bool {
        let Some(wanted) = self.block_size(bytes) else { return false };
        self.coalesce_pending();
        let block = self.block_of(start);
        let now = self.size(block);
        let mut total = now;
        if wanted > now {
            let behind = block + now;
            let more = if self.get(behind) & FREE_BIT != 0 { self.size(behind) } else { 0 };
            if now + more < wanted {
                return false;
            }
            self.remove_free_block(behind, more);
            total += more;
        }
        let before = self.get(block) & PREV_FREE_BIT;
        self.set(block, total | before);
        let kept = self.split(block, total, wanted);
        self.set(block, kept | before);
        self.in_use = self.in_use - now + kept;
        true
    }

    // --- a range that grows, shrinks and dries

    /// The bytes at the end that no block has.
    pub(crate) fn free_at_end(&mut self) -> usize {
        self.coalesce_pending();
        if self.len > 0 && self.get(self.len) & PREV_FREE_BIT != 0 { self.get(self.len - WORD) } else { 0 }
    }

    /// How long the range must be for a block of that layout, if it is grown for it: at least, and to find the block at once.
    pub(crate) fn len_for(&mut self, bytes: usize, align: usize) -> Option<(usize, usize)> {
        let padding = if align > self.granule { align.checked_add(MIN_BLOCK)? } else { 0 };
        let size = self.block_size(bytes)?.checked_add(padding)?;
        let before = self.len - self.free_at_end();
        let len = |size: usize| before.checked_add(size)?.checked_next_multiple_of(self.granule);
        Some((len(size)?, len(round_up_search(size))?))
    }

    /// What the range has before and behind its blocks.
    pub(crate) const fn frame(&self) -> usize {
        self.granule + WORD
    }

    /// Takes what lies behind the range as well, so that it is `len` bytes long.
    ///
    /// # Safety
    /// As [`Tlsf::new`], of that much and of [`Tlsf::frame`] more.
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

    /// Gives up what is free at the end, down to `keep` bytes; the range's length then.
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

    /// The total OS pages inner_pages a free block, as places.
    fn inner_pages(&self, block: usize, size: usize) -> core::ops::Range<usize> {
        let base = self.base.addr().get();
        let first =
            (base + block + 3 * WORD).checked_next_multiple_of(self.page).map_or(usize::MAX, |at| at - base);
        let last = ((base + block + size - WORD) / self.page * self.page).saturating_sub(base);
        first..last.max(first)
    }

    /// Has `give` take the OS pages inner_pages free blocks, as addresses, until `enough` bytes went, and learns whether it did. Returns
    /// the bytes that went. O(free blocks).
    pub(crate) fn purge(
        &mut self,
        page: usize,
        enough: usize,
        mut give: impl FnMut(core::ops::Range<usize>) -> bool,
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
                        && give(base + inner_pages.start..base + inner_pages.end)
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

    /// Bytes of OS pages inner_pages free blocks that went back and were not asked for since.
    pub(crate) const fn purged_bytes(&self) -> usize {
        self.purged
    }

    /// Bytes of blocks that are lent, with a word for each.
    pub(crate) const fn in_use(&self) -> usize {
        self.in_use
    }

    /// Blocks that are lent.
    pub(crate) const fn live(&self) -> usize {
        self.live
    }

    /// All bytes that can be lent, with a word for each block.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The most bytes that a block could have now, aligned to the granule: of the largest list those that are looked at.
    pub(crate) fn largest_free(&mut self) -> usize {
        self.coalesce_pending();
        let Some(fl) = self.fl_bitmap.checked_ilog2() else { return 0 };
        let fl = fl as usize;
        let Some(sl) = self.sl_bitmaps[fl].checked_ilog2() else { return 0 };
        let (mut at, mut most) = (self.heads[fl][sl as usize], 0);
        for _ in 0..MAX_SCAN {
            if at == NONE {
                break;
            }
            most = most.max(self.size(at));
            at = self.get(at + WORD);
        }
        most - WORD
    }

    /// Whether `start` lies where a block may begin.
    pub(crate) fn contains(&self, start: NonNull<u8>) -> bool {
        let at = start.addr().get().wrapping_sub(self.base.addr().get());
        at >= WORD && at < self.len && (at - WORD).is_multiple_of(ALIGN)
    }

    /// Looks at every block: their sizes fill the range, no two free ones are neighbours, and the lists hold the free ones.
    #[cfg(test)]
    fn check(&mut self) {
        self.coalesce_pending();
        let (mut at, mut lent, mut live, mut free, mut before_free) = (0, 0, 0, 0, false);
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
                lent += size;
                live += 1;
            }
            before_free = word & FREE_BIT != 0;
            at += size;
        }
        assert_eq!((at, lent, live), (self.len, self.in_use, self.live));
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
