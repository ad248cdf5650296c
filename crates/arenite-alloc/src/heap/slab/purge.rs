//! Slots of a slab that are dry: free, with their memory given back to the system.
//!
//! Rests on the arena's region. A free block holds the link to the next one, so memory cannot be dropped from under the list;
//! what is dropped is first taken off it, and is known by one bit instead. A slot is an OS page where blocks are smaller than one: all
//! blocks that begin in it are free and off the list. It is a block where blocks are larger. A slab that runs out makes a dry slot
//! wet again by putting its blocks on the list; the system finds pages when they are touched.
#![expect(unsafe_code, reason = "reads and writes the list that runs through free blocks")]

use crate::heap::classes::LARGEST;
use crate::heap::segment::segment::{Header, header_of, unit_of};
use crate::heap::slab::slab::{Node, Slab, UNIT};
use crate::sync::plain::Ordering;
use arenite_pages::page_size;
use core::cell::Cell;
use core::ops::Range;
use core::ptr::NonNull;

/// Bits of a unit.
const BITS: usize = 16;
/// The most blocks that a slab has.
const MOST: usize = UNIT / 8;

const _: () = assert!(LARGEST >= 4096 && UNIT / 4096 <= BITS);

/// A slab with its place in its arena, for its owner.
struct Look<'a> {
    slab: &'a Slab,
    header: &'a Header,
    /// Its first unit.
    unit: usize,
    start: NonNull<u8>,
    block: usize,
    page: usize,
}

/// Which blocks of a slab are free.
struct Free([u64; MOST / 64]);

impl Free {
    fn has(&self, block: usize) -> bool {
        self.0[block / 64] >> (block % 64) & 1 == 1
    }

    fn add(&mut self, block: usize) {
        self.0[block / 64] |= 1 << (block % 64);
    }
}

impl<'a> Look<'a> {
    fn at(slab: &'a Slab) -> Option<Self> {
        let start = NonNull::new(slab.start())?;
        // SAFETY: a slab lies in an arena of a live heap.
        let header = unsafe { header_of(start).as_ref() };
        let block = slab.block.get() as usize;
        // kernels have OS pages of 4, 16 and 64 KiB
        let page = page_size().min(UNIT);
        (block > 0).then(|| Self { slab, header, unit: unit_of(start), start, block, page })
    }

    fn by_page(&self) -> bool {
        self.block < self.page
    }

    /// Slots of which blocks were carved, the last one's wholly.
    fn slots(&self) -> usize {
        let carved = self.slab.carved() as usize;
        if self.by_page() { carved * self.block / self.page } else { carved }
    }

    fn is_dry(&self, slot: usize) -> bool {
        self.header.dry[self.unit + slot / BITS].get() >> (slot % BITS) & 1 == 1
    }

    fn flip(&self, slot: usize) {
        let bits = &self.header.dry[self.unit + slot / BITS];
        bits.set(bits.get() ^ 1 << (slot % BITS));
    }

    /// The blocks that begin in a slot.
    fn blocks_of(&self, slot: usize) -> Range<usize> {
        if self.by_page() {
            (slot * self.page).div_ceil(self.block)..((slot + 1) * self.page).div_ceil(self.block)
        } else {
            slot..slot + 1
        }
    }

    /// The whole OS pages inside a range of the slab's bytes.
    fn whole(&self, bytes: Range<usize>) -> Range<usize> {
        let start = bytes.start.next_multiple_of(self.page);
        start..(bytes.end / self.page * self.page).max(start)
    }

    /// The OS pages that a dry slot does not hold, in bytes.
    fn bytes_of(&self, slot: usize) -> usize {
        let unit = if self.by_page() { self.page } else { self.block };
        self.whole(slot * unit..(slot + 1) * unit).len()
    }

    fn node(&self, block: usize) -> NonNull<Node> {
        self.start.map_addr(|start| start.saturating_add(block * self.block)).cast()
    }

    /// Puts a free block first on the list.
    fn push(&self, block: usize) {
        if self.slab.is_wide() {
            return self.slab.add_free_bits(1 << block);
        }
        let node = self.node(block);
        // SAFETY: a free block of this slab, which its owner alone uses; at least 8 bytes and aligned to 8.
        unsafe { node.write(Node { next: Cell::new(self.slab.free.get()) }) };
        self.slab.free.set(node.as_ptr());
    }

    fn index_of(&self, node: NonNull<Node>) -> usize {
        (node.addr().get() - self.start.addr().get()) / self.block
    }

