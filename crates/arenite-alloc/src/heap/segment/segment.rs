//! An arena of a heap: 256 MiB of addresses at a multiple of as much, cut into units.
//!
//! Rests on `arenite_pages::Region`. Because of where it begins, any block's arena is its address with the low bits cleared,
//! and the tables at its start say, for each unit, whose slab it belongs to and where that slab begins. Memory is committed
//! as units are taken.
#![expect(unsafe_code, reason = "keeps tables at the start of a region")]

use crate::heap::geometry::{SEGMENT_BYTES, UNIT, UNITS_PER_SEGMENT};
use crate::heap::hardened::misuse::Misuse;
use crate::heap::owner::OwnerWord;
use crate::heap::remote_free::{PushResult, RemoteFreeBits};
use crate::heap::segment::free_unit_stack::FreeUnitStack;
use crate::heap::segment::segment_map;
use crate::heap::slab::block_geometry::BlockGeometry;
use crate::heap::slab::slab::{ListKind, Slab};
use crate::sync::AtomicU64;
use crate::sync::plain::{AtomicUsize, Ordering};
use arenite_pages::{Region, RegionOptions, page_size};
use core::cell::Cell;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;

/// Units that the tables take.
pub(crate) const HEADER_UNITS: usize = size_of::<Segment>().div_ceil(UNIT);
/// Of them, those that are counted from the start: the bits of a unit are counted with the unit.
const HEADER_COMMITTED_UNITS: usize = core::mem::offset_of!(Segment, remote_bits).div_ceil(UNIT);
/// The bits of a unit's blocks, of which there are at most 8192.
type Bits = [AtomicU64; UNIT / 8 / 64];
/// How many units are committed at once: 2 MiB, as a large page.
const COMMIT_STEP_UNITS: usize = 32;
/// From how many committed units on a heap asks for huge pages: 64 MiB, so that small programs stay small.
const HUGE_FROM_UNITS: usize = 1024;
const BITMAP_WORDS: usize = UNITS_PER_SEGMENT / 64;
/// Offset of the owner words in a segment. The header of a large block has zeroes there.
pub(crate) const OWNERS_OFFSET: usize = core::mem::offset_of!(Segment, owners);
/// Offset of the end of the owner words.
pub(crate) const OWNERS_END: usize = OWNERS_OFFSET + UNITS_PER_SEGMENT * size_of::<AtomicUsize>();

/// When an arena asks for huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HugePolicy {
    /// From its start: the heap is large already.
    Immediate,
    /// When it is large itself.
    WhenLarge,
    /// Not at all.
    Never,
}

/// What begins at a multiple of 256 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WindowKind {
    /// Nothing yet: what zeroes say.
    #[expect(dead_code, reason = "no code makes it, fresh memory does")]
    Empty = 0,
    /// An arena of slabs and spans.
    Segment = 1,
    /// One large block, whose own head it is; all tables are zero.
    LargeBlock = 2,
}

/// The start of an arena. Zeroes, as fresh memory is, are tables of nothing.
#[repr(C, align(4096))]
pub(crate) struct Segment {
    /// Arena or large block: what begins here.
    pub(crate) kind: Cell<WindowKind>,
    /// The next arena of the heap, under the heap's lock.
    pub(crate) next: Cell<Option<NonNull<Segment>>>,
    region: ManuallyDrop<MaybeUninit<Region>>,
    /// A bit for each unit that is free, under the heap's lock.
    free: [Cell<u64>; BITMAP_WORDS],
    committed: [Cell<u64>; BITMAP_WORDS],
    /// Units that came back last, one by one, and are free and committed still or are forgotten.
    recent_units: FreeUnitStack,
    /// A bit for each unit that was free at the last tick and was not taken since.
    aged: [Cell<u64>; BITMAP_WORDS],
    /// How many units are committed.
    committed_units: Cell<usize>,
    /// Whether huge pages were asked for, or shall never be.
    huge_decided: Cell<bool>,
    /// Whether they may be there.
    huge: Cell<bool>,
    /// Bytes of the slots that are dry; their slabs' owners change it.
    pub(crate) purged_bytes: AtomicUsize,
    /// For the slabs of each unit which slots are dry, see `dry`; their owners change it.
    pub(crate) purged: [Cell<u16>; UNITS_PER_SEGMENT],
    /// For each unit the address of its slab's owner, and in the low 12 bits the class of its blocks and how many units before it the slab begins.
    owners: [AtomicUsize; UNITS_PER_SEGMENT],
    /// For the first unit of each slab which words of its bits say that other threads gave blocks back.
    pub(crate) remote: [RemoteFreeBits; UNITS_PER_SEGMENT],
    pub(crate) slabs: [Slab; UNITS_PER_SEGMENT],
    /// For the first unit of each slab what its blocks are, for threads that do not own it.
    geometries: [Cell<BlockGeometry>; UNITS_PER_SEGMENT],
    /// For the first unit of each slab a bit for each block, see `remote`. Memory is found for it where it is first touched.
    remote_bits: [Bits; UNITS_PER_SEGMENT],
}

