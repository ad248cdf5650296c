//! The memory that is available to this process, and the limit that binds it.
//!
//! Five limits can stop a process. Programs that check only the machine's memory die in
//! containers, so all five are read and the binding one is named.

use super::cgroup::for_each_level;
use super::limits::{EffectiveLimits, Limits, Rlimit};
use super::meminfo::Meminfo;
use super::process_memory::ProcessMemory;
use super::procfs::sys_root::SysRoot;
use std::path::Path;

/// Kind of a limit on a process's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryLimitKind {
    /// The machine's memory; more use causes swapping or an OOM kill.
    Machine,
    /// The kernel's commit limit (overcommit mode 2).
    CommitLimit,
    /// A control group above this process; more use causes an OOM kill.
    Cgroup,
    /// `RLIMIT_AS`; `mmap` beyond returns `ENOMEM`.
    AddressSpace,
    /// `RLIMIT_DATA`; `mmap` beyond returns `ENOMEM`.
    Data,
}

/// Bytes that are available under every limit of this process.
///
/// ```
/// use arenite_pages::machine::Available;
/// for (kind, bytes) in Available::read().limits {
///     println!("{kind:?} allows {bytes} bytes more");
/// }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Available {
    /// The limits that are set and could be read, with the bytes available under each.
    pub limits: Vec<(MemoryLimitKind, u64)>,
}

/// Returns the bytes that this process can still allocate without swapping or a failure. That is
/// the minimum under the machine's memory, the control groups above, the address space limit and
/// the data limit.
///
/// Page cache that the kernel reclaims on demand counts as available. Returns `u64::MAX` if no
/// limit can be read. Opens about ten files: not for an allocation path. Needs up to 48 KiB of
/// stack, and no heap memory unless the list of this process's groups exceeds 4 KiB.
///
/// ```
/// let bytes = arenite_pages::machine::available_memory();
/// assert!(bytes > 0);
/// ```
#[must_use]
pub fn available_memory() -> u64 {
    min_limit(SysRoot::real()).unwrap_or(u64::MAX)
}

/// Returns the minimum of the machine below `root`, without a list of the limits.
fn min_limit(root: SysRoot<'_>) -> Option<u64> {
    let found = all_limits(
        Meminfo::from_root(root),
        EffectiveLimits::from_root(root),
        cgroup_headroom(root),
        ProcessMemory::read_or(root, |_, _| ()).ok(),
    );
    found.into_iter().filter_map(|(_, bytes)| bytes).min()
}

/// Returns the bytes available under all levels of the control group.
fn cgroup_headroom(root: SysRoot<'_>) -> Option<u64> {
    let mut headroom: Option<u64> = None;
    for_each_level(root, |_, level| headroom = headroom.into_iter().chain(level.headroom()).min())?;
    headroom
}

/// Returns every limit, with the bytes available under it if it is set and could be read.
fn all_limits(
    memory: Option<Meminfo>,
    bounds: EffectiveLimits,
    group: Option<u64>,
    process: Option<ProcessMemory>,
) -> [(MemoryLimitKind, Option<u64>); 5] {
    let below = |limit: Option<Rlimit>, used: Option<u64>| Some(limit?.soft.bytes()?.saturating_sub(used?));
    let promises = memory.filter(|memory| bounds.commit_limit_enforced && memory.commit_limit > 0);
    [
        (MemoryLimitKind::Machine, memory.map(|memory| memory.available)),
        (
            MemoryLimitKind::CommitLimit,
            promises.map(|memory| memory.commit_limit.saturating_sub(memory.committed)),
        ),
        (MemoryLimitKind::Cgroup, group),
        (
            MemoryLimitKind::AddressSpace,
            below(bounds.address_space, process.map(|process| process.virtual_bytes)),
        ),
        (MemoryLimitKind::Data, below(bounds.data, process.map(|process| process.data_bytes))),
    ]
}

impl Available {
    /// Reads the limits of this machine.
    ///
    /// ```
    /// let available = arenite_pages::machine::Available::read();
    /// assert_eq!(available.bytes().is_some(), cfg!(target_os = "linux"));
    /// ```
    #[must_use]
    pub fn read() -> Self {
        Self::from_root(SysRoot::real())
    }

    /// Reads the limits of the machine below `root`.
    ///
    /// ```
    /// use arenite_pages::machine::Available;
    /// assert_eq!(Available::read_at("/nonexistent".as_ref()).bytes(), None);
    /// ```
    #[must_use]
    pub fn read_at(root: &Path) -> Self {
        Self::from_root(SysRoot::at(root))
    }

    /// Returns the binding limit and the bytes available under it.
    ///
    /// ```
    /// use arenite_pages::machine::{Available, MemoryLimitKind};
    /// let limits = vec![(MemoryLimitKind::Machine, 9), (MemoryLimitKind::Cgroup, 4)];
    /// let available = Available { limits };
    /// assert_eq!(available.smallest(), Some((MemoryLimitKind::Cgroup, 4)));
    /// ```
    #[must_use]
    pub fn smallest(&self) -> Option<(MemoryLimitKind, u64)> {
        self.limits.iter().copied().min_by_key(|&(_, bytes)| bytes)
    }

