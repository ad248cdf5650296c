//! The sizes of OS pages, and the huge pages that this machine has.
//!
//! Huge pages depend on hardware and policy, and three files can each disable them: this module
//! combines them. `/proc/self/auxv` contains the size of an OS page.

use super::procfs::parse::{number_field, selected_option};
use super::procfs::sys_root::SysRoot;
use std::path::Path;

/// The kernel's policy for transparent huge pages of the usual size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransparentHugePages {
    /// Every suitable mapping gets them.
    Always,
    /// A mapping with `madvise` gets them.
    Madvise,
    /// No mapping gets them.
    Never,
    /// Unknown: the kernel has none, or `/sys` is hidden.
    Unknown,
}

impl TransparentHugePages {
    /// Parses the content of an `enabled` file.
    ///
    /// ```
    /// use arenite_pages::machine::TransparentHugePages;
    /// let policy = TransparentHugePages::parse("always [madvise] never");
    /// assert_eq!(policy, TransparentHugePages::Madvise);
    /// assert_eq!(TransparentHugePages::parse("garbage"), TransparentHugePages::Unknown);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match selected_option(text) {
            Some("always") => Self::Always,
            Some("madvise") => Self::Madvise,
            Some("never") => Self::Never,
            _ => Self::Unknown,
        }
    }
}

/// Explicit huge pages of one size, reserved by the administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugetlbPool {
    /// Size of one huge page in bytes.
    pub size: u64,
    /// Number of huge pages in the pool.
    pub total: u64,
    /// Number of those that are free.
    pub free: u64,
    /// Number of the free huge pages that are reserved for an existing mapping.
    pub reserved: u64,
}

impl HugetlbPool {
    /// Returns the bytes that a new mapping can still get.
    ///
    /// ```
    /// use arenite_pages::machine::HugetlbPool;
    /// let huge = HugetlbPool { size: 2 << 20, total: 8, free: 5, reserved: 1 };
    /// assert_eq!(huge.available_bytes(), 8 << 20);
    /// ```
    #[must_use]
    pub fn available_bytes(&self) -> u64 {
        self.free.saturating_sub(self.reserved).saturating_mul(self.size)
    }
}

/// The OS pages of this machine.
///
/// ```
/// use arenite_pages::machine::PageSizes;
/// let pages = PageSizes::read();
/// assert!(pages.size.is_none_or(u64::is_power_of_two));
/// assert!(pages.explicit.iter().all(|huge| huge.free <= huge.total));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageSizes {
    /// Size of an OS page in bytes.
    pub size: Option<u64>,
    /// Policy for transparent huge pages of `transparent_size`.
    pub transparent: TransparentHugePages,
    /// Size of a transparent huge page in bytes.
    pub transparent_size: Option<u64>,
    /// Whether transparent huge pages are enabled for this process (`prctl`, `THP_enabled`); `None`
    /// before Linux 5.0.
    pub transparent_here: Option<bool>,
    /// Effort of the kernel to find a huge page: the selected option of `defrag`.
    pub defrag: Option<String>,
    /// Policy for shared memory: the selected option of `shmem_enabled`.
    pub shmem: Option<String>,
    /// Explicit huge pages, smallest size first, including empty pools.
    pub explicit: Vec<HugetlbPool>,
}

impl PageSizes {
    /// Reads the OS pages of this machine.
    ///
    /// ```
    /// println!("{:?}", arenite_pages::machine::PageSizes::read().transparent);
    /// ```
    #[must_use]
    pub fn read() -> Self {
        Self::from_root(SysRoot::real())
    }

    /// Reads the OS pages of the machine below `root`.
    ///
    /// ```
    /// let nothing = arenite_pages::machine::PageSizes::read_at("/nonexistent".as_ref());
    /// assert_eq!(nothing.size, None);
    /// ```
    #[must_use]
    pub fn read_at(root: &Path) -> Self {
        Self::from_root(SysRoot::at(root))
    }

