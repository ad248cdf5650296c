//! A region: a range of address space that is committed in parts.
//!
//! A reservation costs no memory. An arena or pool reserves all the addresses that it may ever
//! need, and grows by commits without moving a block.
#![expect(unsafe_code, reason = "maps and unmaps address ranges")]

use super::os_page::{offset, page_size, round_up};
use super::prot_none::{ProtectedRanges, RangeChange};
use super::{Protection, RegionOptions, registry};
use crate::error::{RegionError, RegionErrorKind, RegionOp};
use crate::huge_pages::{HUGE_PAGE, HugePageUsage};
use crate::os;
use arenite_core::Label;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use rustix::io::Errno;

/// A reserved address range that is released on drop. Shared between threads.
///
/// Its start is aligned to 2 MiB, so that huge pages can back it. Nothing is readable before it is
/// committed.
///
/// ```
/// use arenite_pages::Region;
/// let region = Region::reserve(1 << 30, "scratch")?; // 1 GiB of addresses, no memory
/// region.commit(0, 64 * 1024)?;
/// // SAFETY: the first 64 KiB are committed and no other code uses them.
/// unsafe { region.as_ptr().write(42) };
/// region.release()?;
/// # Ok::<(), arenite_pages::RegionError>(())
/// ```
#[derive(Debug)]
// The fields that a commit reads are first and adjacent: the system call before it evicts cache
// lines.
#[repr(C)]
pub struct Region {
    pub(super) base: NonNull<u8>,
    pub(super) len: usize,
    /// Committed ranges without access.
    pub(super) prot_none: ProtectedRanges,
    /// Bytes of guard on either side.
    guard: usize,
    label: Label,
    /// Whether a part of the range may belong to other code, so that nothing of it may be unmapped.
    poisoned: AtomicBool,
}

// SAFETY: a region is an address range. Its methods are calls to the kernel, which orders them.
// Reading or writing the range is the caller's own unsafe code.
unsafe impl Send for Region {}
// SAFETY: as for `Send`; `&Region` offers no access to the bytes.
unsafe impl Sync for Region {}

impl Region {
    /// Reserves `len` bytes of address space, rounded up to OS pages. Commits nothing.
    ///
    /// # Errors
    /// [`RegionError`] if `len` is zero or overflows, or the process may map no more.
    pub fn reserve(len: usize, label: impl Into<Label>) -> Result<Self, RegionError> {
        RegionOptions::new().with_label(label).reserve(len)
    }

    /// Reserves with `options` whose guard is a multiple of the OS page and whose alignment is at
    /// least 2 MiB.
    pub(super) fn reserve_with(len: usize, options: RegionOptions) -> Result<Self, RegionError> {
        let RegionOptions { label, guard, align, huge } = options;
        let fail = |kind| RegionError { op: RegionOp::Reserve, kind, offset: 0, size: len, region: 0, label };
        let os_fail = |errno: Errno| fail(RegionErrorKind::Os { errno: errno.raw_os_error() });
        let rounded =
            round_up(len, os::page_size()).filter(|&len| len > 0).ok_or(fail(RegionErrorKind::BadSize))?;
        let guarded = guard.checked_mul(2).and_then(|guards| guards.checked_add(rounded));
        let slack = guarded.and_then(|guarded| guarded.checked_add(align));
        let all =
            slack.filter(|&all| all <= isize::MAX.unsigned_abs()).ok_or(fail(RegionErrorKind::BadSize))?;
        let base = reserve_aligned(rounded, guard, align, all).map_err(os_fail)?;
        let region = Self {
            base,
            len: rounded,
            label,
            guard,
            prot_none: ProtectedRanges::default(),
            poisoned: AtomicBool::new(false),
        };
        if let Err(errno) = registry::register(base, rounded, label) {
            // SAFETY: the mapping just made, which no code uses.
            let _released: Result<(), _> = unsafe { region.unmap() };
            let _unmapped = core::mem::ManuallyDrop::new(region);
            return Err(os_fail(errno));
        }
        region.set_vma_name();
        if let Some(enable) = huge {
            // Failed advice leaves ordinary OS pages, which is correct too.
            let _advised: Result<(), _> = region.advise_huge(0, rounded, enable);
        }
        Ok(region)
    }

