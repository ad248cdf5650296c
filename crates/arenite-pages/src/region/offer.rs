//! Memory offered to the kernel, which may drop the contents when memory is short. On reclaim each
//! OS page is known to be kept or lost.
//!
//! `MADV_FREE` does not report what it dropped. So the first word of each OS page is saved here
//! and replaced by a tag that is not zero. Reclaim restores the word by one atomic exchange. The
//! exchange makes the OS page dirty, so the kernel cannot drop it any more, and returns the tag
//! (kept) or zero (lost). No moment lies between the two.
#![expect(unsafe_code, reason = "writes to pages that no other code uses")]

use super::Region;
use super::os_page::offset;
use super::residency::page_runs;
use crate::error::{RegionError, RegionOp};
use crate::os::{self, Advice, kind};
use crate::page_size;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use rustix::io::Errno;

/// Tag in the first word of an offered OS page.
const OFFER_MAGIC: u64 = 0x6f66_6665_7265_6421;

/// A range that the kernel may drop. If the `Offer` is dropped without [`Offer::reclaim`], the
/// contents are zeroes, or unchanged if the range was locked meanwhile.
#[derive(Debug)]
pub struct Offer<'r> {
    region: &'r Region,
    offered: Option<OfferedPages>,
}

/// An offered range of a region, as offsets, and the saved first words of its resident OS pages.
#[derive(Debug)]
pub(crate) struct OfferedPages {
    pub(crate) range: Range<usize>,
    words: Vec<(usize, u64)>,
    /// Reserved capacity for lost ranges: the reclaim may have no memory for it.
    lost: Vec<Range<usize>>,
}

/// Result of a reclaim. Ranges are offsets in the region, multiples of the OS page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reclaimed {
    /// Ranges whose contents were dropped; they read as zeroes. If memory for the list is short, a
    /// gap between two of them is listed as lost as well.
    pub lost: Vec<Range<usize>>,
    /// Bytes whose contents are unchanged.
    pub kept: usize,
}

impl Reclaimed {
    /// Returns whether nothing was dropped.
    #[must_use]
    pub fn all_kept(&self) -> bool {
        self.lost.is_empty()
    }
}

impl Region {
    /// Offers a committed range to the kernel, which drops its contents only when memory is short.
    /// Stores 16 bytes for each resident OS page.
    ///
    /// ```
    /// use arenite_pages::Region;
    /// let mut cache = Region::reserve(1 << 20, "cache")?;
    /// cache.commit(0, 1 << 20)?;
    /// cache.poke(0, b"costly to compute")?;
    /// // SAFETY: no other code uses the range until it is reclaimed.
    /// let offer = unsafe { cache.offer(0, 1 << 20) }?;
    /// // … memory may become short here …
    /// let back = offer.reclaim();
    /// if back.all_kept() {
    ///     assert_eq!(cache.peek(0, 17)?, b"costly to compute");
    /// } // else: compute again what lies in `back.lost`
    /// # Ok::<(), arenite_pages::RegionError>(())
    /// ```
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned, outside, locked or not committed for reading and
    /// writing.
    ///
    /// # Safety
    /// No code uses the range, or commits, decommits or protects a part of it, before it is
    /// reclaimed.
    pub unsafe fn offer(&self, from: usize, size: usize) -> Result<Offer<'_>, RegionError> {
        // SAFETY: the caller's guarantees are the same.
        let offered = unsafe { self.tag_pages(from, size) }?;
        Ok(Offer { region: self, offered: Some(offered) })
    }

    /// Tags the OS pages of a range and offers it.
    ///
    /// # Safety
    /// As [`Region::offer`], before [`Region::restore_pages`].
    pub(crate) unsafe fn tag_pages(&self, from: usize, size: usize) -> Result<OfferedPages, RegionError> {
        let start = self.range(RegionOp::Offer, from, size)?;
        self.check_accessible(RegionOp::Offer, from, size)?;
        let mut offered = OfferedPages { range: from..from + size, words: Vec::new(), lost: Vec::new() };
        let base = self.base.addr().get();
        let (page, all) = (page_size(), base + from..base + from + size);
        // memory is short when memory is offered: the list of 16 bytes per OS page is allocated
        // fallibly
        let list = |words: &mut Vec<(usize, u64)>, range: Range<usize>| {
            let reserved = words.try_reserve(range.len() / page).is_ok();
            if reserved {
                words.extend(range.step_by(page).map(|page| (page - base, 0)));
            }
            reserved
        };
        let mut listed = true;
        let scanned = page_runs(all.clone(), kind::PRESENT | kind::SWAPPED, |run| {
            listed = listed && (run.kinds & kind::ZERO != 0 || list(&mut offered.words, run.start..run.end));
        });
        if scanned.is_err() {
            offered.words.clear();
            listed = list(&mut offered.words, all);
        }
        if !listed || offered.lost.try_reserve_exact(1).is_err() {
            return Err(self.os_error(RegionOp::Offer, from, size, Errno::NOMEM));
        }
        for (at, word) in &mut offered.words {
            *word = self.word_at(*at).swap(OFFER_MAGIC, Relaxed);
        }
        // SAFETY: `range` checked the range; its contents may be dropped, as the caller wants.
        if let Err(errno) = unsafe { os::advise(start, size, Advice::Free) } {
            let _kept = self.restore_pages(offered);
            return Err(self.os_error(RegionOp::Offer, from, size, errno));
        }
        Ok(offered)
    }

    /// Restores every saved word, once. Returns the ranges that had lost their tag.
    pub(crate) fn restore_pages(&self, offered: OfferedPages) -> Reclaimed {
        let mut lost = offered.lost;
        for &(at, word) in &offered.words {
            if self.word_at(at).swap(word, Relaxed) == OFFER_MAGIC {
                continue;
            }
            // the OS page is fresh and zero: the restored word is not part of its contents
            self.word_at(at).store(0, Relaxed);
            let reserved = lost.try_reserve(1).is_ok();
            match lost.last_mut() {
                Some(last) if last.end == at || !reserved => last.end = at + page_size(),
                _ => lost.push(at..at + page_size()),
            }
        }
        let lost_bytes: usize = lost.iter().map(Range::len).sum();
        Reclaimed { lost, kept: offered.range.len() - lost_bytes }
    }

    /// Returns the first word of the committed OS page at `at`, which no other code uses.
    fn word_at(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at.is_multiple_of(page_size()) && at < self.len);
        // SAFETY: the word is aligned, and committed for reading and writing (checked by `offer`,
        // whose caller promised to leave it so). Only this module uses the word during the offer.
        // The region is borrowed for as long.
        unsafe { AtomicU64::from_ptr(offset(self.base, at).as_ptr().cast()) }
    }
}

