//! Refills the free list of a slab: from remote frees, fresh blocks, or purged slots.
#![expect(unsafe_code, reason = "links freed blocks into the free list")]

use crate::heap::hardened::misuse::{Misuse, abort_misuse};
use crate::heap::segment::segment::{Segment, segment_of, unit_of};
use crate::heap::slab::purge;
use crate::heap::slab::slab::{Node, Slab};
use core::cell::Cell;
use core::ptr::NonNull;

/// Refills an empty free list. Returns whether there is a free block now.
pub(crate) fn refill(slab: &Slab) -> bool {
    // SAFETY: a slab of the calling thread, whose units are committed and whose free list is empty.
    collect(slab) > 0 || unsafe { slab.carve() } || purge::unpurge(slab)
}

/// Adds the blocks that other threads freed to the free list, in address order. Returns how many.
/// A double free ends the program.
pub(crate) fn collect(slab: &Slab) -> u32 {
    collect_from(slab, false).unwrap_or_else(|address| abort_misuse(Misuse::DoubleFree, address))
}

/// Collects like [`collect`], from every word that may have a bit.
///
/// # Errors
/// The address of a block that was freed twice, or the slab's start if only their number shows it.
/// The caller ends the program when it holds no lock.
pub(crate) fn collect_all(slab: &Slab) -> Result<u32, usize> {
    collect_from(slab, true)
}

fn collect_from(slab: &Slab, scan_all: bool) -> Result<u32, usize> {
    let Some(start) = NonNull::new(slab.start()) else { return Ok(0) };
    // SAFETY: a slab lies in a segment of a live heap.
    let segment: &Segment = unsafe { segment_of(start).as_ref() };
    let (size, mut count) = (slab.block.get() as usize, 0);
    let mut twice = None;
    segment.drain_remote(unit_of(start), scan_all, |first_block, mut bits| {
        count += bits.count_ones();
        if slab.uses_bitmap() {
            twice = twice.or(slab.find_double_free(bits));
            slab.add_free_bits(bits);
            return;
        }
        while let Some(bit) = bits.checked_ilog2() {
            bits ^= 1 << bit;
            let offset = (first_block + bit as usize) * size;
            let node: NonNull<Node> = start.map_addr(|start| start.saturating_add(offset)).cast();
            // SAFETY: a block that its user freed, at least 8 bytes and aligned to 8; taking its
            // bit made it this thread's.
            unsafe { node.write(Node { next: Cell::new(slab.free.get()) }) };
            slab.free.set(node.as_ptr());
        }
    });
    let used = slab.used().checked_sub(count);
    match (twice, used) {
        (None, Some(used)) => {
            slab.set_used(used);
            Ok(count)
        }
        // more blocks came back than were allocated: which of them is unknown
        (twice, _) => Err(twice.unwrap_or(start.addr().get())),
    }
}
