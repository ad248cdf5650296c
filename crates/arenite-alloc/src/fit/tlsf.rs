//! Two-level segregated fit: blocks of any size in one range of bytes, in constant time.
//!
//! Rests on the range alone (Masmano, Ripoll, Crespo and Real, "TLSF: a New Dynamic Memory Allocator for Real-Time Systems", 2004). Free
//! blocks stand in lists by size, 32 for each doubling; two levels of bits say which lists are not empty, so a block that fits is found
//! without a search. A block that is freed joins its free neighbours at once. Each block costs one word: its size, and whether it
//! and the one before it are free. All places are offsets from the range's start.
#![expect(unsafe_code, reason = "keeps words and lists in the range that it cuts up")]

use core::ptr::NonNull;

/// Sizes and places are multiples of this.
const GRANULE: usize = 16;
const WORD: usize = size_of::<usize>();
/// The smallest block: its word, two links, and the place of the word that says where it begins.
const LEAST: usize = 32;
/// Lists of a doubling.
const PARTS: usize = 32;
const PART_BITS: u32 = PARTS.trailing_zeros();
/// Doublings: the first holds all sizes below 512, one list for each.
const DOUBLINGS: usize = 40;
const SMALL: usize = GRANULE * PARTS;
/// No block.
const NONE: usize = usize::MAX;

/// This block is free.
const FREE: usize = 1;
/// The block before this one is free, and its size stands in the word before this one's.
const BEFORE_FREE: usize = 2;
const FLAGS: usize = FREE | BEFORE_FREE;

/// Blocks cut from one range. A block is known by the place of its first byte, a multiple of 16; its word stands before it.
#[derive(Debug)]
pub(crate) struct Tlsf {
    base: NonNull<u8>,
    len: usize,
    doublings: u64,
    parts: [u32; DOUBLINGS],
    heads: [[usize; PARTS]; DOUBLINGS],
    /// Bytes of blocks that are lent, with their words.
    in_use: usize,
    live: usize,
}

// SAFETY: the range is this value's own, by the promise of `new`.
unsafe impl Send for Tlsf {}

/// The list that a size stands in.
const fn list_of(size: usize) -> (usize, usize) {
    if size < SMALL {
        return (0, size / GRANULE);
    }
    let top = usize::BITS - 1 - size.leading_zeros();
    let part = (size >> (top - PART_BITS)) ^ PARTS;
    ((top - SMALL.trailing_zeros()) as usize + 1, part)
}

/// The size from which on every block of a list is large enough.
const fn rounded(size: usize) -> usize {
    if size < SMALL {
        return size;
    }
    let top = usize::BITS - 1 - size.leading_zeros();
    let step = 1 << (top - PART_BITS);
    size.saturating_add(step - 1) & !(step - 1)
}

/// The size of a block for so many bytes; `None`: no address space has it.
const fn block_size(bytes: usize) -> Option<usize> {
    match bytes.checked_add(WORD + GRANULE - 1) {
        Some(size) => {
            let size = size & !(GRANULE - 1);
            Some(if size < LEAST { LEAST } else { size })
        }
        None => None,
    }
}

