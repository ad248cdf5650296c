//! Resident parts of an address range, read from the page tables.

use crate::huge_pages::HugePageUsage;
use crate::os::{self, Run, kind};
use core::ops::Range;
use std::fs::File;
use std::os::fd::AsFd;

/// Returns how many bytes of a range of addresses of this process (multiples of the OS page) are
/// in memory. Unmapped addresses count as absent. Reads the page tables.
///
/// # Errors
/// [`std::io::Error`] if the kernel does not report it.
///
/// ```
/// let region = arenite_pages::Region::reserve(1 << 20, "some")?;
/// let start = region.as_ptr().addr().get();
/// assert_eq!(arenite_pages::resident_bytes(start..start + (1 << 20))?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn resident_bytes(range: Range<usize>) -> std::io::Result<usize> {
    residency(range).map(|found| found.resident)
}

/// Counts the resident bytes of a range, by a scan of the page tables if the kernel has it.
pub(crate) fn residency(range: Range<usize>) -> std::io::Result<HugePageUsage> {
    let mut report = HugePageUsage::default();
    let scanned = page_runs(range.clone(), kind::PRESENT, |run| {
        if run.kinds & kind::ZERO == 0 {
            report.resident += run.end - run.start;
            if run.kinds & kind::HUGE != 0 {
                report.huge += run.end - run.start;
            }
        }
    });
    match scanned {
        Ok(()) => Ok(report),
        Err(_) => HugePageUsage::of_range(range.start, range.len()),
    }
}

/// Calls `visit` with each run of OS pages in `range` that is of `any_of` these kinds.
pub(crate) fn page_runs(range: Range<usize>, any_of: u64, mut visit: impl FnMut(Run)) -> std::io::Result<()> {
    let pagemap = File::open("/proc/self/pagemap")?;
    let scan = os::Scan { any_of, returned: any_of | kind::ZERO | kind::HUGE, rearm: false };
    let (mut found, mut at) = ([Run::default(); 64], range.start);
    while at < range.end {
        let (count, walked) = os::scan(pagemap.as_fd(), (at, range.end), scan, &mut found)?;
        found[..count].iter().copied().for_each(&mut visit);
        if walked <= at {
            break;
        }
        at = walked;
    }
    Ok(())
}