    /// Shows the label in `/proc/PID/maps`, until the kernel once reports that it cannot.
    fn set_vma_name(&self) {
        static NAMES_UNSUPPORTED: AtomicBool = AtomicBool::new(false);
        if self.label.is_empty() || NAMES_UNSUPPORTED.load(Relaxed) {
            return;
        }
        let mut name = [0_u8; Label::CAPACITY + 1];
        for (to, &from) in name.iter_mut().zip(self.label.as_str().as_bytes()) {
            let plain = (b' '..=b'~').contains(&from) && !br"[]\$`".contains(&from);
            *to = if plain { from } else { b'_' };
        }
        if let Ok(name) = core::ffi::CStr::from_bytes_until_nul(&name) {
            // SAFETY: the region is this value's own anonymous mapping.
            let named = unsafe { os::set_vma_name(self.base, self.len, name) };
            NAMES_UNSUPPORTED.store(named == Err(Errno::INVAL), Relaxed);
        }
    }

    /// Returns whether a failed move left the state of some addresses unknown. The region then
    /// never unmaps its addresses; ranges that were no target of the move are unchanged.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Relaxed)
    }

    /// Marks the region as poisoned: the kernel failed half-way, and a part of it may belong to
    /// other code.
    pub(super) fn poison(&self) {
        self.poisoned.store(true, Relaxed);
    }

    /// Unmaps the region and its guards, unless it is poisoned.
    ///
    /// # Safety
    /// No code uses the region afterwards.
    unsafe fn unmap(&self) -> Result<(), Errno> {
        if self.poisoned.load(Relaxed) {
            return Ok(());
        }
        let start = NonNull::new(self.base.as_ptr().wrapping_sub(self.guard)).unwrap_or(self.base);
        // SAFETY: the region and its guards are this value's own mapping; no code uses them.
        unsafe { os::release(start, self.len + 2 * self.guard) }
    }

    /// Commits `size` bytes at `offset`, both multiples of the OS page. What was committed keeps
    /// its contents; fresh bytes are zero. One system call; the kernel populates each OS page at
    /// its first access.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned or outside, or the system fails; nothing changes
    /// then.
    #[inline]
    pub fn commit(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        let start = self.range(RegionOp::Commit, offset, size)?;
        let change = if self.prot_none.is_empty() {
            None
        } else {
            Some(self.change_range(RegionOp::Commit, offset, size)?)
        };
        // SAFETY: `range` checked that the range is aligned and inside this reservation.
        unsafe { os::commit(start, size) }
            .map_err(|errno| self.os_error(RegionOp::Commit, offset, size, errno))?;
        if let Some(change) = change {
            change.remove(&(offset..offset + size));
        }
        Ok(())
    }

    /// Begins a change of the ranges without access, which allocates memory for their list.
    #[cold]
    fn change_range(&self, op: RegionOp, offset: usize, size: usize) -> Result<RangeChange<'_>, RegionError> {
        self.prot_none.begin_change().map_err(|_| self.os_error(op, offset, size, Errno::NOMEM))
    }

    /// Drops the contents and the backing of `size` bytes at `offset`; they fault until committed
    /// again.
    ///
    /// # Errors
    /// As [`Region::commit`].
    ///
    /// # Safety
    /// No code reads or writes the range before it is committed again.
    pub unsafe fn decommit(&self, offset: usize, size: usize) -> Result<(), RegionError> {
        let start = self.range(RegionOp::Decommit, offset, size)?;
        let change = if self.prot_none.is_empty() {
            None
        } else {
            Some(self.change_range(RegionOp::Decommit, offset, size)?)
        };
        // SAFETY: `range` checked the range; the caller promised that no code uses it.
        unsafe { os::decommit(start, size) }
            .map_err(|errno| self.os_error(RegionOp::Decommit, offset, size, errno))?;
        if let Some(change) = change {
            change.remove(&(offset..offset + size));
        }
        Ok(())
    }

    /// Changes the protection of `size` committed bytes at `offset`; they keep their contents.
    /// Reads the process's mappings to check that the range is committed: microseconds, not for a
    /// fast path.
    ///
    /// # Errors
    /// [`RegionError`] if the range is unaligned, outside or not committed, or the system fails.
    ///
    /// # Safety
    /// Until the next change, no code uses the range in a way that `protection` forbids.
    pub unsafe fn protect(
        &self,
        offset: usize,
        size: usize,
        protection: Protection,
    ) -> Result<(), RegionError> {
        let start = self.range(RegionOp::Protect, offset, size)?;
        self.check_committed(RegionOp::Protect, offset, size)?;
        // the list is locked during the call, so that a query sees it and the kernel's state agree
        let change = self.change_range(RegionOp::Protect, offset, size)?;
        // SAFETY: `range` checked the range; the caller observes the new protection.
        unsafe { os::protect(start, size, protection.access()) }
            .map_err(|errno| self.os_error(RegionOp::Protect, offset, size, errno))?;
        let range = offset..offset + size;
        if protection == Protection::None {
            change.insert(range)
        } else {
            change.remove(&range)
        }
        Ok(())
    }

    /// Requests transparent huge pages in a range (or, with `false`, none). Advice:
    /// [`Region::huge_report`] returns the result.
    ///
    /// # Errors
    /// As [`Region::commit`]; also on kernels without huge pages.
    pub fn advise_huge(&self, offset: usize, size: usize, enable: bool) -> Result<(), RegionError> {
        let start = self.range(RegionOp::AdviseHuge, offset, size)?;
        // SAFETY: `range` checked that the range is aligned and inside this reservation.
        unsafe { os::advise(start, size, if enable { os::Advice::Huge } else { os::Advice::NoHuge }) }
            .map_err(|errno| self.os_error(RegionOp::AdviseHuge, offset, size, errno))
    }

    /// Reads how much of this region is in memory, and how much on huge pages. Walks the process's
    /// mappings: microseconds to milliseconds.
    ///
    /// # Errors
    /// [`std::io::Error`] if the kernel does not report it.
    pub fn huge_report(&self) -> std::io::Result<HugePageUsage> {
        HugePageUsage::of_range(self.base.as_ptr().addr(), self.len)
    }

    /// Releases the address space, and returns the system's error if it fails; a drop ignores it.
    ///
    /// # Errors
    /// [`RegionError`] with the system's error number; the addresses then stay reserved.
    pub fn release(self) -> Result<(), RegionError> {
        let mut region = core::mem::ManuallyDrop::new(self);
        registry::unregister(region.base);
        // SAFETY: the value is consumed, so no code can use the region.
        let released = unsafe { region.unmap() };
        let error = released.map_err(|errno| region.os_error(RegionOp::Release, 0, region.len, errno));
        drop(core::mem::take(&mut region.prot_none));
        error
    }

    /// Returns the first address, aligned to 2 MiB.
    #[must_use]
    pub const fn as_ptr(&self) -> NonNull<u8> {
        self.base
    }

    /// Returns all of the region, as offsets: `0..len`.
    #[must_use]
    pub const fn as_range(&self) -> core::ops::Range<usize> {
        0..self.len
    }

    /// Returns the size in bytes, a multiple of the OS page.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns `false`: a region has at least one OS page.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the label of the reservation.
    #[must_use]
    pub const fn label(&self) -> Label {
        self.label
    }

    /// Returns whether `address` lies in the region.
    #[must_use]
    pub fn contains(&self, address: *const u8) -> bool {
        address.addr().wrapping_sub(self.base.as_ptr().addr()) < self.len
    }

    /// Returns the bytes of guard on either side, in which nothing is ever mapped.
    #[must_use]
    pub const fn guard(&self) -> usize {
        self.guard
    }

    #[inline]
    pub(crate) fn range(&self, op: RegionOp, at: usize, size: usize) -> Result<NonNull<u8>, RegionError> {
        let fail = |kind| self.error(op, at, size, kind);
        if size == 0 {
            return Err(fail(RegionErrorKind::BadSize));
        }
        if at.checked_add(size).is_none_or(|end| end > self.len) {
            return Err(fail(RegionErrorKind::OutOfRange));
        }
        if (at | size) & (page_size() - 1) != 0 {
            return Err(fail(RegionErrorKind::Unaligned));
        }
        Ok(offset(self.base, at))
    }

    pub(crate) fn error(&self, op: RegionOp, at: usize, size: usize, kind: RegionErrorKind) -> RegionError {
        RegionError { op, kind, offset: at, size, region: self.len, label: self.label }
    }

    #[cold]
    pub(super) fn os_error(&self, op: RegionOp, offset: usize, size: usize, errno: Errno) -> RegionError {
        self.error(op, offset, size, RegionErrorKind::Os { errno: errno.raw_os_error() })
    }
}

