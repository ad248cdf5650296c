//! More free blocks for a slab that has none on its list: those that other threads gave back, fresh ones, dry ones.
//!
//! Rests on the arena's tables and on `dry`.
#![expect(unsafe_code, reason = "threads a list through blocks that came back")]

use crate::heap::hardened::misuse::{Misuse, abort_misuse};
use crate::heap::segment::segment::{Segment, segment_of, unit_of};
use crate::heap::slab::purge;
use crate::heap::slab::slab::{Node, Slab};
use core::cell::Cell;
use core::ptr::NonNull;

/// Finds blocks for a slab whose list is empty: those that came back, or fresh ones.
pub(crate) fn refill(slab: &Slab) -> bool {
    // SAFETY: a slab of the calling thread, whose units are committed, with nothing on its list.
    collect(slab) > 0 || unsafe { slab.carve() } || purge::unpurge(slab)
}

/// Puts what other threads gave back on the slab's list, in the order of their addresses. How many blocks. One that was given back twice
/// ends the program.
pub(crate) fn collect(slab: &Slab) -> u32 {
    collect_from(slab, false).unwrap_or_else(|address| abort_misuse(Misuse::DoubleFree, address))
}

/// The same, with a look at every word that may tell of one.
///
/// # Errors
/// The address of a block that was given back twice: the caller ends the program, when it holds no lock.
pub(crate) fn collect_all(slab: &Slab) -> Result<u32, usize> {
    collect_from(slab, true)
}

fn collect_from(slab: &Slab, scan_all: bool) -> Result<u32, usize> {
    let Some(start) = NonNull::new(slab.start()) else { return Ok(0) };
    // SAFETY: a slab lies in an arena of a live heap.
    let segment: &Segment = unsafe { segment_of(start).as_ref() };
    let (size, mut count) = (slab.block.get() as usize, 0);
    let mut twice = None;
    segment.drain_remote(unit_of(start), scan_all, |first, mut bits| {
        count += bits.count_ones();
        if slab.uses_bitmap() {
            twice = twice.or(slab.find_double_free(bits));
            slab.add_free_bits(bits);
            return;
        }
        while let Some(bit) = bits.checked_ilog2() {
            bits ^= 1 << bit;
            let offset = (first + bit as usize) * size;
            let node: NonNull<Node> = start.map_addr(|start| start.saturating_add(offset)).cast();
            // SAFETY: a block of the slab that its holder gave up, at least 8 bytes and aligned to 8; its bit made it this thread's.
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
        (twice, _) => Err(twice.unwrap_or(start.addr().get())),
    }
}