    /// Returns whether the policy gives transparent huge pages to memory with `madvise`.
    ///
    /// ```
    /// let pages = arenite_pages::machine::PageSizes::read_at("/nonexistent".as_ref());
    /// assert!(!pages.grants_transparent());
    /// ```
    #[must_use]
    pub fn grants_transparent(&self) -> bool {
        let policy = matches!(self.transparent, TransparentHugePages::Always | TransparentHugePages::Madvise);
        policy && self.transparent_here != Some(false)
    }

    pub(super) fn from_root(root: SysRoot<'_>) -> Self {
        let dir = Path::new("/sys/kernel/mm/transparent_hugepage");
        let word = |file: &str| selected_option(&root.read_text(dir.join(file))?).map(str::to_owned);
        let transparent_size = root.read_number(dir.join("hpage_pmd_size"));
        let here = root.read_text("/proc/self/status").and_then(|text| number_field(&text, "THP_enabled"));
        Self {
            size: page_size(root),
            transparent: transparent(root, dir, transparent_size),
            transparent_size,
            transparent_here: here.map(|flag| flag != 0),
            defrag: word("defrag"),
            shmem: word("shmem_enabled"),
            explicit: explicit(root),
        }
    }
}

/// Returns the policy for the usual size: since Linux 6.8 each size has its own file, which may be
/// `inherit`.
fn transparent(root: SysRoot<'_>, dir: &Path, size: Option<u64>) -> TransparentHugePages {
    let own = size.map(|size| dir.join(format!("hugepages-{}kB", size >> 10)).join("enabled"));
    let policy = |text: String| TransparentHugePages::parse(&text);
    match own.and_then(|file| root.read_text(file)).map(policy) {
        Some(own) if own != TransparentHugePages::Unknown => own,
        _ => root.read_text(dir.join("enabled")).map_or(TransparentHugePages::Unknown, policy),
    }
}

/// Returns the size in the auxiliary vector. If that is hidden (a process that must not be
/// traced), divides the process's size in bytes by the one in OS pages. The quotient is right if
/// nothing was mapped between the two reads.
fn page_size(root: SysRoot<'_>) -> Option<u64> {
    let auxv =
        root.resolve("/proc/self/auxv").and_then(|path| page_size_of_auxv(&std::fs::read(&*path).ok()?));
    auxv.or_else(|| {
        let bytes = stat_field(&root.read_text("/proc/self/stat")?, 23)?;
        let pages: u64 = root.read_text("/proc/self/statm")?.split_whitespace().next()?.parse().ok()?;
        let size = bytes.checked_div(pages)?;
        (size.checked_mul(pages) == Some(bytes)).then_some(size)
    })
    .filter(|size| size.is_power_of_two())
}

/// Returns `AT_PAGESZ` (6) in pairs of machine words.
fn page_size_of_auxv(bytes: &[u8]) -> Option<u64> {
    let word = |bytes: &[u8]| bytes.try_into().ok().map(usize::from_ne_bytes);
    let (pairs, _) = bytes.as_chunks::<{ 2 * size_of::<usize>() }>();
    let pair = pairs.iter().find(|pair| word(&pair[..size_of::<usize>()]) == Some(6))?;
    u64::try_from(word(&pair[size_of::<usize>()..])?).ok()
}

