//! A segment: 256 MiB of addresses, aligned to 256 MiB, cut into units of 64 KiB (mimalloc:
//! segment and slices).
//!
//! The start of a block's segment is its address with the low bits cleared. The metadata there
//! says for each unit which thread heap owns its slab and where the slab begins. Memory is
//! committed as units are allocated.
#![expect(unsafe_code, reason = "keeps metadata at the start of a region")]

use crate::heap::geometry::{SEGMENT_BYTES, UNIT, UNITS_PER_SEGMENT};
use crate::heap::hardened::misuse::Misuse;
use crate::heap::owner::OwnerWord;
use crate::heap::remote_free::{PushResult, RemoteFreeBits};
use crate::heap::segment::free_unit_stack::FreeUnitStack;
use crate::heap::segment::segment_map;
use crate::heap::slab::block_geometry::BlockGeometry;
use crate::heap::slab::slab::{ListKind, Slab};
use crate::util::sync::AtomicU64;
use crate::util::sync::plain::{AtomicUsize, Ordering};
use arenite_pages::{Region, RegionOptions, page_size};
use core::cell::Cell;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;

/// Units that the metadata occupies.
pub(crate) const HEADER_UNITS: usize = size_of::<Segment>().div_ceil(UNIT);
/// Units of the metadata that count as committed from the start. The remote-free words of a unit
/// count with the unit.
const HEADER_COMMITTED_UNITS: usize = core::mem::offset_of!(Segment, remote_bits).div_ceil(UNIT);
/// The remote-free words of a unit, which has at most 8192 blocks.
type Bits = [AtomicU64; UNIT / 8 / 64];
/// Number of units committed at once: 2 MiB, a huge page.
const COMMIT_STEP_UNITS: usize = 32;
/// Number of committed units from which on a heap advises huge pages: 64 MiB. Small programs stay
/// small.
const HUGE_FROM_UNITS: usize = 1024;
const BITMAP_WORDS: usize = UNITS_PER_SEGMENT / 64;
/// Offset of the owner words in a segment. The header of a large block has zeroes there.
pub(crate) const OWNERS_OFFSET: usize = core::mem::offset_of!(Segment, owners);
/// Offset of the end of the owner words.
pub(crate) const OWNERS_END: usize = OWNERS_OFFSET + UNITS_PER_SEGMENT * size_of::<AtomicUsize>();

/// The time at which a segment advises huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HugePolicy {
    /// When it is reserved: the heap is large already.
    Immediate,
    /// When it is large itself.
    WhenLarge,
    /// Not at all.
    Never,
}

/// The kind of metadata at a multiple of 256 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WindowKind {
    /// No metadata yet: zeroed memory.
    #[expect(dead_code, reason = "the value of zeroed memory")]
    Empty = 0,
    /// A segment of slabs and spans.
    Segment = 1,
    /// A large block. Its header is the metadata; the owner words are zero.
    LargeBlock = 2,
}

/// The metadata at the start of a segment. Zeroed memory is valid metadata without slabs.
#[repr(C, align(4096))]
pub(crate) struct Segment {
    /// Kind of this window: segment or large block.
    pub(crate) kind: Cell<WindowKind>,
    /// Next segment of the heap, under the heap's lock.
    pub(crate) next: Cell<Option<NonNull<Segment>>>,
    region: ManuallyDrop<MaybeUninit<Region>>,
    /// A bit per free unit, under the heap's lock.
    free: [Cell<u64>; BITMAP_WORDS],
    committed: [Cell<u64>; BITMAP_WORDS],
    /// Single units that were freed most recently.
    recent_units: FreeUnitStack,
    /// A bit per unit that was free at the last tick and was not allocated since.
    aged: [Cell<u64>; BITMAP_WORDS],
    /// Number of committed units.
    committed_units: Cell<usize>,
    /// Whether huge pages were advised, or never will be.
    huge_decided: Cell<bool>,
    /// Whether huge pages may be present.
    huge: Cell<bool>,
    /// Bytes of purged slots, changed by the owners of their slabs.
    pub(crate) purged_bytes: AtomicUsize,
    /// For each unit: which of its slots are purged, see `purge`; changed by the slab's owner.
    pub(crate) purged: [Cell<u16>; UNITS_PER_SEGMENT],
    /// The owner word of each unit.
    owners: [AtomicUsize; UNITS_PER_SEGMENT],
    /// For the first unit of each slab: which groups of its remote-free words have bits.
    pub(crate) remote: [RemoteFreeBits; UNITS_PER_SEGMENT],
    pub(crate) slabs: [Slab; UNITS_PER_SEGMENT],
    /// For the first unit of each slab: its block geometry, for threads that do not own it. Written
    /// under the heap's lock before a block of the slab is allocated, and unchanged while one
    /// lives.
    geometries: [Cell<BlockGeometry>; UNITS_PER_SEGMENT],
    /// For the first unit of each slab: a bit per block that another thread freed, see `remote`.
    /// The system backs the words when they are touched.
    remote_bits: [Bits; UNITS_PER_SEGMENT],
}

