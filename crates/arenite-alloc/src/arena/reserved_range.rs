//! A source of one reserved range, committed as the arena grows.
//!
//! The range never moves and has no gaps: a position is one address, a mark is an offset, and
//! nothing is searched.
#![expect(unsafe_code, reason = "decommits what lies above the arena's position")]

use super::chunk_source::{BumpRange, Chunk, ChunkSource, GRANULE, sealed::Sealed};
use arenite_core::{AllocErrorKind, Bytes, Label};
use arenite_pages::{HUGE_PAGE, HugePageUsage, Region, page_size};
use core::alloc::Layout;
use core::cell::{Cell, OnceCell};

/// The use of huge pages by an arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// From the second 2 MiB on: a small arena stays small, a large one has 512 times fewer page
    /// faults.
    #[default]
    Auto,
    /// From the first byte on.
    Always,
    /// Never.
    Never,
}

/// One range of address space, reserved by the first allocation and committed piece by piece.
#[derive(Debug)]
pub struct ReservedRange {
    region: OnceCell<Region>,
    committed: Cell<usize>,
    capacity: Cell<usize>,
    exact: bool,
    huge: HugePages,
}

/// Default size of the range.
const DEFAULT_RESERVE: Bytes = Bytes::gib(64);
/// Minimum size of the range without a capacity.
const MIN_RESERVE: Bytes = Bytes::mib(64);
/// Minimum number of bytes that are committed at once.
const MIN_COMMIT_BYTES: usize = 256 << 10;

impl ReservedRange {
    /// Makes a range of `capacity` bytes, or without a capacity of as many addresses as the process
    /// may map, 64 GiB at most.
    pub(crate) const fn new(capacity: Option<usize>, huge: HugePages) -> Self {
        let (capacity, exact) = match capacity {
            Some(capacity) => (capacity, true),
            None => (DEFAULT_RESERVE.0, false),
        };
        Self { region: OnceCell::new(), committed: Cell::new(0), capacity: Cell::new(capacity), exact, huge }
    }

    /// Reads how much of the range is in memory, and how much of that on huge pages.
    pub(crate) fn huge_report(&self) -> std::io::Result<HugePageUsage> {
        self.region.get().map_or(Ok(HugePageUsage::default()), Region::huge_report)
    }

    /// Reserves the range: all of a given capacity, or as much of the default as the process may
    /// map.
    fn reserve(&self, need: usize, label: Label) -> Result<&Region, AllocErrorKind> {
        if let Some(region) = self.region.get() {
            return Ok(region);
        }
        let mut size = self.capacity.get();
        let region = loop {
            match Region::reserve(size.max(1), label) {
                Ok(region) => break region,
                Err(_) if !self.exact && size / 2 >= need.max(MIN_RESERVE.0) => size /= 2,
                Err(error) => return Err(error.alloc_kind()),
            }
        };
        self.advise(&region);
        if !self.exact {
            self.capacity.set(region.len());
        }
        Ok(self.region.get_or_init(|| region))
    }

    /// Requests huge pages. If the system rejects the advice, ordinary OS pages work as well.
    fn advise(&self, region: &Region) {
        let from = match self.huge {
            HugePages::Auto => HUGE_PAGE,
            HugePages::Always => 0,
            HugePages::Never => return,
        };
        if region.len() > from {
            let _advised: Result<(), _> = region.advise_huge(from, region.len() - from, true);
        }
    }

    /// Returns how far to commit so that `end` bytes are committed. A step is at least 256 KiB, or
    /// an eighth of the committed bytes. It consists of entire huge pages if those are requested.
    fn commit_target(&self, end: usize, region_len: usize) -> usize {
        let step = MIN_COMMIT_BYTES.max(self.committed.get() / 8);
        let target = end.max(self.committed.get().saturating_add(step));
        let huge = match self.huge {
            HugePages::Auto => target > HUGE_PAGE,
            HugePages::Always => true,
            HugePages::Never => false,
        };
        let granule = if huge { HUGE_PAGE } else { page_size() };
        target.checked_next_multiple_of(granule).map_or(region_len, |target| target.min(region_len))
    }