impl core::fmt::Debug for Segment {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Header").field("free_units", &self.free_unit_count()).finish_non_exhaustive()
    }
}

/// The same as [`header_of`] for the shortest paths: without a test for null, which no block's arena is.
#[inline(always)]
pub(crate) fn segment_base(block: NonNull<u8>) -> *const Segment {
    block.as_ptr().map_addr(|address| address & !(SEGMENT_BYTES - 1)).cast()
}

/// The arena that an address lies in, if it lies in one.
#[inline(always)]
pub(crate) fn segment_of(block: NonNull<u8>) -> NonNull<Segment> {
    let base = block.as_ptr().map_addr(|address| address & !(SEGMENT_BYTES - 1));
    NonNull::new(base.cast()).unwrap_or(NonNull::dangling())
}

/// The unit of its arena that an address lies in.
#[inline(always)]
pub(crate) fn unit_of(block: NonNull<u8>) -> usize {
    (block.addr().get() & (SEGMENT_BYTES - 1)) / UNIT
}

/// What the table says of the unit that a block lies in; 0 for a large block.
///
/// # Safety
/// The block is live and of some heap: an arena's tables stand before it, or a large block's head, whose table is zero.
#[inline(always)]
pub(crate) unsafe fn owner_of(block: NonNull<u8>) -> OwnerWord {
    let offset = OWNERS_OFFSET + unit_of(block) * size_of::<AtomicUsize>();
    let entry = segment_base(block).wrapping_byte_add(offset).cast::<AtomicUsize>();
    // SAFETY: that part of the tables is committed in both, aligned, and only used as atomics.
    OwnerWord::from_raw(unsafe { &*entry }.load(Ordering::Relaxed))
}

/// What begins at the multiple of 256 MiB before a block.
///
/// # Safety
/// As [`owner_of`].
pub(crate) unsafe fn window_kind(block: NonNull<u8>) -> WindowKind {
    // SAFETY: the first field of both, written before the block was lent, and not changed while it lives.
    unsafe { segment_of(block).cast::<WindowKind>().read() }
}

impl Segment {
    /// A new arena; `None` where there are no addresses or no memory for its tables.
    ///
    /// `huge`: whether to ask for huge pages: at once, later, or never.
    pub(crate) fn reserve(huge: HugePolicy) -> Option<NonNull<Self>> {
        let region =
            RegionOptions::new().labelled("heap").aligned(SEGMENT_BYTES).reserve(SEGMENT_BYTES).ok()?;
        region.commit(0, HEADER_UNITS * UNIT).ok()?;
        let base: NonNull<Self> = region.as_ptr().cast();
        // SAFETY: the tables' units are committed, zeroed, aligned, and nobody else knows of them; zeroes are valid: cells of
        // integers, null pointers, `Kind::Nothing`, `Place::None`, `None`, and a region that may be uninitialised.
        let segment = unsafe { base.as_ref() };
        segment.kind.set(WindowKind::Segment);
        for unit in HEADER_UNITS..UNITS_PER_SEGMENT {
            set_bit(&segment.free, unit, true);
        }
        (0..HEADER_UNITS).for_each(|unit| set_bit(&segment.committed, unit, true));
        segment.committed_units.set(HEADER_COMMITTED_UNITS);
        let slot: *mut MaybeUninit<Region> =
            base.as_ptr().cast::<u8>().wrapping_add(core::mem::offset_of!(Self, region)).cast();
        // SAFETY: the field of the tables just made, which nobody reads yet.
        unsafe { slot.write(MaybeUninit::new(region)) };
        segment_map::set(base.addr().get(), true);
        match huge {
            HugePolicy::Immediate => segment.advise_huge_from(HEADER_UNITS),
            HugePolicy::WhenLarge => {}
            HugePolicy::Never => segment.huge_decided.set(true),
        }
        Some(base)
    }