impl core::fmt::Debug for Segment {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Segment").field("free_units", &self.free_unit_count()).finish_non_exhaustive()
    }
}

/// Returns the start of the segment of a block. Has no test for null, unlike [`segment_of`].
#[inline(always)]
pub(crate) fn segment_base(block: NonNull<u8>) -> *const Segment {
    block.as_ptr().map_addr(|address| address & !(SEGMENT_BYTES - 1)).cast()
}

/// Returns the segment that an address would lie in: the start of its window of 256 MiB.
#[inline(always)]
pub(crate) fn segment_of(block: NonNull<u8>) -> NonNull<Segment> {
    let base = block.as_ptr().map_addr(|address| address & !(SEGMENT_BYTES - 1));
    NonNull::new(base.cast()).unwrap_or(NonNull::dangling())
}

/// Returns the unit of its segment that an address lies in.
#[inline(always)]
pub(crate) fn unit_of(block: NonNull<u8>) -> usize {
    (block.addr().get() & (SEGMENT_BYTES - 1)) / UNIT
}

/// Returns the owner word of a block's unit; [`OwnerWord::NONE`] for a large block.
///
/// # Safety
/// A live block of some heap: its window begins with a segment or with the header of a large
/// block.
#[inline(always)]
pub(crate) unsafe fn owner_of(block: NonNull<u8>) -> OwnerWord {
    let offset = OWNERS_OFFSET + unit_of(block) * size_of::<AtomicUsize>();
    let entry = segment_base(block).wrapping_byte_add(offset).cast::<AtomicUsize>();
    // SAFETY: both are committed, aligned and zero or an owner word there, and used as atomics
    // alone.
    OwnerWord::from_raw(unsafe { &*entry }.load(Ordering::Relaxed))
}

/// Returns what begins at the multiple of 256 MiB before a block.
///
/// # Safety
/// As [`owner_of`].
pub(crate) unsafe fn window_kind(block: NonNull<u8>) -> WindowKind {
    // SAFETY: the first field of both, written before the block was allocated, unchanged while it
    // lives.
    unsafe { segment_of(block).cast::<WindowKind>().read() }
}

impl Segment {
    /// Reserves a segment. Returns `None` if there are no addresses, or no memory for its metadata.
    /// O(units).
    pub(crate) fn reserve(huge: HugePolicy) -> Option<NonNull<Self>> {
        let region = RegionOptions::new()
            .with_label("heap")
            .with_alignment(SEGMENT_BYTES)
            .reserve(SEGMENT_BYTES)
            .ok()?;
        region.commit(0, HEADER_UNITS * UNIT).ok()?;
        let base: NonNull<Self> = region.as_ptr().cast();
        // SAFETY: the metadata's units are committed, zeroed, aligned and known to this call alone.
        // Zeroes are valid: cells of integers, null pointers, `WindowKind::Empty`,
        // `ListKind::None`, `None`, and a region that may be uninitialized.
        let segment = unsafe { base.as_ref() };
        segment.kind.set(WindowKind::Segment);
        for unit in HEADER_UNITS..UNITS_PER_SEGMENT {
            set_bit(&segment.free, unit, true);
        }
        (0..HEADER_UNITS).for_each(|unit| set_bit(&segment.committed, unit, true));
        segment.committed_units.set(HEADER_COMMITTED_UNITS);
        let slot: *mut MaybeUninit<Region> =
            base.as_ptr().cast::<u8>().wrapping_add(core::mem::offset_of!(Self, region)).cast();
        // SAFETY: a field of the new segment, which has no reader yet.
        unsafe { slot.write(MaybeUninit::new(region)) };
        segment_map::set(base.addr().get(), true);
        match huge {
            HugePolicy::Immediate => segment.advise_huge_from(HEADER_UNITS),
            HugePolicy::WhenLarge => {}
            HugePolicy::Never => segment.huge_decided.set(true),
        }
        Some(base)
    }

