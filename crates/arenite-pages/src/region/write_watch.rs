//! OS pages written since the last scan, for incremental saves and for debugging.
//!
//! Uses userfaultfd's asynchronous write protection and `PAGEMAP_SCAN` (Linux 6.7). The kernel
//! marks an OS page at the first write without delaying the writer. A scan reads and clears the
//! marks in one step, so no write is missed between.
//!
//! Older kernels have soft-dirty bits, which can only be cleared for the entire process; there the
//! result is [`RegionErrorKind::Unsupported`].
#![expect(unsafe_code, reason = "registers an address range")]

use super::Region;
use crate::error::{RegionError, RegionErrorKind, RegionOp};
use crate::os::{self, Run, Scan, kind};
use core::ops::Range;
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

/// A watch for writes to a range of a region. The first write to an OS page after each scan costs
/// a fault.
///
/// ```
/// use arenite_pages::{RegionErrorKind, Region, WriteWatch};
/// let mut region = Region::reserve(1 << 20, "model")?;
/// region.commit(0, 1 << 20)?;
/// let mut watch = match WriteWatch::new(region.as_range(), &region) {
///     Err(error) if matches!(error.kind, RegionErrorKind::Unsupported { .. }) => return Ok(()),
///     watch => watch?,
/// };
/// // SAFETY: the byte is committed and no other code uses it.
/// unsafe { region.as_ptr().add(8192).write(1) };
/// assert_eq!(watch.written()?, [8192..12_288]); // and starts again
/// assert_eq!(watch.written()?, []);
/// # Ok::<(), arenite_pages::RegionError>(())
/// ```
#[derive(Debug)]
pub struct WriteWatch<'r> {
    region: &'r Region,
    watch: WatchState,
}

/// Watch of a range of a region, as offsets.
#[derive(Debug)]
pub(crate) struct WatchState {
    range: Range<usize>,
    pagemap: File,
    _watch: OwnedFd,
}

impl<'r> WriteWatch<'r> {
    /// Watches `range` of `region` (offsets, multiples of the OS page) from now on.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned, outside or already watched;
    /// [`RegionErrorKind::Unsupported`] if the kernel is older than 6.7 or denies it to this
    /// process.
    pub fn new(range: Range<usize>, region: &'r Region) -> Result<Self, RegionError> {
        Ok(Self { region, watch: WatchState::new(range, region)? })
    }

    /// Returns the ranges written since the last call (or the start), and watches them again in the
    /// same step. The ranges are ascending offsets in multiples of the OS page. A write to a huge
    /// page marks all of it.
    ///
    /// If memory for the list is short, it contains more than was written, and never less.
    ///
    /// # Errors
    /// [`RegionError`] if the kernel fails.
    pub fn written(&mut self) -> Result<Vec<Range<usize>>, RegionError> {
        self.watch.take_written(self.region)
    }
}

impl WatchState {
    pub(crate) fn new(range: Range<usize>, region: &Region) -> Result<Self, RegionError> {
        let (at, size) = (range.start, range.end.saturating_sub(range.start));
        let start = region.range(RegionOp::WatchWrites, at, size)?;
        let unsupported =
            |what| region.error(RegionOp::WatchWrites, at, size, RegionErrorKind::Unsupported { what });
        let pagemap = File::open("/proc/self/pagemap")
            .map_err(|_| unsupported("write watches need /proc/self/pagemap"))?;
        // SAFETY: `range` checked the range, a part of the region's private anonymous mapping.
        let watch = unsafe { os::uffd_write_protect(start, size) }.map_err(|errno| match errno {
            Errno::NOSYS | Errno::INVAL | Errno::PERM => {
                unsupported("write watches need Linux 6.7 and userfaultfd")
            }
            errno => region.os_error(RegionOp::WatchWrites, at, size, errno),
        })?;
        let watch = Self { range, pagemap, _watch: watch };
        watch.take_written(region)?; // absent OS pages count as unwritten
        Ok(watch)
    }

    /// Returns the ranges of `region` written since the last call, and watches them again.
    pub(crate) fn take_written(&self, region: &Region) -> Result<Vec<Range<usize>>, RegionError> {
        let base = region.base.addr().get();
        let (mut at, end) = (base + self.range.start, base + self.range.end);
        let scan = Scan { any_of: kind::WRITTEN, returned: kind::WRITTEN, rearm: true };
        let error = |errno| region.os_error(RegionOp::WatchWrites, self.range.start, self.range.len(), errno);
        let (mut found, mut written) = ([Run::default(); 64], Vec::<Range<usize>>::new());
        // the kernel clears the marks it reports: a run without capacity in the list extends the
        // previous one
        if written.try_reserve(1).is_err() {
            return Err(error(Errno::NOMEM));
        }
        while at < end {
            let (count, walked) =
                os::scan(self.pagemap.as_fd(), (at, end), scan, &mut found).map_err(error)?;
            for run in &found[..count] {
                let run = run.start - base..run.end - base;
                let reserved = written.try_reserve(1).is_ok();
                match written.last_mut() {
                    Some(last) if last.end == run.start || !reserved => last.end = run.end,
                    _ => written.push(run),
                }
            }
            if walked <= at {
                break;
            }
            at = walked;
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page_size;

    #[test]
    fn write_watch_reports_exactly_the_written_pages() {
        let page = page_size();
        let mut region = Region::reserve(64 * page, "watched").unwrap();
        region.commit(0, 64 * page).unwrap();
        region.poke(9 * page, b"before").unwrap();
        let base = region.as_ptr().as_ptr();
        let write = |at: usize| {
            // SAFETY: a committed byte of this test's own.
            unsafe { base.wrapping_add(at).write(1) };
        };
        let mut watch = match WriteWatch::new(0..64 * page, &region) {
            Ok(watch) => watch,
            Err(error) => return println!("skipped: {error}"),
        };
        assert!(watch.written().unwrap().is_empty());
        for at in [3 * page + 5, 4 * page, 9 * page + 1, 63 * page] {
            write(at);
        }
        let expected = [3 * page..5 * page, 9 * page..10 * page, 63 * page..64 * page];
        assert_eq!(watch.written().unwrap(), expected);
        assert!(watch.written().unwrap().is_empty());
        for at in (0..64).step_by(2) {
            write(at * page); // half of the 64 runs that one scan returns
        }
        assert_eq!(watch.written().unwrap().len(), 32);
        drop(watch);
        write(0);
    }

    #[test]
    fn write_watch_fails_on_invalid_ranges() {
        let region = Region::reserve(4 * page_size(), "watched").unwrap();
        let kind = |range| WriteWatch::new(range, &region).map(drop).unwrap_err().kind;
        assert_eq!(kind(0..5 * page_size()), RegionErrorKind::OutOfRange);
        assert_eq!(kind(0..0), RegionErrorKind::BadSize);
        assert_eq!(kind(1..page_size()), RegionErrorKind::Unaligned);
    }
}