    /// Gives the arena back.
    ///
    /// # Safety
    /// Nobody uses a byte of it afterwards, its tables included.
    pub(crate) unsafe fn release(this: NonNull<Self>) {
        segment_map::set(this.addr().get(), false);
        let slot: *const Region =
            this.as_ptr().cast::<u8>().wrapping_add(core::mem::offset_of!(Self, region)).cast();
        // SAFETY: `reserve` wrote it, and it is read out once: nobody uses the arena afterwards.
        let region = unsafe { slot.read() };
        drop(region);
    }

    fn region(&self) -> &Region {
        // SAFETY: `reserve` wrote it before it handed the arena out.
        unsafe { self.region.assume_init_ref() }
    }

    /// The first byte of a unit.
    pub(crate) fn unit_start(&self, unit: usize) -> NonNull<u8> {
        let base = self.region().as_ptr();
        NonNull::new(base.as_ptr().wrapping_add(unit * UNIT)).unwrap_or(base)
    }

    /// Returns the owner word of a unit.
    pub(crate) fn owner(&self, unit: usize) -> OwnerWord {
        OwnerWord::from_raw(self.owners[unit].load(Ordering::Relaxed))
    }

    /// Sets the owner word of a unit (Release).
    pub(crate) fn set_owner(&self, unit: usize, owner: OwnerWord) {
        self.owners[unit].store(owner.raw(), Ordering::Release);
    }

    /// Makes the units from `first` on a slab of blocks of a class, or a span.
    pub(crate) fn init_slab(
        &self,
        first: usize,
        units: usize,
        class: usize,
        block: usize,
        bitmap: bool,
    ) -> &Slab {
        let slab = &self.slabs[first];
        // where the unit had such a slab before, all that is told of it is there still
        if slab.matches(units, class, block) {
            debug_assert!(slab.list.get() == ListKind::None && slab.next.get().is_null(), "it left its list");
            slab.reset();
        } else {
            self.geometries[first].set(slab.init(self.unit_start(first), units, class, block, bitmap));
        }
        slab
    }

    /// Which block of the slab that begins with the unit `first` begins at this address, and what the slab's blocks are.
    ///
    /// # Errors
    /// No block begins there.
    #[inline]
    pub(crate) fn block_index_at(
        &self,
        first: usize,
        block: NonNull<u8>,
    ) -> Result<(usize, BlockGeometry), Misuse> {
        let geometry = self.geometries[first].get();
        let offset = (block.addr().get() & (SEGMENT_BYTES - 1)) - first * UNIT;
        let block = geometry.index_of(offset).ok_or(Misuse::InteriorPointer)?;
        Ok((block, geometry))
    }

    /// The class of the blocks of the slab that begins with the unit `first`.
    pub(crate) fn class_at(&self, first: usize) -> usize {
        self.geometries[first].get().class()
    }

    /// Takes blocks of one word of a slab's bits back that are not the calling thread's, for the slab's owner.
    pub(crate) fn push_remote(&self, first: usize, word: usize, bits: u64) -> PushResult {
        self.remote[first].push(&self.remote_bits[first], word, bits)
    }

    /// How many blocks of a slab other threads gave back.
    pub(crate) fn remote_count(&self, first: usize) -> u32 {
        self.remote[first].count(&self.remote_bits[first])
    }

    /// Takes the blocks that other threads gave back: each word's first block and its bits, from the last to the first.
    #[inline]
    pub(crate) fn drain_remote(&self, first: usize, scan_all: bool, visit: impl FnMut(usize, u64)) {
        if scan_all || !self.remote[first].is_empty() {
            let words =
                (self.slabs[first].capacity() as usize).div_ceil(64).min(self.remote_bits[first].len());
            self.remote[first].drain(&self.remote_bits[first][..words], scan_all, visit);
        }
    }

    /// Takes `count` free units in a row, the first a multiple of `step`, and commits them; the first one's number.
    pub(crate) fn alloc_units(&self, count: usize, step: usize) -> Option<usize> {
        let first = self.find_units(count, step)?;
        self.commit(first, count)?;
        self.mark_allocated(first..first + count);
        Some(first)
    }

