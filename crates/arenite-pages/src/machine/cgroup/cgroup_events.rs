//! Events of this process's control group at its limits.
//!
//! `memory.events` (version 2), or `memory.failcnt` and `memory.oom_control` (version 1) count
//! them. The counts only grow: compare two readings.

use super::cgroup::Cgroup;
use crate::machine::procfs::cgroup_mount::CgroupVersion;
use crate::machine::procfs::parse::key_value;
use crate::machine::procfs::sys_root::SysRoot;
use std::path::Path;

/// Counts of a control group and, in version 2, of those below it.
///
/// ```
/// use arenite_pages::machine::CgroupEvents;
/// if let Some(events) = CgroupEvents::read() {
///     println!("at the limit {:?} times, killed {:?}", events.limit, events.killed);
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CgroupEvents {
    /// Reclaims although the group used less than its protected memory (version 2).
    pub low: Option<u64>,
    /// Throttlings at `memory.high` (version 2).
    pub high: Option<u64>,
    /// Hits of the limit, which forced a reclaim.
    pub limit: Option<u64>,
    /// Failed reclaims, after which an allocation failed or a process was to be killed (version 2).
    pub out_of_memory: Option<u64>,
    /// Killed processes.
    pub killed: Option<u64>,
    /// Whether the group's processes are stopped for lack of memory now (version 1).
    pub stopped: Option<bool>,
}

impl CgroupEvents {
    /// Reads the events of this process's group, or returns `None` without a visible memory
    /// controller.
    ///
    /// ```
    /// println!("{:?}", arenite_pages::machine::CgroupEvents::read());
    /// ```
    #[must_use]
    pub fn read() -> Option<Self> {
        Self::from_root(SysRoot::real())
    }

    /// Reads the events of the machine below `root`.
    ///
    /// ```
    /// assert_eq!(arenite_pages::machine::CgroupEvents::read_at("/nonexistent".as_ref()), None);
    /// ```
    #[must_use]
    pub fn read_at(root: &Path) -> Option<Self> {
        Self::from_root(SysRoot::at(root))
    }

    fn from_root(root: SysRoot<'_>) -> Option<Self> {
        let group = Cgroup::from_root(root)?;
        let dir = &group.levels.first()?.path;
        let text = |file: &str| root.read_text(dir.join(file)).unwrap_or_default();
        Some(match group.version {
            CgroupVersion::V2 => {
                let events = text("memory.events");
                Self {
                    low: key_value(&events, "low"),
                    high: key_value(&events, "high"),
                    limit: key_value(&events, "max"),
                    out_of_memory: key_value(&events, "oom"),
                    killed: key_value(&events, "oom_kill"),
                    stopped: None,
                }
            }
            CgroupVersion::V1 => {
                let control = text("memory.oom_control");
                // with a joint limit on memory and swap, the kernel checks that one first, and
                // counts it separately if at all
                let met =
                    ["memory.failcnt", "memory.memsw.failcnt"].map(|file| root.read_number(dir.join(file)));
                Self {
                    limit: met.into_iter().flatten().reduce(u64::saturating_add),
                    killed: key_value(&control, "oom_kill"),
                    stopped: key_value(&control, "under_oom").map(|under| under != 0),
                    ..Self::default()
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fixture::Fixture;

    #[test]
    fn u21_version_2_counts_are_read() {
        let fixture = Fixture::new()
            .file("/proc/self/cgroup", "0::/job\n")
            .file("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
            .file("/sys/fs/cgroup/job/memory.events", "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\n");
        let events = CgroupEvents::read_at(fixture.path()).unwrap();
        assert_eq!((events.low, events.high, events.limit), (Some(1), Some(2), Some(3)));
        assert_eq!((events.out_of_memory, events.killed, events.stopped), (Some(4), Some(5), None));
    }

    #[test]
    fn u21_version_1_counts_are_read_and_garbage_is_none() {
        let base = "/sys/fs/cgroup/memory";
        let fixture = Fixture::new()
            .file("/proc/self/cgroup", "4:memory:/\n")
            .file("/proc/self/mountinfo", "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n")
            .file(&format!("{base}/memory.failcnt"), "7\n")
            .file(&format!("{base}/memory.memsw.failcnt"), "30\n")
            .file(&format!("{base}/memory.oom_control"), "oom_kill_disable 0\nunder_oom 1\noom_kill x\n");
        let events = CgroupEvents::read_at(fixture.path()).unwrap();
        assert_eq!(
            (events.limit, events.killed, events.stopped, events.low),
            (Some(37), None, Some(true), None)
        );
    }
}