    /// Releases the segment.
    ///
    /// # Safety
    /// No byte of it is used afterwards, its metadata included.
    pub(crate) unsafe fn release(this: NonNull<Self>) {
        segment_map::set(this.addr().get(), false);
        let slot: *const Region =
            this.as_ptr().cast::<u8>().wrapping_add(core::mem::offset_of!(Self, region)).cast();
        // SAFETY: `reserve` wrote it, and it is read once: the segment is not used afterwards.
        let region = unsafe { slot.read() };
        drop(region);
    }

    fn region(&self) -> &Region {
        // SAFETY: `reserve` wrote it before it returned the segment.
        unsafe { self.region.assume_init_ref() }
    }

    /// Returns the first byte of a unit.
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

    /// Initializes the units from `first` on as a slab of a class, or a span.
    pub(crate) fn init_slab(
        &self,
        first: usize,
        units: usize,
        class: usize,
        block: usize,
        bitmap: bool,
    ) -> &Slab {
        let slab = &self.slabs[first];
        // the metadata of an equal slab is still valid
        if slab.matches(units, class, block) {
            debug_assert!(slab.list.get() == ListKind::None && slab.next.get().is_null(), "it left its list");
            slab.reset();
        } else {
            self.geometries[first].set(slab.init(self.unit_start(first), units, class, block, bitmap));
        }
        slab
    }

    /// Returns the index of the block that begins at an address in the slab at the unit `first`,
    /// and the geometry of the slab.
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

    /// Returns the class of the slab at the unit `first`.
    pub(crate) fn class_at(&self, first: usize) -> usize {
        self.geometries[first].get().class()
    }

    /// Frees blocks of one bitmap word of a slab for its owner, from another thread.
    pub(crate) fn push_remote(&self, first: usize, word: usize, bits: u64) -> PushResult {
        self.remote[first].push(&self.remote_bits[first], word, bits)
    }

    /// Returns how many blocks of a slab other threads freed. O(words with bits).
    pub(crate) fn remote_count(&self, first: usize) -> u32 {
        self.remote[first].count(&self.remote_bits[first])
    }

    /// Removes the blocks that other threads freed, from the last word to the first. `visit` gets
    /// the first block of each word and its bits. `scan_all`: see [`RemoteFreeBits::drain`].
    #[inline]
    pub(crate) fn drain_remote(&self, first: usize, scan_all: bool, visit: impl FnMut(usize, u64)) {
        if scan_all || !self.remote[first].is_empty() {
            let words =
                (self.slabs[first].capacity() as usize).div_ceil(64).min(self.remote_bits[first].len());
            self.remote[first].drain(&self.remote_bits[first][..words], scan_all, visit);
        }
    }

    /// Allocates `count` free units in a row, the first a multiple of `step`, and commits them.
    /// Returns the first one's number.
    pub(crate) fn alloc_units(&self, count: usize, step: usize) -> Option<usize> {
        let first = self.find_units(count, step)?;
        self.commit(first, count)?;
        self.mark_allocated(first..first + count);
        Some(first)
    }

    /// Allocates the `count` units at `first` and commits them, if all of them are free.
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
            // up to what is committed already, in steps of huge pages, within the segment
            let target = (first + count).next_multiple_of(COMMIT_STEP_UNITS).min(UNITS_PER_SEGMENT);
            let end = (unit..target).find(|&unit| is_set(&self.committed, unit)).unwrap_or(target);
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

    /// Advises huge pages from a unit on.
    #[cold]
    fn advise_huge_from(&self, unit: usize) {
        self.huge_decided.set(true);
        self.huge.set(true);
        let from = unit.next_multiple_of(COMMIT_STEP_UNITS);
        // a kernel without huge pages rejects the advice; the segment then has small OS pages
        let _advised: Result<(), _> =
            self.region().advise_huge(from * UNIT, SEGMENT_BYTES - from * UNIT, true);
    }