    /// Takes the `count` units at `first`, if all are free, and commits them.
    pub(crate) fn alloc_units_at(&self, first: usize, count: usize) -> Option<()> {
        let range = first..first + count;
        if range.end > UNITS_PER_SEGMENT || !range.clone().all(|unit| is_set(&self.free, unit)) {
            return None;
        }
        self.commit(first, count)?;
        self.mark_allocated(range);
        Some(())
    }

    fn mark_allocated(&self, units: core::ops::Range<usize>) {
        units.for_each(|unit| {
            set_bit(&self.free, unit, false);
            set_bit(&self.aged, unit, false);
        });
    }

    fn find_units(&self, count: usize, step: usize) -> Option<usize> {
        if (count, step) == (1, 1)
            && let Some(unit) =
                self.recent_units.pop(|unit| is_set(&self.free, unit) && is_set(&self.committed, unit))
        {
            return Some(unit);
        }
        let mut run = 0;
        for (word, bits) in self.free.iter().enumerate() {
            let bits = bits.get();
            if bits == 0 {
                run = 0;
                continue;
            }
            if count == 1 && step == 1 {
                return Some(word * 64 + bits.trailing_zeros() as usize);
            }
            for bit in 0..64 {
                run = if bits >> bit & 1 == 1 { run + 1 } else { 0 };
                if run >= count && (word * 64 + bit + 1 - count).is_multiple_of(step) {
                    return Some(word * 64 + bit + 1 - count);
                }
            }
        }
        None
    }

    fn commit(&self, first: usize, count: usize) -> Option<()> {
        let mut unit = first;
        while unit < first + count {
            if is_set(&self.committed, unit) {
                unit += 1;
                continue;
            }
            // as far as nothing is committed, in steps of large pages, but not beyond what there is
            let wish = (first + count).next_multiple_of(COMMIT_STEP_UNITS).min(UNITS_PER_SEGMENT);
            let end = (unit..wish).find(|&unit| is_set(&self.committed, unit)).unwrap_or(wish);
            if !self.huge_decided.get() && self.committed_units.get() >= HUGE_FROM_UNITS {
                self.advise_huge_from(unit);
            }
            self.region().commit(unit * UNIT, (end - unit) * UNIT).ok()?;
            (unit..end).for_each(|unit| set_bit(&self.committed, unit, true));
            self.committed_units.set(self.committed_units.get() + (end - unit));
            unit = end;
        }
        Some(())
    }

    /// Asks for huge pages from a unit on: one mapping more, fewer faults, and addresses that the processor looks up faster.
    #[cold]
    fn advise_huge_from(&self, unit: usize) {
        self.huge_decided.set(true);
        self.huge.set(true);
        let from = unit.next_multiple_of(COMMIT_STEP_UNITS);
        // a kernel without huge pages refuses, and gives small ones
        let _advised: Result<(), _> =
            self.region().advise_huge(from * UNIT, SEGMENT_BYTES - from * UNIT, true);
    }

    /// Whether the arena may still ask for huge pages.
    pub(crate) fn allow_huge_advice(&self, may: bool) {
        self.huge_decided.set(!may || self.huge.get());
    }

    /// Gives units back; their memory stays.
    pub(crate) fn free_units(&self, first: usize, count: usize) {
        (first..first + count).for_each(|unit| set_bit(&self.free, unit, true));
        if count == 1 {
            self.recent_units.push(first);
        }
    }

    /// Gives the memory behind free units back to the system: of all, or of those that were free at the last tick. How many
    /// bytes.
    pub(crate) fn decommit_free(&self, aged: bool) -> usize {
        let mut gone = 0;
        let idle = |unit: usize| {
            is_set(&self.free, unit) && is_set(&self.committed, unit) && (!aged || is_set(&self.aged, unit))
        };
        let mut unit = HEADER_UNITS;
        while unit < UNITS_PER_SEGMENT {
            if !idle(unit) {
                unit += 1;
                continue;
            }
            let end = (unit..UNITS_PER_SEGMENT).find(|&unit| !idle(unit)).unwrap_or(UNITS_PER_SEGMENT);
            // by itself only whole huge pages: breaking one costs more than it gives
            let whole = aged && self.huge.get();
            let (from, to) = if whole {
                (unit.next_multiple_of(COMMIT_STEP_UNITS), end / COMMIT_STEP_UNITS * COMMIT_STEP_UNITS)
            } else {
                (unit, end)
            };
            // Discarded and not closed: closing splits the mapping, and the system has room for 65 530 in all.
            // SAFETY: free units, under the heap's lock: nobody has a block in them.
            if from < to && unsafe { self.region().discard(from * UNIT, (to - from) * UNIT) }.is_ok() {
                (from..to).for_each(|unit| set_bit(&self.committed, unit, false));
                self.committed_units.set(self.committed_units.get() - (to - from));
                gone += (to - from) * (UNIT + size_of::<Bits>());
                self.discard_remote_bits(from..to);
            }
            unit = end;
        }
        gone
    }