/// Returns field `number` of `/proc/self/stat` (from 1, as in `proc(5)`), for fields after the
/// name in parentheses.
pub(super) fn stat_field(text: &str, number: usize) -> Option<u64> {
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn explicit(root: SysRoot<'_>) -> Vec<HugetlbPool> {
    let dir = Path::new("/sys/kernel/mm/hugepages");
    let read = |name: &String| {
        let kib: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let count = |file: &str| root.read_number(dir.join(name).join(file));
        let total = count("nr_hugepages")?;
        let free = count("free_hugepages").unwrap_or(0).min(total);
        Some(HugetlbPool {
            size: kib.checked_mul(1024)?,
            total,
            free,
            reserved: count("resv_hugepages").unwrap_or(0).min(free),
        })
    };
    let mut sizes: Vec<_> = root.dir_names(dir).iter().filter_map(read).collect();
    sizes.sort_unstable_by_key(|huge| huge.size);
    sizes
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;
    use proptest::prelude::*;

    const THP: &str = "/sys/kernel/mm/transparent_hugepage";

    fn auxv(pairs: &[(usize, usize)]) -> Vec<u8> {
        pairs.iter().flat_map(|(key, value)| [key.to_ne_bytes(), value.to_ne_bytes()].concat()).collect()
    }

    #[test]
    fn n16_page_sizes_are_read_from_a_fixture() {
        let fixture = Fixture::new()
            .bytes("/proc/self/auxv", &auxv(&[(33, 1), (6, 65_536), (0, 0)]))
            .file("/proc/self/status", "Name:\tx\nTHP_enabled:\t0\n")
            .file(&format!("{THP}/enabled"), "[always] madvise never\n")
            .file(&format!("{THP}/defrag"), "always defer defer+madvise [madvise] never\n")
            .file(&format!("{THP}/hpage_pmd_size"), "2097152\n")
            .file("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0\n")
            .file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "8\n")
            .file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "99\n")
            .file("/sys/kernel/mm/hugepages/garbage/nr_hugepages", "1\n");
        let pages = PageSizes::read_at(fixture.path());
        assert_eq!((pages.size, pages.transparent), (Some(65_536), TransparentHugePages::Always));
        assert_eq!(pages.defrag.as_deref(), Some("madvise"));
        assert_eq!(pages.shmem, None);
        assert!(!pages.grants_transparent(), "the process was denied them");
        let two_mib = HugetlbPool { size: 2 << 20, total: 8, free: 8, reserved: 0 };
        assert_eq!(pages.explicit, [two_mib, HugetlbPool { size: 1 << 30, total: 0, free: 0, reserved: 0 }]);
    }

    #[test]
    fn n16_file_of_a_size_overrides_the_general_one() {
        let with = |own: &str| {
            let fixture = Fixture::new()
                .file(&format!("{THP}/enabled"), "always madvise [never]")
                .file(&format!("{THP}/hpage_pmd_size"), "2097152")
                .file(&format!("{THP}/hugepages-2048kB/enabled"), own);
            PageSizes::read_at(fixture.path()).transparent
        };
        assert_eq!(with("always inherit [madvise] never"), TransparentHugePages::Madvise);
        assert_eq!(with("always [inherit] madvise never"), TransparentHugePages::Never);
        assert_eq!(with(""), TransparentHugePages::Never);
    }

    #[test]
    fn n16_page_size_is_found_without_the_auxiliary_vector() {
        let stat = |vsize: &str| format!("1 (a) b) S {} {vsize} 9", "0 ".repeat(19).trim());
        let of = |vsize: &str, pages: &str| {
            let fixture =
                Fixture::new().file("/proc/self/stat", &stat(vsize)).file("/proc/self/statm", pages);
            PageSizes::read_at(fixture.path()).size
        };
        assert_eq!(of("40960", "10 3 2"), Some(4096));
        assert_eq!(of("40961", "10 3 2"), None, "something was mapped in between");
        assert_eq!(of("40960", "0"), None);
    }

    #[test]
    fn n16_real_machine_has_pages_of_a_power_of_two() {
        if cfg!(target_os = "linux") {
            assert!(PageSizes::read().size.is_some_and(|size| size.is_power_of_two() && size >= 4096));
        }
    }

    proptest! {
        #[test]
        fn n16_any_bytes_have_a_page_size_or_none(bytes in any::<Vec<u8>>(), text in any::<String>(), at in 0_usize..60) {
            prop_assert!(page_size_of_auxv(&bytes).is_none() || bytes.len() >= 2 * size_of::<usize>());
            prop_assert!(stat_field(&text, at).is_none() || text.contains(')'));
            prop_assert!(TransparentHugePages::parse(&text) == TransparentHugePages::Unknown || text.contains('['));
        }
    }
}