    /// The blocks on the list.
    fn listed(&self) -> Free {
        let mut free = Free([0; MOST / 64]);
        free.0[0] = self.slab.free_bits();
        let mut at = self.slab.free.get();
        while let Some(node) = NonNull::new(at) {
            free.add(self.index_of(node));
            // SAFETY: a block on the list is free and holds a node.
            at = unsafe { node.as_ref() }.next.get();
        }
        free
    }

    /// Whether no block with a byte in a slot is lent.
    fn idle(&self, slot: usize, free: &Free) -> bool {
        let lent = |block: usize| !free.has(block) && !self.is_dry(self.slot_of(block));
        let carved = self.slab.carved() as usize;
        if self.by_page() {
            let (first, last) = (slot * self.page / self.block, ((slot + 1) * self.page - 1) / self.block);
            !(first..=last.min(carved - 1)).any(lent)
        } else {
            !lent(slot)
        }
    }

    fn slot_of(&self, block: usize) -> usize {
        if self.by_page() { block * self.block / self.page } else { block }
    }

    /// Drops the memory of the slots that nothing is lent in; bytes.
    fn drain(&self, free: &Free) -> usize {
        let (slots, unit) = (self.slots(), if self.by_page() { self.page } else { self.block });
        let (mut gone, mut slot) = (0, 0);
        while slot < slots {
            let end = (slot..slots).find(|&slot| !self.idle(slot, free)).unwrap_or(slots);
            let fresh = || (slot..end).filter(|&slot| !self.is_dry(slot));
            let bytes = self.whole(slot * unit..end * unit);
            let offset = self.unit * UNIT;
            if fresh().next().is_some()
                && !bytes.is_empty()
                // SAFETY: bytes of free blocks of this slab, which its owner alone uses; those that held a link are off the list.
                && unsafe { self.header.discard(offset + bytes.start..offset + bytes.end) }
            {
                for slot in slot..end {
                    if !self.is_dry(slot) {
                        self.flip(slot);
                        self.slab.dry.set(self.slab.dry.get() + 1);
                        gone += self.bytes_of(slot);
                    }
                }
            }
            slot = end + 1;
        }
        gone
    }

    /// What was never carved of the slab may hold pages of what was there before.
    fn drain_rest(&self) {
        let size = usize::from(self.slab.units.get()) * UNIT;
        let rest = self.whole(self.slab.carved() as usize * self.block..size);
        if !rest.is_empty() {
            let offset = self.unit * UNIT;
            // SAFETY: bytes behind the last block that was ever lent.
            let _gone = unsafe { self.header.discard(offset + rest.start..offset + rest.end) };
        }
    }
}

/// Gives the OS pages inside a slab's free blocks back to the system; how many bytes. O(blocks of the slab).
///
/// The caller owns the slab, and has collected what other threads gave back.
pub(crate) fn drain(slab: &Slab) -> usize {
    let Some(look) = Look::at(slab) else { return 0 };
    look.drain_rest();
    if !slab.has_free() {
        return 0;
    }
    let (free, before) = (look.listed(), slab.dry.get());
    let gone = look.drain(&free);
    if slab.dry.get() > before {
        look.header.dry_bytes.fetch_add(gone, Ordering::Relaxed);
        slab.forget_free();
        for block in (0..slab.carved() as usize).rev() {
            if free.has(block) && !(look.slot_of(block) < look.slots() && look.is_dry(look.slot_of(block))) {
                look.push(block);
            }
        }
    }
    gone
}

/// Puts the blocks of one dry slot on the list. False: no slot is dry. The caller owns the slab.
pub(crate) fn wet(slab: &Slab) -> bool {
    if slab.dry.get() == 0 {
        return false;
    }
    let Some(look) = Look::at(slab) else { return false };
    let Some(slot) = (0..look.slots()).find(|&slot| look.is_dry(slot)) else { return false };
    look.flip(slot);
    slab.dry.set(slab.dry.get() - 1);
    look.header.dry_bytes.fetch_sub(look.bytes_of(slot), Ordering::Relaxed);
    look.blocks_of(slot).rev().for_each(|block| look.push(block));
    true
}

/// Forgets which slots of an empty slab are dry: what is free there is told by more than their bits from now on.
pub(crate) fn forget(slab: &Slab) {
    if slab.dry.get() == 0 {
        return;
    }
    let Some(look) = Look::at(slab) else { return };
    for slot in (0..look.slots()).filter(|&slot| look.is_dry(slot)) {
        look.flip(slot);
        look.header.dry_bytes.fetch_sub(look.bytes_of(slot), Ordering::Relaxed);
    }
    slab.dry.set(0);
}
