//! The control group of this process: its memory limits and usage, on every level above it.
//!
//! `/proc/self/cgroup` names the group, `/proc/self/mountinfo` its mount, and the memory
//! controller (version 1 or 2) has the files. Every level up to the mount is read, because any of
//! them can bind. A container's own group often has the limit `max` while its parent kills it.

use crate::machine::procfs::cgroup_mount::{CgroupVersion, mounted, own_group};
use crate::machine::procfs::fixed_path::FixedPath;
use crate::machine::procfs::parse::key_value;
use crate::machine::procfs::sys_root::SysRoot;
use std::path::{Path, PathBuf};

/// Minimum version 1 limit that means none: the kernel rounds `i64::MAX` down to an OS page.
const NO_LIMIT: u64 = 1 << 62;

/// One level of the tree of control groups. `None` is an unset limit or a missing file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupLevel {
    /// The group's directory, as this process sees it.
    pub path: PathBuf,
    /// Bytes above which the kernel kills.
    pub limit: Option<u64>,
    /// Bytes above which the kernel throttles allocation (version 2).
    pub high: Option<u64>,
    /// Bytes used, including page cache.
    pub usage: Option<u64>,
    /// Bytes of the usage that the kernel reclaims on demand: inactive page cache.
    pub reclaimable: u64,
    /// Bytes of swap space that the group may use beside its memory.
    pub swap_limit: Option<u64>,
}

impl CgroupLevel {
    /// Returns the bytes available on this level: the lower of its limits minus the usage that is
    /// not reclaimable.
    ///
    /// ```
    /// use arenite_pages::machine::CgroupLevel;
    /// let level = CgroupLevel {
    ///     path: "/sys/fs/cgroup/job".into(),
    ///     limit: Some(100),
    ///     high: None,
    ///     usage: Some(70),
    ///     reclaimable: 20,
    ///     swap_limit: None,
    /// };
    /// assert_eq!(level.headroom(), Some(50));
    /// ```
    #[must_use]
    pub fn headroom(&self) -> Option<u64> {
        Some(self.lowest_limit()?.saturating_sub(self.usage?.saturating_sub(self.reclaimable)))
    }

    /// Returns the lower of its limits.
    pub(crate) fn lowest_limit(&self) -> Option<u64> {
        self.limit.into_iter().chain(self.high).min()
    }
}

/// The control group of this process, with all levels above it.
///
/// ```
/// use arenite_pages::machine::Cgroup;
/// if let Some(cgroup) = Cgroup::read() {
///     println!("limit {:?}, headroom {:?}", cgroup.limit(), cgroup.headroom());
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    /// Version of the interface.
    pub version: CgroupVersion,
    /// The process's own group first, then its parents up to the mount.
    pub levels: Vec<CgroupLevel>,
}

impl Cgroup {
    /// Reads the group of this process, or returns `None` without a visible memory controller.
    ///
    /// ```
    /// println!("{:?}", arenite_pages::machine::Cgroup::read());
    /// ```
    #[must_use]
    pub fn read() -> Option<Self> {
        Self::from_root(SysRoot::real())
    }

    /// Reads the group of the machine below `root`.
    ///
    /// ```
    /// assert_eq!(arenite_pages::machine::Cgroup::read_at("/nonexistent".as_ref()), None);
    /// ```
    #[must_use]
    pub fn read_at(root: &Path) -> Option<Self> {
        Self::from_root(SysRoot::at(root))
    }

    /// Returns the level with the smallest limit.
    ///
    /// ```
    /// # use arenite_pages::machine::{Cgroup, CgroupVersion};
    /// assert!(Cgroup { version: CgroupVersion::V2, levels: vec![] }.binding_level().is_none());
    /// ```
    #[must_use]
    pub fn binding_level(&self) -> Option<&CgroupLevel> {
        self.levels.iter().filter(|level| level.limit.is_some()).min_by_key(|level| level.limit)
    }

