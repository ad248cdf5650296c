//! Large blocks on the largest OS pages available: explicit huge pages, transparent ones, or
//! ordinary ones.
//!
//! Explicit huge pages are reserved by the machine's administrator, so the allocation succeeds or
//! fails at once. Transparent ones are advice, so their use is read from the page tables on
//! request.
#![expect(unsafe_code, reason = "returns a mapping of its own as a slice")]

use crate::error::{RegionError, RegionErrorKind, RegionOp};
use crate::file::Mapping;
use crate::huge_pages::{HUGE_PAGE, HugePageUsage};
use crate::machine::PageSizes;
use crate::os::{self, Advice};
use crate::page_allocator::map_aligned;
use crate::region::{residency, round_up};

/// Kind of OS pages of a large block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LargeKind {
    /// Explicit huge pages, reserved for the block.
    Explicit {
        /// Size of one, in bytes.
        page: usize,
    },
    /// Transparent huge pages; [`LargeBlock::report`] returns how many.
    Transparent,
    /// Ordinary OS pages: the kernel has no others.
    Ordinary,
}

/// Zeroed bytes of a mapping of their own, aligned to 2 MiB or more; unmapped on drop.
#[derive(Debug)]
pub struct LargeBlock {
    mapping: Mapping,
    len: usize,
    kind: LargeKind,
}

/// Allocates `size` zeroed bytes on the largest OS pages available that are not larger than the
/// block. One to four system calls.
///
/// ```
/// use arenite_pages::{LargeKind, large_alloc};
/// let mut block = large_alloc(8 << 20)?;
/// block.prefetch()?; // no fault later
/// match block.kind() {
///     LargeKind::Explicit { page } => println!("on explicit pages of {page} bytes"),
///     LargeKind::Transparent => println!("{:?}", block.report()?),
///     LargeKind::Ordinary => println!("this machine has no huge pages"),
/// }
/// block[8 << 19] = 1;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`RegionError`] if `size` is zero or overflows, or the system has no memory.
pub fn large_alloc(size: usize) -> Result<LargeBlock, RegionError> {
    let fail = |kind| RegionError::without_region(RegionOp::Reserve, kind, size);
    let top = isize::MAX.unsigned_abs() - HUGE_PAGE;
    if size == 0 || size > top {
        return Err(fail(RegionErrorKind::BadSize));
    }
    for (page, log2) in explicit_sizes(size) {
        let Some(mapped) = round_up(size, page) else { continue };
        if let Ok(base) = os::map_explicit_huge(mapped, log2) {
            // SAFETY: the mapping just made, in full.
            let mapping = unsafe { Mapping::own(base, mapped) };
            return Ok(LargeBlock { mapping, len: size, kind: LargeKind::Explicit { page } });
        }
    }
    let unit = if size >= HUGE_PAGE { HUGE_PAGE } else { os::page_size() };
    let mapped = round_up(size, unit).ok_or(fail(RegionErrorKind::BadSize))?;
    let base = map_aligned(mapped, HUGE_PAGE).map_err(|errno| fail(RegionErrorKind::Os { errno }))?;
    // SAFETY: the mapping just made.
    let advised = unsafe { os::advise(base, mapped, Advice::Huge) };
    let granted = advised.is_ok() && size >= HUGE_PAGE && PageSizes::read().grants_transparent();
    // SAFETY: the mapping just made, in full.
    let mapping = unsafe { Mapping::own(base, mapped) };
    Ok(LargeBlock {
        mapping,
        len: size,
        kind: if granted { LargeKind::Transparent } else { LargeKind::Ordinary },
    })
}