    /// Returns the bytes available under the binding limit, or `None` if no limit could be read.
    ///
    /// ```
    /// assert_eq!(arenite_pages::machine::Available::default().bytes(), None);
    /// ```
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.smallest().map(|(_, bytes)| bytes)
    }

    pub(super) fn from_root(root: SysRoot<'_>) -> Self {
        Self::of(Meminfo::from_root(root), &Limits::from_root(root), ProcessMemory::from_root(root).ok())
    }

    pub(super) fn of(memory: Option<Meminfo>, limits: &Limits, process: Option<ProcessMemory>) -> Self {
        let group = limits.cgroup.as_ref().and_then(super::Cgroup::headroom);
        let found = all_limits(memory, EffectiveLimits::of(limits), group, process);
        Self { limits: found.into_iter().filter_map(|(kind, bytes)| Some((kind, bytes?))).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    const STATUS: &str = "VmSize:\t 400 kB\nVmRSS:\t 200 kB\nVmData:\t 100 kB\n";
    const STAT: &str = "7 (x) S 1 7 7 0 -1 4194560 1234 0 56 0 1\n";

    fn machine(limits: &str) -> Fixture {
        Fixture::new()
            .file("/proc/meminfo", "MemTotal: 9000 kB\nMemFree: 1 kB\nMemAvailable: 8000 kB\nCommitLimit: 700 kB\nCommitted_AS: 650 kB\n")
            .file("/proc/self/status", STATUS)
            .file("/proc/self/stat", STAT)
            .file("/proc/self/limits", limits)
    }

    #[test]
    fn u24_machine_limit_binds_without_other_limits() {
        let fixture = machine("Max address space unlimited unlimited bytes\n");
        assert_eq!(Available::read_at(fixture.path()).limits, [(MemoryLimitKind::Machine, 8000 << 10)]);
    }

    #[test]
    fn u24_limits_bind_minus_the_bytes_in_use() {
        let fixture = machine("Max address space 1024000 unlimited bytes\nMax data size 1 unlimited bytes\n");
        let available = Available::read_at(fixture.path());
        assert_eq!(
            available.limits[1..],
            [(MemoryLimitKind::AddressSpace, 600 << 10), (MemoryLimitKind::Data, 0)]
        );
        assert_eq!(available.bytes(), Some(0), "over the limit is nothing, not an underflow");
    }

    #[test]
    fn u24_commit_limit_binds_only_in_mode_2() {
        let with = |mode| machine("").file("/proc/sys/vm/overcommit_memory", mode);
        assert_eq!(
            Available::read_at(with("2").path()).smallest(),
            Some((MemoryLimitKind::CommitLimit, 50 << 10))
        );
        assert_eq!(
            Available::read_at(with("0").path()).smallest(),
            Some((MemoryLimitKind::Machine, 8000 << 10))
        );
    }

    #[test]
    fn u24_parent_group_limit_binds() {
        let fixture = machine("")
            .file("/proc/self/cgroup", "0::/pod/main\n")
            .file("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
            .file("/sys/fs/cgroup/pod/memory.max", "4096\n")
            .file("/sys/fs/cgroup/pod/memory.current", "1096\n")
            .file("/sys/fs/cgroup/pod/main/memory.max", "max\n");
        assert_eq!(Available::read_at(fixture.path()).smallest(), Some((MemoryLimitKind::Cgroup, 3000)));
    }

    #[test]
    fn u24_available_memory_is_the_smallest_limit() {
        let group = |text: &str| {
            let mount = "/sys/fs/cgroup/memory";
            machine(text)
                .file("/proc/self/cgroup", "4:memory:/job\n")
                .file(
                    "/proc/self/mountinfo",
                    &format!(
                        "9 1 0:1 / /x rw - ext4 a b\n35 31 0:32 / {mount} rw - cgroup cgroup rw,memory\n"
                    ),
                )
                .file(&format!("{mount}/job/memory.limit_in_bytes"), "3000\n")
                .file(&format!("{mount}/job/memory.usage_in_bytes"), "2000\n")
                .file(&format!("{mount}/job/memory.stat"), "inactive_file 5\ntotal_inactive_file 500\n")
        };
        let all = [
            Fixture::new(),
            machine(""),
            machine("Max address space 1024000 unlimited bytes\nMax data size 1 unlimited bytes\n"),
            machine("Max address space 1024000 unlimited bytes\n"),
            machine("").file("/proc/sys/vm/overcommit_memory", "2"),
            group(""),
            group("Max data size 103000 unlimited bytes"),
        ];
        let found = all.map(|fixture| {
            let bytes = min_limit(fixture.root());
            assert_eq!(bytes, Available::read_at(fixture.path()).bytes());
            bytes
        });
        let kib = |kib: u64| Some(kib << 10);
        assert_eq!(found, [None, kib(8000), Some(0), kib(600), kib(50), Some(1500), Some(600)]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn u24_real_available_memory_is_at_most_the_machines() {
        let available = available_memory();
        assert!(available > 0 && available <= Meminfo::read().unwrap().total);
    }
}
