//! A large block: a header and the block, in a region of its own.
//!
//! The block begins 2 MiB into its region, on huge pages, with more addresses behind it than it
//! needs. It grows in place; when the addresses end, its OS pages move to a larger region without
//! a copy. A freed block is cached with its memory, so a program that allocates and frees the same
//! tensor faults its OS pages once. A cached block that is too large for a request donates OS
//! pages at the same offset. So a block that grows again finds them in the same order, as one
//! mapping.
#![expect(unsafe_code, reason = "keeps a header at the start of a region")]

use crate::heap::geometry::SEGMENT_BYTES;
use crate::heap::segment::segment::{OWNERS_END, OWNERS_OFFSET, WindowKind};
use crate::heap::segment::segment_map;
use arenite_pages::{HUGE_PAGE, Region, RegionOptions, page_size};
use core::cell::Cell;
use core::ptr::NonNull;

/// Offset of the block in its region.
pub(crate) const DATA_OFFSET: usize = HUGE_PAGE;

/// The header of a large block. The first field is that of a [`Segment`]; the owner words of a
/// segment are zero here.
#[repr(C)]
pub(crate) struct LargeHeader {
    kind: Cell<WindowKind>,
    /// Next block in the list of cached or live blocks, under the heap's lock.
    pub(crate) next: Cell<Option<NonNull<LargeHeader>>>,
    /// Previous live block, under the heap's lock.
    pub(crate) previous: Cell<Option<NonNull<LargeHeader>>>,
    /// Tick at which the block was freed; 0 while it is live.
    pub(crate) freed_at_tick: Cell<u64>,
    /// Committed bytes from the block's start on, whole OS pages.
    pub(crate) committed: Cell<usize>,
    /// Committed bytes that were donated to other blocks, from the start on; 0 while the block is
    /// live.
    pub(crate) donated: Cell<usize>,
    /// Address of the region that donated OS pages to this block.
    pub(crate) donor_address: Cell<usize>,
    pub(crate) region: Region,
}

// reading the owner words of a large block finds zeroes behind this header
const _: () = assert!(size_of::<LargeHeader>() <= OWNERS_OFFSET);

/// A block whose memory is gone.
#[derive(Debug)]
pub(crate) struct PagesLost;

impl core::fmt::Debug for LargeHeader {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("LargeHeader").field("committed", &self.committed.get()).finish_non_exhaustive()
    }
}

impl LargeHeader {
    /// Reserves a zeroed block of at least `size` bytes; with `huge`, on huge pages where the
    /// system has them.
    pub(crate) fn reserve(size: usize, huge: bool) -> Option<NonNull<Self>> {
        let rounded = size.checked_next_multiple_of(page_size())?;
        // addresses to grow into, if there are enough
        let preferred = rounded.checked_mul(2)?.checked_add(64 << 20)?.checked_add(DATA_OFFSET)?;
        let required = rounded.checked_add(DATA_OFFSET)?;
        let reserve =
            |len| RegionOptions::new().with_label("heap block").with_alignment(SEGMENT_BYTES).reserve(len);
        let region = reserve(preferred).or_else(|_| reserve(required)).ok()?;
        // enough for a reader of the owner words
        let header = OWNERS_END.next_multiple_of(page_size());
        region.commit(0, header).ok()?;
        if huge {
            // a kernel without huge pages rejects the advice; the block then has small OS pages
            let _advised: Result<(), _> = region.advise_huge(DATA_OFFSET, region.len() - DATA_OFFSET, true);
        }
        region.commit(DATA_OFFSET, rounded).ok()?;
        let base: NonNull<Self> = region.as_ptr().cast();
        let large = Self {
            kind: Cell::new(WindowKind::LargeBlock),
            next: Cell::new(None),
            previous: Cell::new(None),
            freed_at_tick: Cell::new(0),
            committed: Cell::new(rounded),
            donated: Cell::new(0),
            donor_address: Cell::new(0),
            region,
        };
        // SAFETY: the start of the region: committed, aligned, and known to this call alone.
        unsafe { base.write(large) };
        segment_map::set(base.addr().get(), true);
        Some(base)
    }

    /// Releases the region.
    ///
    /// # Safety
    /// The block and its header are not used afterwards.
    pub(crate) unsafe fn release(this: NonNull<Self>) {
        segment_map::set(this.addr().get(), false);
        // SAFETY: `reserve` wrote the header, it is read once, and by the clause it is not used
        // afterwards.
        let large = unsafe { this.read() };
        drop(large.region);
    }