/// Returns the sizes of explicit huge pages that are free in sufficient number, largest first,
/// none larger than the block.
fn explicit_sizes(size: usize) -> Vec<(usize, u32)> {
    let mut sizes: Vec<(usize, u32)> = PageSizes::read()
        .explicit
        .iter()
        .filter_map(|huge| {
            let page = usize::try_from(huge.size).ok().filter(|page| page.is_power_of_two())?;
            let need = u64::try_from(size.div_ceil(page)).ok()?;
            (huge.free >= need && size >= page).then_some((page, page.trailing_zeros()))
        })
        .collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

impl LargeBlock {
    /// Returns the kind of its OS pages.
    #[must_use]
    pub const fn kind(&self) -> LargeKind {
        self.kind
    }

    /// Reads from the page tables how much of it is in memory, and how much on huge pages.
    ///
    /// # Errors
    /// [`std::io::Error`] if the kernel does not report it.
    pub fn report(&self) -> std::io::Result<HugePageUsage> {
        let start = self.mapping.as_ptr().addr().get();
        let mut report = residency(start..start + self.mapping.len())?;
        if let LargeKind::Explicit { .. } = self.kind {
            report.huge = report.resident;
        }
        Ok(report)
    }

    /// Populates every OS page now, so that no later access faults.
    ///
    /// # Errors
    /// [`RegionError`] if memory runs out, or the kernel is older than 5.14.
    pub fn prefetch(&mut self) -> Result<(), RegionError> {
        // SAFETY: the mapping is this value's own; the advice changes no contents.
        unsafe { os::advise(self.mapping.as_ptr(), self.mapping.len(), Advice::PopulateWrite) }.map_err(
            |errno| {
                let kind = RegionErrorKind::Os { errno: errno.raw_os_error() };
                RegionError::without_region(RegionOp::Prefetch, kind, self.len)
            },
        )
    }
}

impl core::ops::Deref for LargeBlock {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes of this value's own mapping, zeroed when it was made.
        unsafe { core::slice::from_raw_parts(self.mapping.as_ptr().as_ptr(), self.len) }
    }
}

impl core::ops::DerefMut for LargeBlock {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: `len` bytes of this value's own mapping, zeroed when it was made, and borrowed
        // exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.mapping.as_ptr().as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_alloc_reports_its_pages() {
        let mut block = large_alloc(5 << 20).unwrap();
        block.prefetch().unwrap();
        let report = block.report().unwrap();
        println!("{:?}: {report:?}", block.kind());
        assert!(block.len() == 5 << 20 && block.iter().all(|&byte| byte == 0));
        match block.kind() {
            LargeKind::Ordinary => assert_eq!(report.huge, 0),
            LargeKind::Transparent | LargeKind::Explicit { .. } => {
                assert!(report.resident >= 5 << 20 && report.huge <= report.resident, "{report:?}");
            }
        }
        block[(5 << 20) - 1] = 1;
    }

    #[test]
    fn large_alloc_uses_explicit_pages_when_reserved() {
        let pool = "/proc/sys/vm/nr_hugepages";
        let before = std::fs::read_to_string(pool).unwrap_or_default();
        // more than this test needs: other tests and processes use the same pool meanwhile
        if before.trim() != "0" || std::fs::write(pool, "16").is_err() {
            return println!("skipped: this process may not set huge pages aside, or some are already");
        }
        let block = large_alloc(3 << 20).map(|mut block| {
            block.fill(3);
            (block.kind(), block.report().unwrap().huge, block[0])
        });
        let aside = std::fs::read_to_string(pool).unwrap_or_default();
        std::fs::write(pool, before.trim()).unwrap();
        if aside.trim() != "16" {
            return println!("skipped: the machine had only {} huge pages to set aside", aside.trim());
        }
        assert_eq!(block.unwrap(), (LargeKind::Explicit { page: 2 << 20 }, 4 << 20, 3));
    }

    #[test]
    fn large_alloc_fails_on_invalid_sizes() {
        for size in [0, usize::MAX, isize::MAX.unsigned_abs()] {
            assert_eq!(large_alloc(size).unwrap_err().kind, RegionErrorKind::BadSize, "{size}");
        }
        assert!(matches!(large_alloc(1 << 62).unwrap_err().kind, RegionErrorKind::Os { .. }));
    }
}