impl Tlsf {
    /// Cuts up a range; what of it is not aligned, or too small for a block, is left over.
    ///
    /// # Safety
    /// The range is valid for reads and writes as long as the value and its blocks are used, and nobody else uses it.
    pub(crate) unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
        // the first block's word stands 8 bytes before a multiple of 16
        let skip = (GRANULE + WORD - base.addr().get() % GRANULE) % GRANULE;
        let base = base.map_addr(|base| base.saturating_add(skip));
        // the last word is the end's, which is never free
        let len = len.saturating_sub(skip + WORD) / GRANULE * GRANULE;
        let mut this = Self {
            base,
            len: if len < LEAST || len > isize::MAX.unsigned_abs() { 0 } else { len },
            doublings: 0,
            parts: [0; DOUBLINGS],
            heads: [[NONE; PARTS]; DOUBLINGS],
            in_use: 0,
            live: 0,
        };
        if this.len > 0 {
            this.set(0, this.len | FREE);
            this.set(this.len, 0);
            this.enter(0, this.len);
        }
        this
    }

    // --- words of the range. A block's place here is that of its word.

    fn place(&self, at: usize) -> NonNull<usize> {
        debug_assert!(at <= self.len && at.is_multiple_of(WORD));
        self.base.map_addr(|base| base.saturating_add(at)).cast()
    }

    fn get(&self, at: usize) -> usize {
        // SAFETY: a word of the range, or the one at its end, written before it is read.
        unsafe { self.place(at).read() }
    }

    fn set(&mut self, at: usize, word: usize) {
        // SAFETY: a word of the range that no block's user has, or the one at its end.
        unsafe { self.place(at).write(word) };
    }

    fn size(&self, block: usize) -> usize {
        self.get(block) & !FLAGS
    }

    // --- the lists. The links stand in the block, behind its word.

    fn enter(&mut self, block: usize, size: usize) {
        let (doubling, part) = list_of(size);
        let next = self.heads[doubling][part];
        self.set(block + WORD, next);
        self.set(block + 2 * WORD, NONE);
        if next != NONE {
            self.set(next + 2 * WORD, block);
        }
        self.heads[doubling][part] = block;
        self.doublings |= 1 << doubling;
        self.parts[doubling] |= 1 << part;
        // where the next one finds that this is free, and where it begins
        let behind = block + size;
        self.set(behind - WORD, size);
        let word = self.get(behind);
        self.set(behind, word | BEFORE_FREE);
    }

    fn leave(&mut self, block: usize, size: usize) {
        let (doubling, part) = list_of(size);
        let (next, previous) = (self.get(block + WORD), self.get(block + 2 * WORD));
        if next != NONE {
            self.set(next + 2 * WORD, previous);
        }
        if previous != NONE {
            self.set(previous + WORD, next);
        } else {
            self.heads[doubling][part] = next;
            if next == NONE {
                self.parts[doubling] &= !(1 << part);
                if self.parts[doubling] == 0 {
                    self.doublings &= !(1 << doubling);
                }
            }
        }
        let behind = block + size;
        let word = self.get(behind);
        self.set(behind, word & !BEFORE_FREE);
    }

    /// A free block of at least `size` bytes: the first of the smallest list all of whose blocks are that large, else one of the
    /// list that the size itself stands in.
    fn find(&self, size: usize) -> Option<usize> {
        let (doubling, part) = list_of(rounded(size));
        if doubling < DOUBLINGS {
            let parts = self.parts[doubling] & (u32::MAX << part);
            if parts != 0 {
                return Some(self.heads[doubling][parts.trailing_zeros() as usize]);
            }
            let above = if doubling + 1 < 64 { self.doublings & (u64::MAX << (doubling + 1)) } else { 0 };
            if above != 0 {
                let doubling = above.trailing_zeros() as usize;
                return Some(self.heads[doubling][self.parts[doubling].trailing_zeros() as usize]);
            }
        }
        // nothing larger is left: one of this list may do, and a few are looked at
        let (doubling, part) = list_of(size);
        let mut at = *self.heads.get(doubling)?.get(part)?;
        for _ in 0..8 {
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
    fn cut(&mut self, block: usize, whole: usize, size: usize) -> usize {
        if whole - size < LEAST {
            return whole;
        }
        let rest = block + size;
        self.set(rest, 0);
        self.release(rest, whole - size);
        size
    }

    /// Makes a block that is in no list free, joined with its neighbours.
    fn release(&mut self, block: usize, size: usize) {
        let (mut first, mut whole) = (block, size);
        if self.get(block) & BEFORE_FREE != 0 {
            let before = self.get(block - WORD);
            first = block - before;
            self.leave(first, before);
            whole += before;
        }
        let behind = block + size;
        if self.get(behind) & FREE != 0 {
            let more = self.size(behind);
            self.leave(behind, more);
            whole += more;
        }
        let before = self.get(first) & BEFORE_FREE;
        self.set(first, whole | FREE | before);
        self.enter(first, whole);
    }

    /// Lends a block of `bytes` bytes at a multiple of `align`, a power of two.
    pub(crate) fn allocate(&mut self, bytes: usize, align: usize) -> Option<NonNull<u8>> {
        let size = block_size(bytes)?;
        // room for the padding, which becomes a block of its own
        let padded = if align > GRANULE { size.checked_add(align + LEAST)? } else { size };
        let block = self.find(padded)?;
        let mut whole = self.size(block);
        self.leave(block, whole);
        let mut start = block;
        if align > GRANULE {
            let address = self.base.addr().get() + block + WORD;
            let mut padding = address.next_multiple_of(align) - address;
            if padding > 0 && padding < LEAST {
                padding += align.max(LEAST).next_multiple_of(align);
            }
            if padding > 0 {
                start = block + padding;
                let before = self.get(block) & BEFORE_FREE;
                self.set(block, before);
                self.set(start, 0);
                whole -= padding;
                // what is behind is not free at this moment, so the padding joins only what is before
                self.release(block, padding);
            }
        }
        let before = self.get(start) & BEFORE_FREE;
        self.set(start, whole | before);
        let kept = self.cut(start, whole, size);
        let before = self.get(start) & BEFORE_FREE;
        self.set(start, kept | before);
        self.in_use += kept;
        self.live += 1;
        Some(self.place(start + WORD).cast())
    }

    fn block_of(&self, start: NonNull<u8>) -> usize {
        start.addr().get() - self.base.addr().get() - WORD
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// A live block of this value, which nobody uses afterwards.
    pub(crate) unsafe fn free(&mut self, start: NonNull<u8>) {
        let block = self.block_of(start);
        let size = self.size(block);
        self.in_use -= size;
        self.live -= 1;
        self.release(block, size);
    }

    /// Makes a block at least, and not much more than, `bytes` bytes where it is. False: what is behind it is not free.
    ///
    /// # Safety
    /// A live block of this value, the caller's alone; bytes beyond the smaller of the two sizes are given up.
    pub(crate) unsafe fn resize(&mut self, start: NonNull<u8>, bytes: usize) -> bool {
        let Some(wanted) = block_size(bytes) else { return false };
        let block = self.block_of(start);
        let now = self.size(block);
        let mut whole = now;
        if wanted > now {
            let behind = block + now;
            let more = if self.get(behind) & FREE != 0 { self.size(behind) } else { 0 };
            if now + more < wanted {
                return false;
            }
            self.leave(behind, more);
            whole += more;
        }
        let before = self.get(block) & BEFORE_FREE;
        self.set(block, whole | before);
        let kept = self.cut(block, whole, wanted);
        self.set(block, kept | before);
        self.in_use = self.in_use - now + kept;
        true
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

    /// The most bytes that a block could have now. O(blocks in the list of the largest).
    pub(crate) fn largest_free(&self) -> usize {
        let Some(doubling) = self.doublings.checked_ilog2() else { return 0 };
        let doubling = doubling as usize;
        let Some(part) = self.parts[doubling].checked_ilog2() else { return 0 };
        let (mut at, mut most) = (self.heads[doubling][part as usize], 0);
        while at != NONE {
            most = most.max(self.size(at));
            at = self.get(at + WORD);
        }
        most - WORD
    }

    /// Whether `start` lies where a block may begin.
    pub(crate) fn contains(&self, start: NonNull<u8>) -> bool {
        let at = start.addr().get().wrapping_sub(self.base.addr().get());
        at >= WORD && at < self.len && (at - WORD).is_multiple_of(GRANULE)
    }

    /// Looks at every block: their sizes fill the range, no two free ones are neighbours, and the lists hold the free ones.
    #[cfg(test)]
    fn check(&self) {
        let (mut at, mut lent, mut live, mut free, mut before_free) = (0, 0, 0, 0, false);
        while at < self.len {
            let word = self.get(at);
            let size = word & !FLAGS;
            assert!(size >= LEAST && size.is_multiple_of(GRANULE), "{size} at {at}");
            assert_eq!(word & BEFORE_FREE != 0, before_free, "at {at}");
            if word & FREE != 0 {
                assert!(!before_free, "free neighbours at {at}");
                assert_eq!(self.get(at + size - WORD), size);
                free += 1;
            } else {
                lent += size;
                live += 1;
            }
            before_free = word & FREE != 0;
            at += size;
        }
        assert_eq!((at, lent, live), (self.len, self.in_use, self.live));
        let mut listed = 0;
        for (doubling, heads) in self.heads.iter().enumerate() {
            for (part, &head) in heads.iter().enumerate() {
                assert_eq!(self.parts[doubling] >> part & 1 == 1, head != NONE);
                let (mut at, mut previous) = (head, NONE);
                while at != NONE {
                    assert_eq!(
                        (list_of(self.size(at)), self.get(at + 2 * WORD)),
                        ((doubling, part), previous)
                    );
                    (previous, at, listed) = (at, self.get(at + WORD), listed + 1);
                }
            }
            assert_eq!(self.doublings >> doubling & 1 == 1, self.parts[doubling] != 0);
        }
        assert_eq!(listed, free);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(memory: &mut [u128], skip: usize) -> Tlsf {
        let (start, len) = (memory.as_mut_ptr().cast::<u8>().wrapping_add(skip), size_of_val(memory) - skip);
        // SAFETY: the slice is the test's, and outlives the value.
        unsafe { Tlsf::new(NonNull::new(start).unwrap(), len) }
    }

    #[test]
    fn e12_random_blocks_are_disjoint_and_all_comes_back_whole() {
        let mut memory = vec![0_u128; 1 << 14];
        for skip in [0, 1, 8, 15] {
            let mut fit = over(&mut memory, skip);
            let whole = fit.largest_free();
            let (mut live, mut random) = (Vec::<(NonNull<u8>, usize, u8)>::new(), 88_172_645_463_325_252_u64);
            for turn in 0..20_000_usize {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let number = usize::try_from(random >> 20).unwrap();
                let (bytes, align) = (number % (1 << (number % 13)), 1 << (number >> 8 & 7));
                match number >> 16 & 3 {
                    0 | 1 => {
                        if let Some(start) = fit.allocate(bytes, align) {
                            assert!(start.addr().get().is_multiple_of(align) && fit.contains(start));
                            let seed = number.to_le_bytes()[0];
                            // SAFETY: a fresh block of that size.
                            unsafe { start.write_bytes(seed, bytes) };
                            live.push((start, bytes, seed));
                        }
                    }
                    2 if !live.is_empty() => {
                        let (start, bytes, seed) = live.swap_remove(number % live.len());
                        // SAFETY: a live block of that size.
                        let found = unsafe { core::slice::from_raw_parts(start.as_ptr(), bytes) };
                        assert!(found.iter().all(|&byte| byte == seed));
                        // SAFETY: a live block, not used again.
                        unsafe { fit.free(start) };
                    }
                    3 if !live.is_empty() => {
                        let at = number % live.len();
                        let (start, old, seed) = live[at];
                        // SAFETY: a live block, this test's.
                        if unsafe { fit.resize(start, bytes) } {
                            // SAFETY: a live block of that size.
                            let kept = unsafe { core::slice::from_raw_parts(start.as_ptr(), bytes.min(old)) };
                            assert!(kept.iter().all(|&byte| byte == seed));
                            // SAFETY: as above.
                            unsafe { start.write_bytes(seed, bytes) };
                            live[at].1 = bytes;
                        }
                    }
                    _ => {}
                }
                if turn % 50 == 0 {
                    fit.check();
                }
            }
            for (start, ..) in live {
                // SAFETY: a live block, not used again.
                unsafe { fit.free(start) };
            }
            fit.check();
            assert_eq!((fit.in_use(), fit.live(), fit.largest_free()), (0, 0, whole));
        }
    }

    #[test]
    fn e39_a_block_costs_a_word_and_its_rounding() {
        let mut memory = vec![0_u128; 1 << 12];
        let mut fit = over(&mut memory, 0);
        for bytes in [24, 40, 56, 1000] {
            let before = fit.in_use();
            fit.allocate(bytes, 8).unwrap();
            assert_eq!(fit.in_use() - before, bytes + 8);
        }
        fit.check();
    }

    #[test]
    fn all_of_the_range_can_be_lent_and_no_more() {
        let mut memory = vec![0_u128; 64];
        let mut fit = over(&mut memory, 0);
        let most = fit.largest_free();
        assert!(most >= 1024 - 3 * 16, "{most}");
        assert!(fit.allocate(most + 1, 8).is_none() && fit.allocate(usize::MAX, 8).is_none());
        assert!(fit.allocate(usize::MAX - 100, 4096).is_none() && fit.allocate(1 << 50, 8).is_none());
        let block = fit.allocate(most, 8).unwrap();
        assert!(fit.allocate(1, 1).is_none());
        // SAFETY: a live block, not used again.
        unsafe { fit.free(block) };
        fit.check();
        for len in 0..5 {
            let mut small = over(&mut memory[..len], 0);
            assert!(small.largest_free() <= len * 16 && small.allocate(200, 8).is_none());
        }
    }
}