    pub(crate) fn data(this: NonNull<Self>) -> NonNull<u8> {
        this.cast::<u8>().map_addr(|address| address.saturating_add(DATA_OFFSET))
    }

    /// Returns the bytes that the block holds.
    pub(crate) fn committed(&self) -> usize {
        self.committed.get() - self.donated.get()
    }

    /// Returns whether the block is free and cached.
    pub(crate) fn is_cached(&self) -> bool {
        self.freed_at_tick.get() != 0
    }

    /// Returns the committed addresses, the header's included.
    pub(crate) fn address_range(&self) -> core::ops::Range<usize> {
        let base = self.region.as_ptr().addr().get();
        base..base + DATA_OFFSET + self.committed.get()
    }

    /// Grows the block to at least `size` bytes in place. Returns whether there were addresses and
    /// memory.
    pub(crate) fn grow_in_place(&self, size: usize) -> bool {
        let Some(rounded) = size.checked_next_multiple_of(page_size()) else { return false };
        let now = self.committed.get();
        if rounded <= now {
            return true;
        }
        let fits = rounded <= self.region.len() - DATA_OFFSET
            && self.region.commit(DATA_OFFSET + now, rounded - now).is_ok();
        if fits {
            self.committed.set(rounded);
        }
        fits
    }

    /// Moves the contents of `from` here: its OS pages if they are one mapping, else a copy.
    ///
    /// # Errors
    /// This block has no memory any more and must be released. `from` is unchanged.
    ///
    /// # Safety
    /// No one uses either block meanwhile. `from` is released afterwards if this succeeds.
    pub(crate) unsafe fn move_contents_from(&self, from: &Self) -> Result<(), PagesLost> {
        let size = from.committed.get().min(self.committed.get());
        // SAFETY: the clause covers the bytes; both ranges are committed parts of two regions.
        if unsafe { from.region.remap(DATA_OFFSET, size, &self.region, DATA_OFFSET) }.is_ok() {
            return Ok(());
        }
        // a failed remap may have made the range inaccessible
        if self.region.is_poisoned() || self.region.commit(DATA_OFFSET, size).is_err() {
            return Err(PagesLost);
        }
        let start = |large: &Self| large.region.as_ptr().as_ptr().wrapping_add(DATA_OFFSET);
        // SAFETY: both blocks have that many committed bytes, in two regions; the clause covers
        // their use.
        unsafe { core::ptr::copy_nonoverlapping(start(from), start(self), size) };
        Ok(())
    }

    /// Replaces the memory from `at` on by the OS pages of `donor`, as far as this block goes.
    /// Nothing changes if the donor lacks these OS pages, if they would not be one mapping with
    /// those before, or if the system refuses.
    ///
    /// # Errors
    /// This block has no memory from `at` on.
    ///
    /// # Safety
    /// No one uses the bytes of either block from `at` on, and the caller alone has `donor`.
    pub(crate) unsafe fn move_pages_from(&self, donor: &Self, at: usize) -> Result<(), PagesLost> {
        let end = self.committed.get();
        let donor_address = donor.region.as_ptr().addr().get();
        let follows = donor.donated.get() == at && (at == 0 || self.donor_address.get() == donor_address);
        if !follows || at >= end || donor.committed.get() < end {
            return Ok(());
        }
        // SAFETY: the clause covers the bytes; both ranges are committed parts of two regions.
        let moved = unsafe {
            donor.region.remap_replacing(DATA_OFFSET + at, end - at, &self.region, DATA_OFFSET + at)
        };
        if moved.map_err(|_| PagesLost)? {
            donor.donated.set(end);
            self.donor_address.set(donor_address);
        }
        Ok(())
    }

    /// Notes that the OS pages of `header` will be the beginning of this block.
    pub(crate) fn continue_from(&self, header: &Self) {
        self.donor_address.set(header.donor_address.get());
    }

    /// Forgets the bytes behind the first `size`, whose memory is gone.
    pub(crate) fn drop_tail(&self, size: usize) {
        self.committed.set(size);
    }

    /// Commits fresh memory for donated OS pages. Returns whether there was any.
    pub(crate) fn repair(&self) -> bool {
        let donated = self.donated.get();
        let repaired = donated == 0 || self.region.commit(DATA_OFFSET, donated).is_ok();
        if repaired {
            self.donated.set(0);
        }
        repaired
    }
}