    fn range(&self) -> BumpRange {
        match self.region.get() {
            Some(region) => {
                let floor = region.as_ptr().as_ptr();
                let usable = self.committed.get().min(self.capacity.get()) & !(GRANULE - 1);
                BumpRange { floor, limit: floor.wrapping_add(usable), before: 0 }
            }
            None => BumpRange::EMPTY,
        }
    }
}

impl Sealed for ReservedRange {}

impl ChunkSource for ReservedRange {
    fn grow(
        &self,
        cursor: &Cell<*mut u8>,
        layout: Layout,
        label: Label,
    ) -> Result<BumpRange, AllocErrorKind> {
        let cursor = cursor.get();
        let need = layout.size().saturating_add(layout.align()).saturating_add(GRANULE);
        if self.exact && layout.size() > self.capacity.get() {
            return Err(AllocErrorKind::CapacityReached);
        }
        let committed = self.committed.get();
        let region = self.reserve(need, label)?;
        let base = region.as_ptr().as_ptr();
        let len = region.len();
        let used = if cursor.is_null() { 0 } else { cursor.addr() - base.addr() };
        let padding = base.addr().wrapping_add(used).wrapping_neg() & (layout.align() - 1);
        let size = layout.size().max(1).checked_next_multiple_of(GRANULE);
        let end = size.and_then(|size| size.checked_add(used)).and_then(|end| end.checked_add(padding));
        let end = end.filter(|&end| end <= self.capacity.get()).ok_or(AllocErrorKind::CapacityReached)?;
        if end > committed {
            // A larger commit must not fail if the required one succeeds.
            let target = self.commit_target(end, len);
            let required =
                end.checked_next_multiple_of(page_size()).map_or(len, |required| required.min(len));
            let got = match region.commit(committed, target - committed) {
                Ok(()) => target,
                Err(_) => {
                    region.commit(committed, required - committed).map_err(|error| error.alloc_kind())?;
                    required
                }
            };
            self.committed.set(got);
        }
        Ok(self.range())
    }

    fn current(&self) -> usize {
        0
    }

    fn rewind(&self, _index: usize) -> BumpRange {
        self.range()
    }

    fn position_in_earlier_chunk(&self, _address: *const u8) -> Option<usize> {
        None
    }

    fn held(&self) -> usize {
        self.committed.get()
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.capacity.get())
    }

    fn trim(&self, cursor: &Cell<*mut u8>, target_held: usize) -> (usize, BumpRange) {
        let Some(region) = self.region.get() else { return (0, BumpRange::EMPTY) };
        let (cursor, committed) = (cursor.get(), self.committed.get());
        let used = if cursor.is_null() { 0 } else { cursor.addr() - region.as_ptr().as_ptr().addr() };
        let keep = used.max(target_held).checked_next_multiple_of(page_size()).unwrap_or(committed);
        if keep >= committed {
            return (0, self.range());
        }
        let released = committed - keep;
        // SAFETY: everything from `keep` on lies above the arena's position: no block is there, and
        // the arena commits before it allocates above its range's limit.
        match unsafe { region.decommit(keep, released) } {
            Ok(()) => {
                self.committed.set(keep);
                (released, self.range())
            }
            Err(_) => (0, self.range()),
        }
    }

    fn chunks(&self, cursor: *mut u8, visit: &mut dyn FnMut(Chunk)) {
        if let Some(region) = self.region.get() {
            let data = region.as_ptr().as_ptr().cast_const();
            let used = if cursor.is_null() { 0 } else { cursor.addr() - data.addr() };
            visit(Chunk { data, size: self.committed.get(), used });
        }
    }
}
