//! The memory limit of a program: a control group of version 2 or 1, or a limit of its process.
//!
//! The kernel's `cgroup-v2.rst` and `cgroup-v1/memory.rst` describe the files. A shell enters the
//! group and then executes the program, so that the group counts all of the program's memory.

use arenite_pages::machine::{Cgroup, CgroupVersion};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The limit of one program.
#[derive(Debug)]
pub(super) enum MemoryLimit {
    Group { dir: PathBuf, version: CgroupVersion },
    Process { kibibytes: usize },
}

/// The kernel's counters of a control group.
#[derive(Debug, Default)]
pub(super) struct CgroupCounters {
    pub(super) peak_bytes: Option<u64>,
    pub(super) kills: Option<u64>,
    pub(super) limit_hits: Option<u64>,
}

impl MemoryLimit {
    /// Creates a control group, or a limit of the process if that fails or `process` is true.
    pub(super) fn new(limit: usize, process: bool) -> Self {
        let group = if process { None } else { Cgroup::read().and_then(|own| create_group(&own, limit)) };
        group.unwrap_or(Self::Process { kibibytes: limit / 1024 })
    }

    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Group { .. } => "cgroup",
            Self::Process { .. } => "rlimit",
        }
    }

    /// Returns a command that runs the program under a shell that applies the limit first.
    pub(super) fn command(&self, program: &[OsString]) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c");
        match self {
            Self::Group { dir, .. } => {
                command.arg("echo $$ > \"$0\" && exec \"$@\"").arg(dir.join("cgroup.procs"));
            }
            Self::Process { kibibytes } => {
                command.arg("ulimit -d \"$0\" && exec \"$@\"").arg(kibibytes.to_string());
            }
        }
        command.args(program);
        command
    }

    /// Returns the bytes that the group uses, without the file cache that can be dropped.
    pub(super) fn used_bytes(&self) -> Option<u64> {
        let Self::Group { dir, version } = self else { return None };
        let usage = number_in(
            dir,
            if *version == CgroupVersion::V2 { "memory.current" } else { "memory.usage_in_bytes" },
        )?;
        let files = field_in(dir, "memory.stat", "total_inactive_file")
            .or_else(|| field_in(dir, "memory.stat", "inactive_file"))
            .unwrap_or(0);
        Some(usage.saturating_sub(files))
    }

    /// Returns the counters; all are `None` for a limit of the process.
    pub(super) fn counters(&self) -> CgroupCounters {
        let Self::Group { dir, version } = self else { return CgroupCounters::default() };
        match version {
            CgroupVersion::V2 => CgroupCounters {
                peak_bytes: number_in(dir, "memory.peak"),
                kills: field_in(dir, "memory.events", "oom_kill"),
                limit_hits: field_in(dir, "memory.events", "max"),
            },
            CgroupVersion::V1 => CgroupCounters {
                peak_bytes: number_in(dir, "memory.max_usage_in_bytes"),
                kills: field_in(dir, "memory.oom_control", "oom_kill"),
                limit_hits: number_in(dir, "memory.failcnt"),
            },
        }
    }
}

fn number_in(dir: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok()
}

fn field_in(dir: &Path, file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(dir.join(file)).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Creates a group below that of this process, or beside it.
///
/// A version 2 group that contains processes cannot have limited groups below it.
fn create_group(own: &Cgroup, limit: usize) -> Option<MemoryLimit> {
    let here = &own.levels.first()?.path;
    [Some(here.as_path()), here.parent()].into_iter().flatten().find_map(|above| {
        let dir = above.join(format!("arenite-squeeze-{}", std::process::id()));
        fs::create_dir(&dir).ok()?;
        let group = MemoryLimit::Group { dir, version: own.version };
        set_limit(&group, limit).ok()?;
        Some(group)
    })
}

fn set_limit(group: &MemoryLimit, limit: usize) -> io::Result<()> {
    let MemoryLimit::Group { dir, version } = group else { return Ok(()) };
    let write = |file: &str, value: usize| fs::write(dir.join(file), value.to_string());
    match version {
        CgroupVersion::V2 => {
            write("memory.max", limit)?;
            // swap would raise the limit; the file does not exist without swap
            let _no_swap: io::Result<()> = write("memory.swap.max", 0);
        }
        CgroupVersion::V1 => {
            write("memory.limit_in_bytes", limit)?;
            // one OS page more with swap, because some kernels do not count a request that
            // reaches both limits at once
            let with_swap = limit.saturating_add(arenite_pages::page_size());
            let _no_swap: io::Result<()> = write("memory.memsw.limit_in_bytes", with_swap);
        }
    }
    // checks that a process can enter the group
    fs::OpenOptions::new().write(true).open(dir.join("cgroup.procs")).map(drop)
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        if let Self::Group { dir, .. } = self {
            // this fails while a process runs in the group, which then costs nothing
            let _removed: io::Result<()> = fs::remove_dir(dir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    /// Returns a `dd` command that fills a buffer of so many MiB.
    fn fill_command(mebibytes: usize) -> [OsString; 4] {
        ["dd", "if=/dev/zero", "of=/dev/null", &format!("bs={mebibytes}M")].map(Into::into)
    }

    #[test]
    fn u39_a_control_group_of_either_version_kills_and_counts() {
        // in the test VM, no other program enables the controller below the root group
        if std::env::var_os("ARENITE_TEST_VM").is_some() {
            fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory").unwrap();
        }
        let limit = MemoryLimit::new(64 << 20, false);
        let MemoryLimit::Group { dir, version } = &limit else {
            println!("skipped: cannot create a control group here");
            return;
        };
        println!("a control group of version {version:?}");
        let once = [&fill_command(200)[..], &["count=1".into()]].concat();
        let status = limit.command(&once).status().unwrap();
        assert_eq!(status.signal(), Some(9), "{status}");
        let CgroupCounters { peak_bytes, kills, limit_hits } = limit.counters();
        assert!(kills >= Some(1) && limit_hits >= Some(1), "{kills:?} {limit_hits:?}");
        assert!(peak_bytes.is_none_or(|peak| (32 << 20..=65 << 20).contains(&peak)), "{peak_bytes:?}");
        assert!(limit.used_bytes().unwrap() < 32 << 20, "a killed process uses no memory");
        // a buffer that fits, in the same group
        let fits = [&fill_command(16)[..], &["count=1".into()]].concat();
        assert!(limit.command(&fits).status().unwrap().success());
        assert_eq!(limit.counters().kills, kills);
        let dir = dir.clone();
        assert!(dir.is_dir());
        drop(limit);
        assert!(!dir.exists(), "the group is removed");
    }
}
