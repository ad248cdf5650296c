//! Purging: returns the OS pages of a slab's free blocks to the system.
//!
//! A free block holds the link of the free list, so memory cannot be discarded under the list. The
//! free blocks are read into a set, and the list is rebuilt without the discarded ones. A bit per
//! slot tracks those. A slot is an OS page if blocks are smaller than one (every block that begins
//! in it is free), else a block. A slab that runs out of blocks puts those of a purged slot back
//! on the list. The system finds OS pages when they are touched.
#![expect(unsafe_code, reason = "reads and writes the list that runs through free blocks")]

use crate::heap::geometry::MAX_SMALL;
use crate::heap::geometry::UNIT;
use crate::heap::segment::segment::{Segment, segment_of, unit_of};
use crate::heap::slab::slab::{Node, Slab};
use crate::util::sync::plain::Ordering;
use arenite_pages::page_size;
use core::cell::Cell;
use core::ops::Range;
use core::ptr::NonNull;

/// Slots of a unit, at most.
const SLOTS_PER_UNIT: usize = 16;
/// Blocks of a slab, at most.
const MAX_BLOCKS: usize = UNIT / 8;

const _: () = assert!(MAX_SMALL >= 4096 && UNIT / 4096 <= SLOTS_PER_UNIT);

/// A slab and its position in its segment, for the slab's owner.
struct SlabView<'a> {
    slab: &'a Slab,
    segment: &'a Segment,
    /// First unit of the slab.
    unit: usize,
    start: NonNull<u8>,
    block: usize,
    page: usize,
}

/// The set of free blocks of a slab.
struct FreeSet([u64; MAX_BLOCKS / 64]);

impl FreeSet {
    fn contains(&self, block: usize) -> bool {
        self.0[block / 64] >> (block % 64) & 1 == 1
    }

    fn insert(&mut self, block: usize) {
        self.0[block / 64] |= 1 << (block % 64);
    }
}

impl<'a> SlabView<'a> {
    fn new(slab: &'a Slab) -> Option<Self> {
        let start = NonNull::new(slab.start())?;
        // SAFETY: a slab lies in a segment of a live heap.
        let segment = unsafe { segment_of(start).as_ref() };
        let block = slab.block.get() as usize;
        // kernels have OS pages of 4, 16 and 64 KiB
        let page = page_size().min(UNIT);
        (block > 0).then(|| Self { slab, segment, unit: unit_of(start), start, block, page })
    }

    fn slots_are_pages(&self) -> bool {
        self.block < self.page
    }

    /// Returns the number of slots whose blocks are all carved.
    fn slot_count(&self) -> usize {
        let carved = self.slab.carved() as usize;
        if self.slots_are_pages() { carved * self.block / self.page } else { carved }
    }

    fn is_purged(&self, slot: usize) -> bool {
        self.segment.purged[self.unit + slot / SLOTS_PER_UNIT].get() >> (slot % SLOTS_PER_UNIT) & 1 == 1
    }

    fn toggle_purged(&self, slot: usize) {
        let bits = &self.segment.purged[self.unit + slot / SLOTS_PER_UNIT];
        bits.set(bits.get() ^ 1 << (slot % SLOTS_PER_UNIT));
    }

    /// Returns the blocks that begin in a slot.
    fn blocks_in_slot(&self, slot: usize) -> Range<usize> {
        if self.slots_are_pages() {
            (slot * self.page).div_ceil(self.block)..((slot + 1) * self.page).div_ceil(self.block)
        } else {
            slot..slot + 1
        }
    }

    /// Returns the whole OS pages inside a range of the slab's bytes.
    fn whole_pages(&self, bytes: Range<usize>) -> Range<usize> {
        let start = bytes.start.next_multiple_of(self.page);
        start..(bytes.end / self.page * self.page).max(start)
    }

    /// Returns the bytes of OS pages that a purged slot lacks.
    fn slot_bytes(&self, slot: usize) -> usize {
        let unit = if self.slots_are_pages() { self.page } else { self.block };
        self.whole_pages(slot * unit..(slot + 1) * unit).len()
    }

    fn node(&self, block: usize) -> NonNull<Node> {
        self.start.map_addr(|start| start.saturating_add(block * self.block)).cast()
    }

    /// Adds a free block to the list or the bitmap.
    fn push(&self, block: usize) {
        if self.slab.uses_bitmap() {
            return self.slab.add_free_bits(1 << block);
        }
        let node = self.node(block);
        // SAFETY: a free block of this slab, which its owner alone uses; at least 8 bytes and
        // aligned to 8.
        unsafe { node.write(Node { next: Cell::new(self.slab.free.get()) }) };
        self.slab.free.set(node.as_ptr());
    }

    fn index_of(&self, node: NonNull<Node>) -> usize {
        (node.addr().get() - self.start.addr().get()) / self.block
    }