    /// The bits of free units are all zero, as is what the system finds for memory that is dropped.
    fn discard_remote_bits(&self, units: core::ops::Range<usize>) {
        let at = |unit: usize| core::mem::offset_of!(Self, remote_bits) + unit * size_of::<Bits>();
        let page = page_size();
        let (from, to) = (at(units.start).next_multiple_of(page), at(units.end) / page * page);
        if from < to {
            // SAFETY: zeroes are what they hold, and nobody has a block whose bit would be set meanwhile.
            let _gone = unsafe { self.region().discard(from, to - from) };
        }
    }

    /// Remembers which units are free at this moment.
    pub(crate) fn age(&self) {
        self.aged.iter().zip(&self.free).for_each(|(aged, free)| aged.set(free.get()));
    }

    /// Drops the contents of bytes of the arena, whole OS pages. False: the system refuses.
    ///
    /// # Safety
    /// Nobody relies on the contents or borrows them.
    pub(crate) unsafe fn discard(&self, bytes: core::ops::Range<usize>) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.region().discard(bytes.start, bytes.len()) }.is_ok()
    }

    /// Makes a unit fault, whatever it is used for. False: the system refuses.
    pub(crate) fn protect_unit(&self, unit: usize) -> bool {
        // SAFETY: a unit that was just taken, or is given up: nobody has a block in it.
        unsafe { self.region().decommit(unit * UNIT, UNIT) }.is_ok()
    }

    /// Ends that. False: the system refuses.
    pub(crate) fn unprotect_unit(&self, unit: usize) -> bool {
        self.region().commit(unit * UNIT, UNIT).is_ok()
    }

    /// The addresses of the arena.
    pub(crate) fn address_range(&self) -> core::ops::Range<usize> {
        let base = self.region().as_ptr().addr().get();
        base..base + SEGMENT_BYTES
    }

    /// The most units that are free in a row.
    pub(crate) fn longest_free_run(&self) -> usize {
        let (mut longest, mut run) = (0, 0);
        for unit in HEADER_UNITS..UNITS_PER_SEGMENT {
            run = if is_set(&self.free, unit) { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        longest
    }

    /// Units that are free.
    pub(crate) fn free_unit_count(&self) -> usize {
        self.free.iter().map(|word| word.get().count_ones() as usize).sum()
    }

    /// Bytes that are committed and not dry, the tables' among them, and the bits of committed units.
    pub(crate) fn committed_bytes(&self) -> usize {
        (self.committed_units.get() * (UNIT + size_of::<Bits>()))
            .saturating_sub(self.purged_bytes.load(Ordering::Relaxed))
    }
}

/// Sets the owner word of every unit of a slab.
pub(crate) fn set_slab_owner(slab: &Slab, holder: usize) {
    let Some(start) = NonNull::new(slab.start()) else { return };
    // SAFETY: a slab lies in a segment of a live heap.
    let segment = unsafe { segment_of(start).as_ref() };
    let (first, class) = (unit_of(start), usize::from(slab.class.get()));
    for offset in 0..usize::from(slab.units.get()) {
        segment.set_owner(first + offset, OwnerWord::new(holder, class, offset));
    }
}

fn is_set(bits: &[Cell<u64>; BITMAP_WORDS], at: usize) -> bool {
    bits[at / 64].get() >> (at % 64) & 1 == 1
}

fn set_bit(bits: &[Cell<u64>; BITMAP_WORDS], at: usize, value: bool) {
    let (word, bit) = (&bits[at / 64], 1 << (at % 64));
    word.set(if value { word.get() | bit } else { word.get() & !bit });
}
