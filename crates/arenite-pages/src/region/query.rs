//! State of a region in the kernel: which ranges are committed, accessible, in memory, on huge
//! pages.
//!
//! Reads `/proc/self/maps`, and the page tables (`PAGEMAP_SCAN` since Linux 6.7,
//! `/proc/self/smaps` before). Only committed ranges without access are known from this crate's
//! own list.

use super::residency::residency;
use super::{Protection, Region};
use crate::error::{RegionError, RegionErrorKind, RegionOp};
use crate::machine::procfs::maps;
use arenite_core::Label;
use core::ops::{ControlFlow, Range};
use rustix::io::Errno;

/// Backing of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PageStatus {
    /// Address space without backing.
    Reserved,
    /// Backed; the kernel populates an OS page at its first access.
    Committed,
}

/// A range of a region with one state. Offsets and sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionInfo {
    /// The region's first address.
    pub base: usize,
    /// The region's size.
    pub len: usize,
    /// The region's label.
    pub label: Label,
    /// The range, as offsets in the region.
    pub range: Range<usize>,
    /// Its backing.
    pub state: PageStatus,
    /// Protection of the range.
    pub protection: Protection,
    /// Bytes of the range in memory.
    pub resident: usize,
    /// Bytes of those on huge pages.
    pub huge: usize,
    /// Whether `/proc/PID/maps` shows the label.
    pub named: bool,
}

impl Region {
    /// Returns the range around `offset` with one state. Reads the process's mappings and, for
    /// committed memory, its page tables.
    ///
    /// ```
    /// use arenite_pages::{PageStatus, Protection, Region};
    /// let region = Region::reserve(1 << 20, "buffer")?;
    /// region.commit(0, 65_536)?;
    /// let info = region.query(100)?;
    /// assert_eq!((info.range, info.state), (0..65_536, PageStatus::Committed));
    /// assert_eq!(info.protection, Protection::ReadWrite);
    /// assert_eq!((region.query(65_536)?.state, info.resident), (PageStatus::Reserved, 0));
    /// # Ok::<(), arenite_pages::RegionError>(())
    /// ```
    ///
    /// # Errors
    /// [`RegionError`] if `offset` lies outside the region, or the kernel does not report it.
    pub fn query(&self, offset: usize) -> Result<RegionInfo, RegionError> {
        if offset >= self.len {
            return Err(self.error(RegionOp::Query, offset, 1, RegionErrorKind::OutOfRange));
        }
        let found =
            self.for_each_range(RegionOp::Query, 0..self.len, |info| match info.range.contains(&offset) {
                true => ControlFlow::Break(info),
                false => ControlFlow::Continue(()),
            });
        let ControlFlow::Break(mut info) = found? else {
            return Err(self.unknown(RegionOp::Query, offset));
        };
        self.count_pages(&mut info)?;
        Ok(info)
    }

    /// Returns all ranges of the region, in order.
    ///
    /// # Errors
    /// [`RegionError`] if the kernel does not report them.
    pub fn query_all(&self) -> Result<Vec<RegionInfo>, RegionError> {
        let mut ranges = Vec::new();
        let out_of_memory = RegionErrorKind::Os { errno: Errno::NOMEM.raw_os_error() };
        let all = self.for_each_range(RegionOp::Query, 0..self.len, |info| {
            if ranges.try_reserve(1).is_err() {
                return ControlFlow::Break(());
            }
            ranges.push(info);
            ControlFlow::Continue(())
        })?;
        if all.is_break() {
            return Err(self.error(RegionOp::Query, 0, self.len, out_of_memory));
        }
        ranges.iter_mut().try_for_each(|info| self.count_pages(info))?;
        Ok(ranges)
    }

    /// Rejects a range that is not committed from end to end.
    pub(super) fn check_committed(&self, op: RegionOp, at: usize, size: usize) -> Result<(), RegionError> {
        self.check_all(op, at, size, |info| info.state == PageStatus::Committed)
    }

    /// Rejects a range that is not readable and writable from end to end.
    pub(super) fn check_accessible(&self, op: RegionOp, at: usize, size: usize) -> Result<(), RegionError> {
        self.check_all(op, at, size, |info| info.protection == Protection::ReadWrite)
    }

    fn check_all(
        &self,
        op: RegionOp,
        offset: usize,
        size: usize,
        fits: impl Fn(&RegionInfo) -> bool,
    ) -> Result<(), RegionError> {
        let found = self.for_each_range(op, offset..offset + size, |info| match fits(&info) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(info.range.start),
        });
        match found? {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(at) => Err(self.error(op, offset, size, RegionErrorKind::Inaccessible { at })),
        }
    }

    fn unknown(&self, op: RegionOp, offset: usize) -> RegionError {
        self.error(op, offset, 1, RegionErrorKind::Unsupported { what: "the kernel's list of mappings" })
    }

    /// Calls `visit` with the ranges of `part`, without resident counts, until it breaks.
    fn for_each_range<B>(
        &self,
        op: RegionOp,
        part: Range<usize>,
        mut visit: impl FnMut(RegionInfo) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>, RegionError> {
        let base = self.base.addr().get();
        let mut last: Option<RegionInfo> = None;
        let seen = maps::for_each_mapping(base + part.start..base + part.end, |mapped| {
            let Some(protection) = Protection::of_letters(mapped.letters) else {
                return ControlFlow::Break(None);
            };
            let (mut at, end) = (mapped.range.start - base, mapped.range.end - base);
            while at < end {
                let (committed, until) = match protection {
                    Protection::None => self.prot_none.range_at(at, end),
                    _ => (true, end),
                };
                let state = if committed { PageStatus::Committed } else { PageStatus::Reserved };
                let named = mapped.name.starts_with(b"[anon:");
                let range = at..until;
                at = until;
                match &mut last {
                    Some(last) if (last.state, last.protection) == (state, protection) => {
                        last.range.end = range.end;
                    }
                    last => {
                        let next = self.range_info(range, state, protection, named);
                        last.replace(next).map_or(ControlFlow::Continue(()), &mut visit).map_break(Some)?;
                    }
                }
            }
            ControlFlow::Continue(())
        });
        match seen {
            Ok(ControlFlow::Break(Some(found))) => Ok(ControlFlow::Break(found)),
            Ok(ControlFlow::Continue(())) => Ok(last.map_or(ControlFlow::Continue(()), visit)),
            Ok(ControlFlow::Break(None)) | Err(_) => Err(self.unknown(op, part.start)),
        }
    }

    fn range_info(
        &self,
        range: Range<usize>,
        state: PageStatus,
        protection: Protection,
        named: bool,
    ) -> RegionInfo {
        RegionInfo {
            base: self.base.addr().get(),
            len: self.len,
            label: self.label(),
            range,
            state,
            protection,
            resident: 0,
            huge: 0,
            named,
        }
    }

    fn count_pages(&self, info: &mut RegionInfo) -> Result<(), RegionError> {
        if info.state == PageStatus::Committed {
            let (start, end) = (info.base + info.range.start, info.base + info.range.end);
            let found = residency(start..end).map_err(|_| self.unknown(RegionOp::Query, info.range.start))?;
            (info.resident, info.huge) = (found.resident, found.huge);
        }
        Ok(())
    }
}