    /// Returns the blocks of the list and the bitmap.
    fn collect_free(&self) -> FreeSet {
        let mut free = FreeSet([0; MAX_BLOCKS / 64]);
        free.0[0] = self.slab.free_bits();
        let mut at = self.slab.free.get();
        while let Some(node) = NonNull::new(at) {
            free.insert(self.index_of(node));
            // SAFETY: a block on the list is free and holds a link.
            at = unsafe { node.as_ref() }.next.get();
        }
        free
    }

    /// Returns whether no allocated block has a byte in a slot.
    fn is_idle(&self, slot: usize, free: &FreeSet) -> bool {
        let is_live = |block: usize| !free.contains(block) && !self.is_purged(self.slot_of(block));
        let carved = self.slab.carved() as usize;
        if self.slots_are_pages() {
            let (first, last) = (slot * self.page / self.block, ((slot + 1) * self.page - 1) / self.block);
            !(first..=last.min(carved - 1)).any(is_live)
        } else {
            !is_live(slot)
        }
    }

    fn slot_of(&self, block: usize) -> usize {
        if self.slots_are_pages() { block * self.block / self.page } else { block }
    }

    /// Discards the memory of idle slots. Returns the bytes.
    fn purge_idle(&self, free: &FreeSet) -> usize {
        let (slot_count, unit) =
            (self.slot_count(), if self.slots_are_pages() { self.page } else { self.block });
        let (mut purged_bytes, mut slot) = (0, 0);
        while slot < slot_count {
            let end = (slot..slot_count).find(|&slot| !self.is_idle(slot, free)).unwrap_or(slot_count);
            let fresh = || (slot..end).filter(|&slot| !self.is_purged(slot));
            let bytes = self.whole_pages(slot * unit..end * unit);
            let offset = self.unit * UNIT;
            if fresh().next().is_some()
                && !bytes.is_empty()
                // SAFETY: bytes of free blocks of this slab, which its owner alone uses; the caller
                // takes those with a link off the list.
                && unsafe { self.segment.discard(offset + bytes.start..offset + bytes.end) }
            {
                for slot in slot..end {
                    if !self.is_purged(slot) {
                        self.toggle_purged(slot);
                        self.slab.purged_slots.set(self.slab.purged_slots.get() + 1);
                        purged_bytes += self.slot_bytes(slot);
                    }
                }
            }
            slot = end + 1;
        }
        purged_bytes
    }

    /// Discards the memory behind the carved blocks, which may hold OS pages of an earlier slab.
    fn purge_tail(&self) {
        let size = usize::from(self.slab.units.get()) * UNIT;
        let rest = self.whole_pages(self.slab.carved() as usize * self.block..size);
        if !rest.is_empty() {
            let offset = self.unit * UNIT;
            // SAFETY: bytes behind the last carved block: no block there is live or on the list.
            let _gone = unsafe { self.segment.discard(offset + rest.start..offset + rest.end) };
        }
    }
}

/// Returns the OS pages inside a slab's free blocks to the system. Returns the bytes. O(blocks).
///
/// The caller owns the slab and has collected its remote frees.
pub(crate) fn purge(slab: &Slab) -> usize {
    let Some(view) = SlabView::new(slab) else { return 0 };
    view.purge_tail();
    if !slab.has_free() {
        return 0;
    }
    let (free, before) = (view.collect_free(), slab.purged_slots.get());
    let purged_bytes = view.purge_idle(&free);
    if slab.purged_slots.get() > before {
        view.segment.purged_bytes.fetch_add(purged_bytes, Ordering::Relaxed);
        slab.clear_free_list();
        for block in (0..slab.carved() as usize).rev() {
            if free.contains(block)
                && !(view.slot_of(block) < view.slot_count() && view.is_purged(view.slot_of(block)))
            {
                view.push(block);
            }
        }
    }
    purged_bytes
}

/// Adds the blocks of one purged slot to the free list. Returns whether a slot was purged. The
/// caller owns the slab.
pub(crate) fn unpurge(slab: &Slab) -> bool {
    if slab.purged_slots.get() == 0 {
        return false;
    }
    let Some(view) = SlabView::new(slab) else { return false };
    let Some(slot) = (0..view.slot_count()).find(|&slot| view.is_purged(slot)) else { return false };
    view.toggle_purged(slot);
    slab.purged_slots.set(slab.purged_slots.get() - 1);
    view.segment.purged_bytes.fetch_sub(view.slot_bytes(slot), Ordering::Relaxed);
    view.blocks_in_slot(slot).rev().for_each(|block| view.push(block));
    true
}

/// Clears the purged bits of an empty slab, whose blocks are all free.
pub(crate) fn clear_purged(slab: &Slab) {
    if slab.purged_slots.get() == 0 {
        return;
    }
    let Some(view) = SlabView::new(slab) else { return };
    for slot in (0..view.slot_count()).filter(|&slot| view.is_purged(slot)) {
        view.toggle_purged(slot);
        view.segment.purged_bytes.fetch_sub(view.slot_bytes(slot), Ordering::Relaxed);
    }
    slab.purged_slots.set(0);
}
