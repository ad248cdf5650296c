//! The machine's memory now, from `/proc/meminfo`.
//!
//! Decide by `available`: `free` excludes the page cache that the kernel reclaims on demand.

use super::procfs::parse::{kib_field, number_field};
use super::procfs::sys_root::SysRoot;
use std::path::Path;

/// The machine's memory now, in bytes.
///
/// ```
/// use arenite_pages::machine::Meminfo;
/// if let Some(memory) = Meminfo::read() {
///     assert!(memory.free <= memory.total && memory.available <= memory.total);
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meminfo {
    /// Memory that the kernel can use.
    pub total: u64,
    /// Unused memory.
    pub free: u64,
    /// Memory that programs can allocate without swapping, by the kernel's estimate; `free` before
    /// Linux 3.14.
    pub available: u64,
    /// Size of the swap space.
    pub swap_total: u64,
    /// Unused swap space.
    pub swap_free: u64,
    /// Anonymous memory in transparent huge pages.
    pub anon_huge: u64,
    /// Size of the default explicit huge page, or 0 if there is none.
    pub huge_size: u64,
    /// Number of explicit huge pages of that size.
    pub huge_total: u64,
    /// Number of those that are free.
    pub huge_free: u64,
    /// Locked memory.
    pub locked: u64,
    /// Commit limit, if the kernel enforces it (overcommit mode 2).
    pub commit_limit: u64,
    /// Committed memory.
    pub committed: u64,
}

impl Meminfo {
    /// Reads the memory of this machine.
    ///
    /// ```
    /// assert_eq!(arenite_pages::machine::Meminfo::read().is_some(), cfg!(target_os = "linux"));
    /// ```
    #[must_use]
    pub fn read() -> Option<Self> {
        Self::from_root(SysRoot::real())
    }

    /// Reads the memory of the machine below `root`.
    ///
    /// ```
    /// assert_eq!(arenite_pages::machine::Meminfo::read_at("/nonexistent".as_ref()), None);
    /// ```
    #[must_use]
    pub fn read_at(root: &Path) -> Option<Self> {
        Self::from_root(SysRoot::at(root))
    }

    /// Parses the content of `/proc/meminfo`. Returns `None` without a total and a free size.
    ///
    /// ```
    /// use arenite_pages::machine::Meminfo;
    /// let memory = Meminfo::parse("MemTotal: 8 kB\nMemFree: 4 kB\nMemAvailable: 6 kB\n").unwrap();
    /// assert_eq!((memory.total, memory.available), (8192, 6144));
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let total = kib_field(text, "MemTotal")?;
        let free = kib_field(text, "MemFree")?.min(total);
        let kib = |name: &str| kib_field(text, name).unwrap_or(0);
        let count = |name: &str| number_field(text, name).unwrap_or(0);
        Some(Self {
            total,
            free,
            available: kib_field(text, "MemAvailable").unwrap_or(free).min(total),
            swap_total: kib("SwapTotal"),
            swap_free: kib("SwapFree"),
            anon_huge: kib("AnonHugePages"),
            huge_size: kib("Hugepagesize"),
            huge_total: count("HugePages_Total"),
            huge_free: count("HugePages_Free"),
            locked: kib("Mlocked"),
            commit_limit: kib("CommitLimit"),
            committed: kib("Committed_AS"),
        })
    }

    pub(super) fn from_root(root: SysRoot<'_>) -> Option<Self> {
        root.read(Path::new("/proc"), "meminfo", Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn u24_available_is_free_memory_on_an_old_kernel() {
        let memory =
            Meminfo::parse("MemTotal: 100 kB\nMemFree: 40 kB\nHugePages_Total: 3\nHugepagesize: 2048 kB\n");
        let memory = memory.unwrap();
        assert_eq!((memory.available, memory.huge_total, memory.huge_size), (40 << 10, 3, 2 << 20));
        assert_eq!(memory.swap_total, 0);
    }

    #[test]
    fn u24_meminfo_is_none_when_truncated() {
        for text in ["", "MemTotal: 100 kB\n", "MemTotal: 100 kB\nMemFr", "MemTotal: x kB\nMemFree: 1 kB"] {
            assert_eq!(Meminfo::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn u24_any_text_is_a_consistent_memory_or_none(
            text in any::<String>(), total in any::<u64>(), free in any::<u64>(), available in any::<u64>(), cut in 0_usize..90,
        ) {
            prop_assert_eq!(Meminfo::parse(&text).is_some_and(|memory| memory.free > memory.total), false);
            let text = format!("MemTotal: {total} kB\nMemFree: {free} kB\nMemAvailable: {available} kB\n");
            let text = text.get(..cut).unwrap_or(&text);
            prop_assert!(Meminfo::parse(text).is_none_or(|m| m.free <= m.total && m.available <= m.total));
        }
    }
}
