//! What the kernel is told about a region's memory: keep it, drop it, page it out, make it huge.
//!
//! Rests on `os::advise` and `os::lock`. Advice that an old kernel does not know is an error that says so, because who asks
//! for memory to be locked or huge builds on it.
#![expect(unsafe_code, reason = "advises on address ranges")]

use super::Region;
use crate::error::{RegionError, RegionErrorKind, RegionOp};
use crate::machine::{Limits, ProcessMemory};
use crate::os::{self, Advice};
use rustix::io::Errno;

impl Region {
    fn advise(
        &self,
        op: RegionOp,
        offset: usize,
        size: usize,
        advice: Advice,
        what: &'static str,
    ) -> Result<(), RegionError> {
        debug_assert!(!matches!(advice, Advice::Discard | Advice::Free), "drops contents");
        let start = self.range(op, offset, size)?;
        // SAFETY: `range` checked the range; this advice changes no contents.
        unsafe { os::advise(start, size, advice) }.map_err(|errno| match errno {
            Errno::INVAL | Errno::NOSYS => {
                self.error(op, offset, size, RegionErrorKind::Unsupported { what })
            }
            _ => self.region_error(op, offset, size, errno),
        })
    }

    /// Finds every OS page of a committed range now, so that no later touch faults. See [`Prefetch`](crate::Prefetch) for
    /// many threads and NUMA nodes. 0.3 µs and more for each OS page.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned, outside or not open for writing, memory runs out, or the kernel is older than 5.14.
    pub fn prefetch(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        let found = self.advise(RegionOp::Prefetch, offset, size, Advice::PopulateWrite, "Linux before 5.14");
        // only after a refusal: the kernel's answer does not say why, and the check costs more than a small prefetch
        found.or_else(|error| {
            if matches!(error.kind, RegionErrorKind::Os { .. } | RegionErrorKind::Unsupported { .. }) {
                self.check_accessible(RegionOp::Prefetch, offset, size)?;
            }
            Err(error)
        })
    }

    /// Drops the contents of a range now and gives its memory back; it stays committed and reads as zeroes.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned or outside, or locked.
    ///
    /// # Safety
    /// Nobody relies on the contents, and nobody borrows them.
    pub unsafe fn discard(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        let start = self.range(RegionOp::Discard, offset, size)?;
        // SAFETY: `range` checked the range; the caller gives its contents up.
        unsafe { os::advise(start, size, Advice::Discard) }
            .map_err(|errno| self.region_error(RegionOp::Discard, offset, size, errno))
    }

    /// Says that a range is not needed soon: the first to go when memory is short. Contents stay.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned or outside, or the kernel is older than 5.4.
    pub fn cold(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        self.advise(
            RegionOp::PageOut,
            offset,
            size,
            Advice::Cold,
            "Linux before 5.4, or a part of the range is locked",
        )
    }

    /// Writes a range to swap space now, where there is some. Contents stay and are read back when they are touched.
    ///
    /// # Errors
    /// As [`Region::cold`].
    pub fn page_out(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        self.advise(
            RegionOp::PageOut,
            offset,
            size,
            Advice::PageOut,
            "Linux before 5.4, or a part of the range is locked",
        )
    }

    /// Copies what lies in whole huge pages of a range onto such pages now, whatever the machine's policy says of later.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned, outside, not committed or holds no whole huge page, no huge page can be
    /// had, or the kernel is older than 6.1.
    pub fn collapse(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        self.advise(
            RegionOp::Collapse,
            offset,
            size,
            Advice::Collapse,
            "Linux before 6.1, or no whole huge page in the range",
        )
    }

    /// Finds every OS page of a committed range and keeps it in memory until it is unlocked or released. A refusal unlocks all of
    /// the range, also what was locked before.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned, outside or not committed; [`RegionErrorKind::LockLimit`] if the process may lock
    /// no more.
    pub fn lock(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        let start = self.range(RegionOp::Lock, offset, size)?;
        self.check_committed(RegionOp::Lock, offset, size)?;
        // SAFETY: `range` checked the range.
        let Err(errno) = (unsafe { os::lock(start, size) }) else { return Ok(()) };
        // A call that failed half-way leaves the range marked.
        // SAFETY: as above.
        let _unmarked: Result<(), _> = unsafe { os::unlock(start, size) };
        Err(match errno {
            Errno::PERM | Errno::NOMEM | Errno::AGAIN => {
                let kind = lock_limit(size).unwrap_or(RegionErrorKind::Os { errno: errno.raw_os_error() });
                self.error(RegionOp::Lock, offset, size, kind)
            }
            _ => self.region_error(RegionOp::Lock, offset, size, errno),
        })
    }

    /// Lets a range be paged out again.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned or outside.
    pub fn unlock(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        let start = self.range(RegionOp::Unlock, offset, size)?;
        // SAFETY: `range` checked the range.
        unsafe { os::unlock(start, size) }
            .map_err(|errno| self.region_error(RegionOp::Unlock, offset, size, errno))
    }
}

/// The limit on locked memory, and what is locked, where `size` more would pass it.
fn lock_limit(size: usize) -> Option<RegionErrorKind> {
    let limits = Limits::read();
    let limit = limits.memlock.and_then(|limit| limit.soft.bytes())?;
    let locked = ProcessMemory::read().ok().and_then(|memory| memory.locked_bytes).unwrap_or(0);
    let passed = locked.saturating_add(size as u64) > limit && !limits.may_lock_all;
    passed.then_some(RegionErrorKind::LockLimit { limit, locked })
}