    /// Returns the smallest limit of all levels in bytes, or `None` without one.
    ///
    /// ```
    /// # use arenite_pages::machine::{Cgroup, CgroupVersion};
    /// assert_eq!(Cgroup { version: CgroupVersion::V2, levels: vec![] }.limit(), None);
    /// ```
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        self.binding_level()?.limit
    }

    /// Returns the bytes available on all levels, or `None` without a limit.
    ///
    /// ```
    /// # use arenite_pages::machine::{Cgroup, CgroupVersion};
    /// assert_eq!(Cgroup { version: CgroupVersion::V2, levels: vec![] }.headroom(), None);
    /// ```
    #[must_use]
    pub fn headroom(&self) -> Option<u64> {
        self.levels.iter().filter_map(CgroupLevel::headroom).min()
    }

    pub(crate) fn from_root(root: SysRoot<'_>) -> Option<Self> {
        let mut levels = Vec::new();
        let version =
            for_each_level(root, |dir, level| levels.push(CgroupLevel { path: dir.to_path_buf(), ..level }))?;
        Some(Self { version, levels })
    }
}

/// Calls `found` with the version, the mount and the directory of this process's group. Needs no
/// heap memory, unless the list of groups exceeds 4 KiB or is no UTF-8.
pub(crate) fn with_cgroup<A>(
    root: SysRoot<'_>,
    found: impl FnOnce(CgroupVersion, &Path, &Path) -> Option<A>,
) -> Option<A> {
    let (mut mount, mut dir) = (FixedPath::new(), FixedPath::new());
    let version = find_mount(root, &mut mount, &mut dir)?;
    found(version, &mount, &dir)
}

/// Sets `mount` and `dir`. Not inlined, so that its buffers leave the stack on return.
#[inline(never)]
fn find_mount(root: SysRoot<'_>, mount: &mut FixedPath, dir: &mut FixedPath) -> Option<CgroupVersion> {
    let mut group = FixedPath::new();
    let version = root.read(Path::new("/proc/self/cgroup"), "", |groups| {
        let (version, own) = own_group(groups)?;
        group.set(Path::new(own)).map(|()| version)
    })?;
    let group = group.to_str()?;
    root.find_line("/proc/self/mountinfo", |line| mounted(line, version, group, mount, dir))?;
    Some(version)
}

/// Returns the existing directories of a group and its parents, its own first.
pub(crate) fn level_paths<'a>(
    root: SysRoot<'a>,
    mount: &'a Path,
    dir: &'a Path,
) -> impl Iterator<Item = &'a Path> {
    let inside = dir.ancestors().take_while(move |dir| dir.starts_with(mount));
    inside.filter(move |dir| root.has_dir(dir))
}

/// Calls `visit` with the directory and values (without a path) of each level, this process's own
/// group first. Returns `None` if there is none. Needs no heap memory.
pub(crate) fn for_each_level(
    root: SysRoot<'_>,
    mut visit: impl FnMut(&Path, CgroupLevel),
) -> Option<CgroupVersion> {
    with_cgroup(root, |version, mount, dir| {
        let read = match version {
            CgroupVersion::V1 => read_v1_level,
            CgroupVersion::V2 => read_v2_level,
        };
        let mut any = false;
        for dir in level_paths(root, mount, dir) {
            any = true;
            visit(dir, read(root, dir));
        }
        any.then_some(version)
    })
}

fn read_v1_level(root: SysRoot<'_>, dir: &Path) -> CgroupLevel {
    let limit = |file: &str| root.read_number_in(dir, file).filter(|&bytes| bytes < NO_LIMIT);
    let (memory, both) = (limit("memory.limit_in_bytes"), limit("memory.memsw.limit_in_bytes"));
    let inactive = root.read(dir, "memory.stat", |stat| {
        key_value(stat, "total_inactive_file").or_else(|| key_value(stat, "inactive_file"))
    });
    CgroupLevel {
        path: PathBuf::new(),
        limit: memory.into_iter().chain(both).min(),
        high: None,
        usage: root.read_number_in(dir, "memory.usage_in_bytes"),
        reclaimable: inactive.unwrap_or(0),
        swap_limit: both.map(|both| both.saturating_sub(memory.unwrap_or(0))),
    }
}