impl RegionOptions {
    /// Reserves `len` bytes of address space, rounded up to OS pages. Commits nothing. Two to four
    /// system calls.
    ///
    /// # Errors
    /// [`RegionError`] if `len` is zero or overflows with its guards, the alignment is no power of
    /// two, or the process may map no more.
    pub fn reserve(mut self, len: usize) -> Result<Region, RegionError> {
        self.guard = round_up(self.guard, os::page_size()).unwrap_or(usize::MAX);
        if self.align != 0 && !self.align.is_power_of_two() {
            let kind = RegionErrorKind::Unaligned;
            return Err(RegionError {
                op: RegionOp::Reserve,
                kind,
                offset: 0,
                size: len,
                region: 0,
                label: self.label,
            });
        }
        self.align = self.align.max(HUGE_PAGE);
        Region::reserve_with(len, self)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        registry::unregister(self.base);
        // SAFETY: the value is dropped, so no code can use the region.
        let released = unsafe { self.unmap() };
        // the kernel merges neighbours, so it may have to split a mapping, and may have none left
        // for that
        debug_assert!(matches!(released, Ok(()) | Err(Errno::NOMEM)), "{released:?}");
    }
}

/// Reserves `len` bytes that begin at a multiple of `align` and have `guard` bytes on either side;
/// `all` bytes contain them at any start.
fn reserve_aligned(len: usize, guard: usize, align: usize, all: usize) -> Result<NonNull<u8>, Errno> {
    if guard == 0 && align == HUGE_PAGE && len.is_multiple_of(HUGE_PAGE) {
        // kernels since 6.7 align such a mapping to huge pages
        let start = os::reserve(len)?;
        if start.addr().get().is_multiple_of(HUGE_PAGE) {
            return Ok(start);
        }
        // SAFETY: the mapping just made; no code uses it.
        let released = unsafe { os::release(start, len) };
        debug_assert!(released.is_ok(), "an entire mapping can be released");
    }
    let start = os::reserve(all)?;
    // the front guard ends at the aligned start
    let before = start.as_ptr().addr().wrapping_add(guard).wrapping_neg() % align;
    let base = offset(start, before + guard);
    if before > 0 {
        // SAFETY: the front of the mapping just made; no code uses it.
        let released = unsafe { os::release(start, before) };
        debug_assert!(released.is_ok(), "part of an own mapping");
    }
    if before < align {
        // SAFETY: the back of the mapping just made; no code uses it.
        let released = unsafe { os::release(offset(base, len + guard), align - before) };
        debug_assert!(released.is_ok(), "part of an own mapping");
    }
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::nofault_copy;

    #[test]
    fn n01_reserving_a_gibibyte_costs_no_resident_byte() {
        let region = Region::reserve(1 << 30, "idle").unwrap();
        assert_eq!(region.len(), 1 << 30);
        assert_eq!(region.as_ptr().as_ptr().addr() % HUGE_PAGE, 0);
        assert_eq!(region.huge_report().unwrap().resident, 0);
    }

    #[test]
    fn n02_committed_bytes_are_zero_and_writable_and_decommit_drops_them() {
        let region = Region::reserve(1 << 20, "part").unwrap();
        region.commit(4096, 64 << 10).unwrap();
        let at = offset(region.as_ptr(), 4096 + (64 << 10) - 1);
        // SAFETY: the last committed byte; no other code uses it.
        unsafe { at.write(7) };
        assert!(region.huge_report().unwrap().resident >= 4096);
        // SAFETY: no code uses the range before the commit below.
        unsafe { region.decommit(4096, 64 << 10) }.unwrap();
        assert_eq!(region.huge_report().unwrap().resident, 0);
        region.commit(4096, 64 << 10).unwrap();
        // SAFETY: committed again.
        assert_eq!(unsafe { at.read() }, 0);
    }

    #[test]
    fn n04_guards_are_never_mapped() {
        let region = RegionOptions::new().with_guard(1).reserve(1 << 20).unwrap();
        region.commit(0, region.len()).unwrap();
        let around =
            region.as_ptr().as_ptr().addr() - page_size()..region.as_ptr().as_ptr().addr() + (1 << 20);
        let mut byte = [0];
        assert_eq!(
            (region.guard(), nofault_copy::read_process(around.start + page_size() - 1, &mut byte)),
            (4096, Ok(0))
        );
        assert_eq!(nofault_copy::read_process(around.end, &mut byte), Ok(0));
        assert_eq!(nofault_copy::read_process(around.end - 1, &mut byte), Ok(1));
        assert!(RegionOptions::new().with_guard(usize::MAX).reserve(1).is_err());
    }

    #[test]
    fn n01_region_starts_at_the_requested_alignment() {
        for align in [1, 4096, 2 << 20, 256 << 20] {
            let region = RegionOptions::new().with_alignment(align).with_guard(4096).reserve(5000).unwrap();
            assert!(region.as_ptr().addr().get().is_multiple_of(align.max(HUGE_PAGE)), "{align}");
        }
        assert_eq!(
            RegionOptions::new().with_alignment(3).reserve(1).unwrap_err().to_string(),
            "cannot reserve 1 B: the alignment must be a power of two"
        );
        assert_eq!(
            RegionOptions::new().with_alignment(1 << 63).reserve(1).unwrap_err().kind,
            RegionErrorKind::BadSize
        );
    }

    #[test]
    fn n03_release_unmaps_the_addresses() {
        let region = Region::reserve(1 << 20, "short").unwrap();
        region.commit(0, 4096).unwrap();
        let (base, mut byte) = (region.as_ptr().addr().get(), [0]);
        assert_eq!(nofault_copy::read_process(base, &mut byte), Ok(1));
        region.release().unwrap();
        assert_eq!(nofault_copy::read_process(base, &mut byte), Ok(0));
    }

    #[test]
    fn invalid_sizes_and_ranges_fail() {
        let kind = |result: Result<(), RegionError>| result.unwrap_err().kind;
        assert_eq!(kind(Region::reserve(0, "").map(drop)), RegionErrorKind::BadSize);
        assert_eq!(kind(Region::reserve(usize::MAX, "").map(drop)), RegionErrorKind::BadSize);
        assert_eq!(kind(Region::reserve(isize::MAX.unsigned_abs(), "").map(drop)), RegionErrorKind::BadSize);
        let errno = Region::reserve(1 << 62, "vast").unwrap_err();
        assert!(matches!(errno.kind, RegionErrorKind::Os { errno } if errno != 0), "{errno}");
        let region = Region::reserve(8192, "small").unwrap();
        assert_eq!(kind(region.commit(0, 0)), RegionErrorKind::BadSize);
        assert_eq!(kind(region.commit(1, 4096)), RegionErrorKind::Unaligned);
        assert_eq!(kind(region.commit(0, 100)), RegionErrorKind::Unaligned);
        assert_eq!(kind(region.commit(4096, 8192)), RegionErrorKind::OutOfRange);
        assert_eq!(kind(region.commit(usize::MAX & !4095, 8192)), RegionErrorKind::OutOfRange);
        let text = region.commit(4096, 8192).unwrap_err().to_string();
        assert!(text.contains("`small`") && text.contains("commit 8 KiB"), "{text}");
    }
}
