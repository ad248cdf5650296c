//! The caches between a processor and memory, from `/sys/devices/system/cpu/cpuN/cache`.
//!
//! Block sizes and alignments follow from a line's length and a level's size. Constants (32 KiB,
//! 256 KiB, 8 MiB) are wrong on most machines of the last ten years.

use super::procfs::parse::{parse_cpu_list, parse_size};
use super::procfs::sys_root::SysRoot;
use std::path::Path;

/// Contents of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheKind {
    /// Only data.
    Data,
    /// Only instructions.
    Instruction,
    /// Data and instructions.
    Unified,
}

/// One cache of the first processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cache {
    /// Level; 1 is the nearest.
    pub level: u32,
    /// Contents.
    pub kind: CacheKind,
    /// Size in bytes.
    pub size: u64,
    /// Length of a line in bytes.
    pub line: u64,
    /// Associativity; `None` if it is unknown or the cache is fully associative.
    pub ways: Option<u32>,
    /// Number of logical processors that share it.
    pub shared_by: usize,
}

/// The caches of the first processor. A machine with different cores has others too.
///
/// ```
/// use arenite_pages::machine::Caches;
/// let caches = Caches::read();
/// let block = caches.l1d().map_or(32 << 10, |cache| cache.size) / 2;
/// assert!(block > 0);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caches {
    /// Nearest first, data before instructions.
    pub levels: Vec<Cache>,
}

impl Caches {
    /// Reads the caches of this machine.
    ///
    /// ```
    /// println!("{:?}", arenite_pages::machine::Caches::read().l2());
    /// ```
    #[must_use]
    pub fn read() -> Self {
        Self::from_root(SysRoot::real())
    }

    /// Reads the caches of the machine below `root`.
    ///
    /// ```
    /// use arenite_pages::machine::Caches;
    /// assert_eq!(Caches::read_at("/nonexistent".as_ref()), Caches::default());
    /// ```
    #[must_use]
    pub fn read_at(root: &Path) -> Self {
        Self::from_root(SysRoot::at(root))
    }

    /// Returns the first level's data cache.
    ///
    /// ```
    /// assert!(arenite_pages::machine::Caches::default().l1d().is_none());
    /// ```
    #[must_use]
    pub fn l1d(&self) -> Option<&Cache> {
        self.find(1, |kind| kind != CacheKind::Instruction)
    }

    /// Returns the second level.
    ///
    /// ```
    /// assert!(arenite_pages::machine::Caches::default().l2().is_none());
    /// ```
    #[must_use]
    pub fn l2(&self) -> Option<&Cache> {
        self.find(2, |kind| kind != CacheKind::Instruction)
    }

    /// Returns the third level.
    ///
    /// ```
    /// assert!(arenite_pages::machine::Caches::default().l3().is_none());
    /// ```
    #[must_use]
    pub fn l3(&self) -> Option<&Cache> {
        self.find(3, |kind| kind != CacheKind::Instruction)
    }

    /// Returns the length in bytes of the line that moves between processors: the longest of all
    /// levels.
    ///
    /// ```
    /// assert_eq!(arenite_pages::machine::Caches::default().line(), None);
    /// ```
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.levels.iter().map(|cache| cache.line).max()
    }

    fn find(&self, level: u32, fits: impl Fn(CacheKind) -> bool) -> Option<&Cache> {
        self.levels.iter().find(|cache| cache.level == level && fits(cache.kind))
    }

    pub(super) fn from_root(root: SysRoot<'_>) -> Self {
        let dir = Path::new("/sys/devices/system/cpu");
        let of_cpu = |cpu: usize| {
            let dir = dir.join(format!("cpu{cpu}/cache"));
            let indices = root.numbered_entries(&dir, "index");
            let found: Vec<_> =
                indices.iter().filter_map(|index| cache(root, &dir.join(format!("index{index}")))).collect();
            (!found.is_empty()).then_some(found)
        };
        let mut levels = root.numbered_entries(dir, "cpu").into_iter().find_map(of_cpu).unwrap_or_default();
        levels.sort_by_key(|cache| (cache.level, cache.kind == CacheKind::Instruction));
        Self { levels }
    }
}

fn cache(root: SysRoot<'_>, dir: &Path) -> Option<Cache> {
    let number = |file: &str| root.read_number(dir.join(file));
    let kind = match root.read_line(dir.join("type"))?.as_str() {
        "Data" => CacheKind::Data,
        "Instruction" => CacheKind::Instruction,
        "Unified" => CacheKind::Unified,
        _ => return None,
    };
    let shared = root.read_text(dir.join("shared_cpu_list")).and_then(|text| parse_cpu_list(&text));
    Some(Cache {
        level: u32::try_from(number("level")?).ok()?,
        kind,
        size: parse_size(&root.read_text(dir.join("size"))?).filter(|&bytes| bytes > 0)?,
        line: number("coherency_line_size").filter(|line| line.is_power_of_two())?,
        ways: number("ways_of_associativity")
            .and_then(|ways| u32::try_from(ways).ok())
            .filter(|&ways| ways > 0),
        shared_by: shared.map_or(1, |cpus| cpus.len().max(1)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;
    use proptest::prelude::*;

    fn with_cache(fixture: Fixture, cpu: usize, index: usize, files: [&str; 6]) -> Fixture {
        let names =
            ["level", "type", "size", "coherency_line_size", "ways_of_associativity", "shared_cpu_list"];
        names.iter().zip(files).fold(fixture, |fixture, (name, text)| {
            fixture.file(&format!("/sys/devices/system/cpu/cpu{cpu}/cache/index{index}/{name}"), text)
        })
    }

    #[test]
    fn n16_caches_are_read_when_the_first_processor_is_off() {
        let fixture = Fixture::new().file("/sys/devices/system/cpu/cpu0/online", "0");
        let fixture = with_cache(fixture, 2, 0, ["1", "Instruction", "32K", "64", "8", "2-3"]);
        let fixture = with_cache(fixture, 2, 1, ["1", "Data", "48K", "64", "12", "2-3"]);
        let fixture = with_cache(fixture, 2, 2, ["2", "Unified", "2048K", "64", "16", "2-3"]);
        let fixture = with_cache(fixture, 2, 3, ["3", "Unified", "36M", "64", "0", "0-63"]);
        let fixture = with_cache(fixture, 2, 4, ["4", "Sideways", "1K", "64", "1", ""]);
        let caches = Caches::read_at(fixture.path());
        assert_eq!(caches.levels.len(), 4, "the garbled one is left out");
        assert_eq!(caches.l1d().map(|cache| (cache.size, cache.ways)), Some((49_152, Some(12))));
        assert_eq!(caches.l2().map(|cache| cache.shared_by), Some(2));
        assert_eq!(
            caches.l3().map(|cache| (cache.size, cache.ways, cache.shared_by)),
            Some((36 << 20, None, 64))
        );
        assert_eq!(caches.line(), Some(64));
    }

    #[test]
    fn n16_real_caches_grow_with_their_level() {
        let caches = Caches::read();
        let data: Vec<_> =
            caches.levels.iter().filter(|cache| cache.kind != CacheKind::Instruction).collect();
        assert!(data.windows(2).all(|pair| pair[0].level < pair[1].level), "{data:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn n16_garbled_cache_files_never_panic(files in proptest::array::uniform6("[0-9A-Za-z,\\- ]{0,12}")) {
            let fixture = with_cache(Fixture::new(), 0, 0, files.each_ref().map(String::as_str));
            prop_assert!(Caches::read_at(fixture.path()).levels.len() <= 1);
        }
    }
}
