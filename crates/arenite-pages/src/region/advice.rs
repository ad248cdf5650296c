//! Advice to the kernel about a region's memory: populate, lock, drop, page out, use huge pages.
//!
//! Advice that an old kernel lacks returns an error, because a caller relies on locked or huge
//! memory.
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
            _ => self.os_error(op, offset, size, errno),
        })
    }

    /// Populates every OS page of a committed range now, so that no later access faults. At least
    /// 0.3 µs per OS page. [`Prefetch`](crate::Prefetch) does so with many threads and NUMA nodes.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned, outside or not writable, memory runs out, or the
    /// kernel is older than 5.14.
    pub fn prefetch(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        let found =
            self.advise(RegionOp::Prefetch, offset, size, Advice::PopulateWrite, "prefetch needs Linux 5.14");
        // only after a failure: the kernel does not return the reason, and the check costs more
        // than a small prefetch
        found.or_else(|error| {
            if matches!(error.kind, RegionErrorKind::Os { .. } | RegionErrorKind::Unsupported { .. }) {
                self.check_accessible(RegionOp::Prefetch, offset, size)?;
            }
            Err(error)
        })
    }

    /// Drops the contents of a range now and frees its memory; it stays committed and reads as
    /// zeroes.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned or outside, or locked.
    ///
    /// # Safety
    /// No code relies on the contents, and no reference to them exists.
    pub unsafe fn discard(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        let start = self.range(RegionOp::Discard, offset, size)?;
        // SAFETY: `range` checked the range; the caller needs its contents no more.
        unsafe { os::advise(start, size, Advice::Discard) }
            .map_err(|errno| self.os_error(RegionOp::Discard, offset, size, errno))
    }

    /// Marks a range as cold: it is reclaimed first when memory is short. Contents stay.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned or outside, or the kernel is older than 5.4.
    pub fn cold(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        self.advise(
            RegionOp::PageOut,
            offset,
            size,
            Advice::Cold,
            "this advice needs Linux 5.4 and no locked part of the range",
        )
    }

    /// Writes a range to swap space now, if there is some. Contents stay and are read back by the
    /// next access.
    ///
    /// # Errors
    /// As [`Region::cold`].
    pub fn page_out(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        self.advise(
            RegionOp::PageOut,
            offset,
            size,
            Advice::PageOut,
            "this advice needs Linux 5.4 and no locked part of the range",
        )
    }

    /// Copies the full huge pages of a range onto huge pages now, whatever the machine's policy for
    /// later is.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned, outside, not committed or contains no full huge
    /// page. [`RegionError`] also if no huge page is available, or the kernel is older than 6.1.
    pub fn collapse(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        self.advise(
            RegionOp::Collapse,
            offset,
            size,
            Advice::Collapse,
            "collapse needs Linux 6.1 and a full huge page in the range",
        )
    }

    /// Populates a committed range and locks it in memory until it is unlocked or released. A
    /// failure unlocks all of the range, also what was locked before.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned, outside or not committed;
    /// [`RegionErrorKind::LockLimit`] if the process may lock no more.
    pub fn lock(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        let start = self.range(RegionOp::Lock, offset, size)?;
        self.check_committed(RegionOp::Lock, offset, size)?;
        // SAFETY: `range` checked the range.
        let Err(errno) = (unsafe { os::lock(start, size) }) else { return Ok(()) };
        // A failed call leaves the range marked as locked.
        // SAFETY: as above.
        let _unmarked: Result<(), _> = unsafe { os::unlock(start, size) };
        Err(match errno {
            Errno::PERM | Errno::NOMEM | Errno::AGAIN => {
                let kind = lock_limit(size).unwrap_or(RegionErrorKind::Os { errno: errno.raw_os_error() });
                self.error(RegionOp::Lock, offset, size, kind)
            }
            _ => self.os_error(RegionOp::Lock, offset, size, errno),
        })
    }

    /// Unlocks a range, so that the kernel may page it out.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned or outside.
    pub fn unlock(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        let start = self.range(RegionOp::Unlock, offset, size)?;
        // SAFETY: `range` checked the range.
        unsafe { os::unlock(start, size) }
            .map_err(|errno| self.os_error(RegionOp::Unlock, offset, size, errno))
    }
}

/// Returns the limit and the amount of locked memory if `size` more exceeds the limit.
fn lock_limit(size: usize) -> Option<RegionErrorKind> {
    let limits = Limits::read();
    let limit = limits.memlock.and_then(|limit| limit.soft.bytes())?;
    let locked = ProcessMemory::read().ok().and_then(|memory| memory.locked_bytes).unwrap_or(0);
    let passed = locked.saturating_add(size as u64) > limit && !limits.may_lock_all;
    passed.then_some(RegionErrorKind::LockLimit { limit, locked })
}