    /// Sets whether the segment may advise huge pages later.
    pub(crate) fn allow_huge_advice(&self, may: bool) {
        self.huge_decided.set(!may || self.huge.get());
    }

    /// Frees units. Their memory stays committed.
    pub(crate) fn free_units(&self, first: usize, count: usize) {
        (first..first + count).for_each(|unit| set_bit(&self.free, unit, true));
        if count == 1 {
            self.recent_units.push(first);
        }
    }

    /// Returns the memory of free units to the system: of all, or of those that were free at the
    /// last tick too. Returns the bytes.
    pub(crate) fn decommit_free(&self, aged: bool) -> usize {
        let mut discarded = 0;
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
            // The decay returns whole huge pages alone: splitting one costs more than it returns.
            let whole = aged && self.huge.get();
            let (from, to) = if whole {
                (unit.next_multiple_of(COMMIT_STEP_UNITS), end / COMMIT_STEP_UNITS * COMMIT_STEP_UNITS)
            } else {
                (unit, end)
            };
            // A discard, not a decommit: a decommit splits the mapping, and a process has 65,530.
            // SAFETY: free units, under the heap's lock: no block lies in them.
            if from < to && unsafe { self.region().discard(from * UNIT, (to - from) * UNIT) }.is_ok() {
                (from..to).for_each(|unit| set_bit(&self.committed, unit, false));
                self.committed_units.set(self.committed_units.get() - (to - from));
                discarded += (to - from) * (UNIT + size_of::<Bits>());
                self.discard_remote_bits(from..to);
            }
            unit = end;
        }
        discarded
    }

    /// Returns the OS pages of the remote-free words of free units, all of which are zero, as fresh
    /// memory is.
    fn discard_remote_bits(&self, units: core::ops::Range<usize>) {
        let at = |unit: usize| core::mem::offset_of!(Self, remote_bits) + unit * size_of::<Bits>();
        let page = page_size();
        let (from, to) = (at(units.start).next_multiple_of(page), at(units.end) / page * page);
        if from < to {
            // SAFETY: the words are zero, and no live block's bit lies there.
            let _gone = unsafe { self.region().discard(from, to - from) };
        }
    }

    /// Notes which units are free at this tick.
    pub(crate) fn age(&self) {
        self.aged.iter().zip(&self.free).for_each(|(aged, free)| aged.set(free.get()));
    }

    /// Discards the contents of whole OS pages of the segment. Returns whether the system did.
    ///
    /// # Safety
    /// The contents are not needed, and not borrowed.
    pub(crate) unsafe fn discard(&self, bytes: core::ops::Range<usize>) -> bool {
        // SAFETY: the caller guarantees that the contents are not needed.
        unsafe { self.region().discard(bytes.start, bytes.len()) }.is_ok()
    }

    /// Makes every access to a unit fault. Returns whether the system did.
    pub(crate) fn protect_unit(&self, unit: usize) -> bool {
        // SAFETY: a unit that was just allocated, or is being freed: no block lies in it.
        unsafe { self.region().decommit(unit * UNIT, UNIT) }.is_ok()
    }

    /// Makes a unit accessible again. Returns whether the system did.
    pub(crate) fn unprotect_unit(&self, unit: usize) -> bool {
        self.region().commit(unit * UNIT, UNIT).is_ok()
    }

    /// Returns the addresses of the segment.
    pub(crate) fn address_range(&self) -> core::ops::Range<usize> {
        let base = self.region().as_ptr().addr().get();
        base..base + SEGMENT_BYTES
    }

    /// Returns the longest run of free units.
    pub(crate) fn longest_free_run(&self) -> usize {
        let (mut longest, mut run) = (0, 0);
        for unit in HEADER_UNITS..UNITS_PER_SEGMENT {
            run = if is_set(&self.free, unit) { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        longest
    }

    /// Returns the number of free units.
    pub(crate) fn free_unit_count(&self) -> usize {
        self.free.iter().map(|word| word.get().count_ones() as usize).sum()
    }

    /// Returns the bytes committed and not purged: units, their remote-free words, and the
    /// metadata.
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
