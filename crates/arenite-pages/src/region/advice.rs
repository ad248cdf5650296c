//! What the kernel is told about a region's memory: keep it, drop it, page it out, make it huge.
//!
//! Rests on `os::advise` and `os::lock`. Advice that an old kernel does not know is an error that says so, because who asks
//! for memory to be locked or huge builds on it.
#![expect(unsafe_code, reason = "advises on address ranges")]

use super::Region;
use crate::error::{PageCall, PageCause, PageError};
use crate::machine::{Limits, ProcessMemory};
use crate::os::{self, Advice};
use rustix::io::Errno;

impl Region {
    fn advise(
        &self,
        call: PageCall,
        offset: usize,
        size: usize,
        advice: Advice,
        what: &'static str,
    ) -> Result<(), PageError> {
        debug_assert!(!matches!(advice, Advice::Discard | Advice::Free), "drops contents");
        let start = self.range(call, offset, size)?;
        // SAFETY: `range` checked the range; this advice changes no contents.
        unsafe { os::advise(start, size, advice) }.map_err(|errno| match errno {
            Errno::INVAL | Errno::NOSYS => self.error(call, offset, size, PageCause::Unsupported { what }),
            _ => self.os_error(call, offset, size, errno),
        })
    }

    /// Finds every OS page of a committed range now, so that no later touch faults. See [`Prefetch`](crate::Prefetch) for
    /// many threads and NUMA nodes. 0.3 µs and more for each OS page.
    ///
    /// # Errors
    /// [`PageError`] if the range is unaligned, outside or not open for writing, memory runs out, or the kernel is older than 5.14.
    pub fn prefetch(&self, offset: usize, size: usize) -> Result<(), PageError> {
        let found = self.advise(PageCall::Prefetch, offset, size, Advice::PopulateWrite, "Linux before 5.14");
        // only after a refusal: the kernel's answer does not say why, and the check costs more than a small prefetch
        found.or_else(|error| {
            if matches!(error.cause, PageCause::Os { .. } | PageCause::Unsupported { .. }) {
                self.open_throughout(PageCall::Prefetch, offset, size)?;
            }
            Err(error)
        })
    }

    /// Drops the contents of a range now and gives its memory back; it stays committed and reads as zeroes.
    ///
    /// # Errors
    /// [`PageError`] if the range is unaligned or outside, or locked.
    ///
    /// # Safety
    /// Nobody relies on the contents, and nobody borrows them.
    pub unsafe fn discard(&self, offset: usize, size: usize) -> Result<(), PageError> {
        let start = self.range(PageCall::Discard, offset, size)?;
        // SAFETY: `range` checked the range; the caller gives its contents up.
        unsafe { os::advise(start, size, Advice::Discard) }
            .map_err(|errno| self.os_error(PageCall::Discard, offset, size, errno))
    }

    /// Says that a range is not needed soon: the first to go when memory is short. Contents stay.
    ///
    /// # Errors
    /// [`PageError`] if the range is unaligned or outside, or the kernel is older than 5.4.
    pub fn cold(&self, offset: usize, size: usize) -> Result<(), PageError> {
        self.advise(
            PageCall::PageOut,
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
    pub fn page_out(&self, offset: usize, size: usize) -> Result<(), PageError> {
        self.advise(
            PageCall::PageOut,
            offset,
            size,
            Advice::PageOut,
            "Linux before 5.4, or a part of the range is locked",
        )
    }

    /// Copies what lies in whole huge pages of a range onto such pages now, whatever the machine's policy says of later.
    ///
    /// # Errors
    /// [`PageError`] if the range is unaligned, outside, not committed or holds no whole huge page, no huge page can be
    /// had, or the kernel is older than 6.1.
    pub fn collapse(&self, offset: usize, size: usize) -> Result<(), PageError> {
        self.advise(
            PageCall::Collapse,
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
    /// [`PageError`] if the range is unaligned, outside or not committed; [`PageCause::LockLimit`] if the process may lock
    /// no more.
    pub fn lock(&self, offset: usize, size: usize) -> Result<(), PageError> {
        let start = self.range(PageCall::Lock, offset, size)?;
        self.committed_throughout(PageCall::Lock, offset, size)?;
        // SAFETY: `range` checked the range.
        let Err(errno) = (unsafe { os::lock(start, size) }) else { return Ok(()) };
        // A call that failed half-way leaves the range marked.
        // SAFETY: as above.
        let _unmarked: Result<(), _> = unsafe { os::unlock(start, size) };
        Err(match errno {
            Errno::PERM | Errno::NOMEM | Errno::AGAIN => {
                let cause = lock_limit(size).unwrap_or(PageCause::Os { errno: errno.raw_os_error() });
                self.error(PageCall::Lock, offset, size, cause)
            }
            _ => self.os_error(PageCall::Lock, offset, size, errno),
        })
    }

    /// Lets a range be paged out again.
    ///
    /// # Errors
    /// [`PageError`] if the range is unaligned or outside.
    pub fn unlock(&self, offset: usize, size: usize) -> Result<(), PageError> {
        let start = self.range(PageCall::Unlock, offset, size)?;
        // SAFETY: `range` checked the range.
        unsafe { os::unlock(start, size) }
            .map_err(|errno| self.os_error(PageCall::Unlock, offset, size, errno))
    }
}

/// The limit on locked memory, and what is locked, where `size` more would pass it.
fn lock_limit(size: usize) -> Option<PageCause> {
    let limits = Limits::read();
    let limit = limits.memlock.and_then(|limit| limit.soft.bytes())?;
    let locked = ProcessMemory::read().ok().and_then(|memory| memory.locked_bytes).unwrap_or(0);
    let passed = locked.saturating_add(size as u64) > limit && !limits.may_lock_all;
    passed.then_some(PageCause::LockLimit { limit, locked })
}