fn read_v2_level(root: SysRoot<'_>, dir: &Path) -> CgroupLevel {
    // `max` is no number, and means no limit
    let number = |file: &str| root.read_number_in(dir, file);
    let inactive = root.read(dir, "memory.stat", |stat| key_value(stat, "inactive_file"));
    CgroupLevel {
        path: PathBuf::new(),
        limit: number("memory.max"),
        high: number("memory.high"),
        usage: number("memory.current"),
        reclaimable: inactive.unwrap_or(0),
        swap_limit: number("memory.swap.max"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fixture::Fixture;

    const V1_MOUNTS: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        32 31 0:31 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    const V2_MOUNTS: &str =
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    fn machine(cgroup: &str, mounts: &str) -> Fixture {
        Fixture::new().file("/proc/self/cgroup", cgroup).file("/proc/self/mountinfo", mounts)
    }

    fn with_v2(fixture: Fixture, group: &str, max: &str, used: &str) -> Fixture {
        let file = |name: &str| format!("/sys/fs/cgroup{group}/memory.{name}");
        fixture.file(&file("max"), max).file(&file("current"), used)
    }

    #[test]
    fn u24_version_2_limit_is_the_smallest_of_all_levels() {
        let fixture = with_v2(machine("0::/slice/job/leaf\n", V2_MOUNTS), "/slice", "1000\n", "950\n");
        let fixture = with_v2(fixture, "/slice/job", "600\n", "100\n");
        let fixture = with_v2(fixture, "/slice/job/leaf", "max\n", "90\n")
            .file("/sys/fs/cgroup/slice/memory.stat", "anon 5\ninactive_file 30\n")
            .file("/sys/fs/cgroup/slice/job/memory.swap.max", "0\n");
        let cgroup = Cgroup::read_at(fixture.path()).unwrap();
        assert_eq!((cgroup.version, cgroup.levels.len()), (CgroupVersion::V2, 4));
        assert_eq!(cgroup.levels[0].limit, None, "max is no limit");
        assert_eq!(cgroup.limit(), Some(600));
        assert_eq!(cgroup.binding_level().map(|level| level.swap_limit), Some(Some(0)));
        assert_eq!(cgroup.headroom(), Some(80), "the parent has less headroom although its limit is larger");
    }

    #[test]
    fn u24_version_2_headroom_ends_at_high() {
        let fixture = with_v2(machine("0::/job\n", V2_MOUNTS), "/job", "1000", "100");
        let cgroup = Cgroup::read_at(fixture.file("/sys/fs/cgroup/job/memory.high", "700").path()).unwrap();
        assert_eq!((cgroup.limit(), cgroup.headroom()), (Some(1000), Some(600)));
    }

    #[test]
    fn u24_version_1_ignores_the_sentinel_and_reads_the_swap_limit() {
        let files = [
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("a/memory.limit_in_bytes", "5000\n"),
            ("a/memory.memsw.limit_in_bytes", "8000\n"),
            ("a/memory.usage_in_bytes", "2000\n"),
            ("a/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n"),
            ("a/b/memory.limit_in_bytes", "18446744073709551615\n"),
        ];
        let fixture = files
            .iter()
            .fold(machine("9:cpu:/\n4:memory:/a/b\n0::/\n", V1_MOUNTS), |fixture, (name, text)| {
                fixture.file(&format!("/sys/fs/cgroup/memory/{name}"), text)
            });
        let cgroup = Cgroup::read_at(fixture.path()).unwrap();
        let limits: Vec<_> = cgroup.levels.iter().map(|level| level.limit).collect();
        assert_eq!((cgroup.version, limits), (CgroupVersion::V1, vec![None, Some(5000), None]));
        assert_eq!((cgroup.headroom(), cgroup.levels[1].swap_limit), (Some(3500), Some(3000)));
    }

    #[test]
    fn u24_container_group_is_read_below_its_mount() {
        let mounts = "35 31 0:32 /docker/0a /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let limit = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
        for group in ["4:memory:/docker/0a\n", "4:memory:/elsewhere/../x\n", "4:memory:/other\n"] {
            let fixture = machine(group, mounts).file(limit, "77\n");
            assert_eq!(Cgroup::read_at(fixture.path()).unwrap().limit(), Some(77), "{group}");
        }
    }

    #[test]
    fn u24_cgroup_is_none_without_group_or_mount_or_when_garbled() {
        for (cgroup, mounts) in
            [("", V2_MOUNTS), ("0::/\n", ""), ("::\n", V2_MOUNTS), ("0::/\n", " - \n - x")]
        {
            assert_eq!(Cgroup::read_at(machine(cgroup, mounts).path()), None, "{cgroup:?} {mounts:?}");
        }
    }
}