impl Offer<'_> {
    /// Returns the range, as offsets in the region.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.offered.as_ref().map_or(0..0, |offered| offered.range.clone())
    }

    /// Reclaims the range, and returns for each OS page whether its contents were kept. O(resident
    /// OS pages).
    #[must_use]
    pub fn reclaim(mut self) -> Reclaimed {
        match self.offered.take() {
            Some(offered) => self.region.restore_pages(offered),
            None => Reclaimed { lost: Vec::new(), kept: 0 },
        }
    }
}

impl Drop for Offer<'_> {
    fn drop(&mut self) {
        if let Some(offered) = self.offered.take() {
            let (start, size) = (offered.range.start, offered.range.len());
            // SAFETY: the contents are not needed after the offer, and no code uses them.
            let dropped = unsafe { self.region.discard(start, size) };
            if dropped.is_err() {
                // locked since: an OS page that cannot be dropped gets its first word back
                let _kept = self.region.restore_pages(offered);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pages: usize) -> Region {
        let mut region = Region::reserve(pages * page_size(), "offered").unwrap();
        region.commit(0, region.len()).unwrap();
        for page in 0..pages {
            region.poke(page * page_size(), &[u8::try_from(page % 250).unwrap() + 1; 4096]).unwrap();
        }
        region
    }

    /// Returns whether the kernel drops `count` OS pages of an offered region from `first`. OS
    /// pages in another processor's batch cannot be dropped yet.
    fn drop_pages(region: &Region, first: usize, count: usize) -> bool {
        let (at, size) = (first * page_size(), count * page_size());
        let start = region.as_ptr().addr().get() + at;
        (0..100).any(|_| {
            region.page_out(at, size).unwrap();
            let dropped = crate::resident_bytes(start..start + size).unwrap() == 0;
            if !dropped {
                std::thread::sleep(core::time::Duration::from_millis(1));
            }
            dropped
        })
    }

    #[test]
    fn n20_n21_reclaim_reports_each_dropped_page() {
        let page = page_size();
        let region = filled(64);
        // SAFETY: no code uses the range.
        let offer = unsafe { region.offer(0, 64 * page) }.unwrap();
        // simulates memory pressure: offered OS pages are dropped
        let dropped = drop_pages(&region, 3, 2) && drop_pages(&region, 40, 1);
        let back = offer.reclaim();
        if !dropped {
            println!("skipped: this kernel did not drop offered pages on MADV_PAGEOUT");
            return;
        }
        assert_eq!(back.lost, [3 * page..5 * page, 40 * page..41 * page]);
        assert_eq!(back.kept, 61 * page);
        for at in 0..64 {
            let kept = ![3, 4, 40].contains(&at);
            let byte = if kept { u8::try_from(at).unwrap() + 1 } else { 0 };
            assert_eq!(region.peek(at * page, page).unwrap(), vec![byte; page], "page {at}");
        }
        // after reclaim the OS pages are ordinary again
        region.page_out(0, 3 * page).unwrap();
        assert_eq!(region.peek(0, 1).unwrap(), [1]);
    }

    #[test]
    fn n20_absent_pages_are_neither_offered_nor_lost() {
        let region = Region::reserve(1 << 20, "idle").unwrap();
        region.commit(0, 1 << 20).unwrap();
        // SAFETY: no code uses the range.
        let offer = unsafe { region.offer(0, 1 << 20) }.unwrap();
        assert_eq!(region.query(0).unwrap().resident, 0);
        let back = offer.reclaim();
        assert!(back.all_kept() && back.kept == 1 << 20);
    }

    #[test]
    fn n20_offer_dropped_while_locked_leaves_no_tag() {
        let region = filled(4);
        // SAFETY: no code uses the range.
        let offer = unsafe { region.offer(0, 4 * page_size()) }.unwrap();
        if let Err(error) = region.lock(0, page_size()) {
            return println!("skipped: {error}");
        }
        drop(offer);
        assert!([0, 1].contains(&region.peek(0, 1).unwrap()[0]));
    }

    #[test]
    fn n20_dropped_offer_discards_the_contents() {
        let region = filled(8);
        // SAFETY: no code uses the range.
        drop(unsafe { region.offer(0, 8 * page_size()) }.unwrap());
        assert_eq!(region.peek(0, 8).unwrap(), [0; 8]);
        // SAFETY: no code uses the range.
        assert!(unsafe { region.offer(0, 16 * page_size()) }.is_err());
    }
}
