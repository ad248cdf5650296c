//! The use of huge pages, read from `/proc/self/smaps`.
//!
//! Transparent huge pages are advice, so only the kernel knows what a range got.

use std::io::{BufRead, BufReader};

/// Size of a transparent huge page on x86-64 and (with 4 KiB OS pages) aarch64: 2 MiB.
pub const HUGE_PAGE: usize = 2 << 20;

/// The resident part of a range. All sizes are in bytes.
///
/// ```
/// let report = arenite_pages::HugePageUsage { resident: 4 << 20, huge: 2 << 20 };
/// assert_eq!(report.huge_fraction(), 0.5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HugePageUsage {
    /// Bytes in memory.
    pub resident: usize,
    /// Bytes in memory on huge pages.
    pub huge: usize,
}

impl HugePageUsage {
    /// Returns the fraction of resident bytes that lies on huge pages, 0 to 1, or 0 if nothing is
    /// resident.
    #[must_use]
    pub fn huge_fraction(&self) -> f64 {
        if self.resident == 0 { 0.0 } else { self.huge as f64 / self.resident as f64 }
    }

    /// Reads the mappings that overlap `[start, start + len)`. A mapping that overlaps in part
    /// counts in full, which happens only if the kernel merged neighbours.
    pub(crate) fn of_range(start: usize, len: usize) -> std::io::Result<Self> {
        let smaps = std::fs::File::open("/proc/self/smaps")?;
        Self::parse(BufReader::new(smaps), start, len)
    }

    fn parse(smaps: impl BufRead, start: usize, len: usize) -> std::io::Result<Self> {
        let mut report = Self::default();
        let mut inside = false;
        for line in smaps.lines() {
            let line = line?;
            if let Some((from, to)) = address_range(&line) {
                inside = from < start.saturating_add(len) && to > start;
            } else if inside {
                report.resident += kibibytes(&line, "Rss:");
                report.huge += kibibytes(&line, "AnonHugePages:");
            }
        }
        Ok(report)
    }
}

/// Returns the range in a mapping's first line, as in `7f00-7f10 rw-p …`.
fn address_range(line: &str) -> Option<(usize, usize)> {
    let (from, to) = line.split_whitespace().next()?.split_once('-')?;
    Some((usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?))
}

/// Returns the bytes in a line `Name:   12 kB`, or 0 for any other line.
fn kibibytes(line: &str, name: &str) -> usize {
    let number = line.strip_prefix(name).and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse::<usize>().ok()).map_or(0, |kib| kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Region;

    #[test]
    fn parser_counts_only_mappings_that_overlap() {
        let text = "1000-3000 rw-p 00000000 00:00 0 \nRss:   8 kB\nAnonHugePages:   4 kB\n5000-6000 r--p 0 0 0\nRss: 4 kB\ngarbage\n";
        let read = |start, len| HugePageUsage::parse(text.as_bytes(), start, len).unwrap();
        assert_eq!(read(0x2000, 0x1000), HugePageUsage { resident: 8192, huge: 4096 });
        assert_eq!(read(0x3000, 0x2000), HugePageUsage::default());
        assert_eq!(read(0, usize::MAX), HugePageUsage { resident: 12288, huge: 4096 });
    }

    #[test]
    fn huge_advice_works_when_the_machine_grants_it() {
        let region = Region::reserve(4 * HUGE_PAGE, "huge").unwrap();
        if let Err(error) = region.advise_huge(0, 4 * HUGE_PAGE, true) {
            println!("skipped: this kernel takes no advice on huge pages ({error})");
            return;
        }
        region.commit(0, 2 * HUGE_PAGE).unwrap();
        #[expect(unsafe_code, reason = "touches committed memory")]
        // SAFETY: the byte is committed and this test's own.
        unsafe {
            region.as_ptr().write(1);
        }
        let report = region.huge_report().unwrap();
        assert!(report.resident >= 4096, "{report:?}");
        let granted =
            std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
        if granted.contains("[never]") || granted.is_empty() {
            println!("skipped the check of huge pages: this machine grants none");
        } else {
            assert_eq!(report.huge, HUGE_PAGE, "{report:?}");
        }
    }
}
