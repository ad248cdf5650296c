//! The limit: a control group of version 2 or 1 for one program, or a limit of its process.
//!
//! Rests on the files of control groups (`cgroup-v2.rst` and `cgroup-v1/memory.rst` of the kernel's documentation). A shell enters the group and
//! becomes the program, so that not a byte of the program's is counted elsewhere.

use arenite_pages::machine::{Cgroup, CgroupVersion};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a program is held.
#[derive(Debug)]
pub(super) enum Squeezed {
    Group { folder: PathBuf, version: CgroupVersion },
    Process { kibibytes: usize },
}

/// What the kernel counted.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) peak: Option<u64>,
    pub(super) kills: Option<u64>,
    pub(super) met_limit: Option<u64>,
}

impl Squeezed {
    /// A group, if one may be made.
    pub(super) fn new(limit: usize, process: bool) -> Self {
        let group = if process { None } else { Cgroup::read().and_then(|own| group(&own, limit)) };
        group.unwrap_or(Self::Process { kibibytes: limit / 1024 })
    }

    pub(super) const fn by(&self) -> &'static str {
        match self {
            Self::Group { .. } => "cgroup",
            Self::Process { .. } => "rlimit",
        }
    }

    /// The program under a shell that limits itself first.
    pub(super) fn command(&self, program: &[OsString]) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c");
        match self {
            Self::Group { folder, .. } => {
                command.arg("echo $$ > \"$0\" && exec \"$@\"").arg(folder.join("cgroup.procs"));
            }
            Self::Process { kibibytes } => {
                command.arg("ulimit -d \"$0\" && exec \"$@\"").arg(kibibytes.to_string());
            }
        }
        command.args(program);
        command
    }

    /// Bytes that it has now and that cannot be had by dropping files.
    pub(super) fn used(&self) -> Option<u64> {
        let Self::Group { folder, version } = self else { return None };
        let usage = number(
            folder,
            if *version == CgroupVersion::V2 { "memory.current" } else { "memory.usage_in_bytes" },
        )?;
        let files = keyed(folder, "memory.stat", "total_inactive_file")
            .or_else(|| keyed(folder, "memory.stat", "inactive_file"))
            .unwrap_or(0);
        Some(usage.saturating_sub(files))
    }

    pub(super) fn counted(&self) -> Counted {
        let Self::Group { folder, version } = self else { return Counted::default() };
        match version {
            CgroupVersion::V2 => Counted {
                peak: number(folder, "memory.peak"),
                kills: keyed(folder, "memory.events", "oom_kill"),
                met_limit: keyed(folder, "memory.events", "max"),
            },
            CgroupVersion::V1 => Counted {
                peak: number(folder, "memory.max_usage_in_bytes"),
                kills: keyed(folder, "memory.oom_control", "oom_kill"),
                met_limit: number(folder, "memory.failcnt"),
            },
        }
    }
}

fn number(folder: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

fn keyed(folder: &Path, file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(folder.join(file)).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// A group below that of this process, or beside it where a group with processes may have none below.
fn group(own: &Cgroup, limit: usize) -> Option<Squeezed> {
    let here = &own.levels.first()?.path;
    [Some(here.as_path()), here.parent()].into_iter().flatten().find_map(|above| {
        let folder = above.join(format!("arenite-squeeze-{}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        let squeezed = Squeezed::Group { folder, version: own.version };
        set(&squeezed, limit).ok()?;
        Some(squeezed)
    })
}

fn set(squeezed: &Squeezed, limit: usize) -> io::Result<()> {
    let Squeezed::Group { folder, version } = squeezed else { return Ok(()) };
    let write = |file: &str, value: usize| fs::write(folder.join(file), value.to_string());
    match version {
        CgroupVersion::V2 => {
            write("memory.max", limit)?;
            // a limit that swap widens is none; where there is no swap there is no file
            let _no_swap: io::Result<()> = write("memory.swap.max", 0);
        }
        CgroupVersion::V1 => {
            write("memory.limit_in_bytes", limit)?;
            // an OS page more with swap: who meets both limits at once is not counted by every kernel
            let with_swap = limit.saturating_add(arenite_pages::page_size());
            let _no_swap: io::Result<()> = write("memory.memsw.limit_in_bytes", with_swap);
        }
    }
    // it must be possible to enter it
    fs::OpenOptions::new().write(true).open(folder.join("cgroup.procs")).map(drop)
}

impl Drop for Squeezed {
    fn drop(&mut self) {
        if let Self::Group { folder, .. } = self {
            // what still runs in it keeps it; it is empty then and costs nothing
            let _gone: io::Result<()> = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    /// `dd` with a buffer of that many MiB, which it fills.
    fn fills(mebibytes: usize) -> [OsString; 4] {
        ["dd", "if=/dev/zero", "of=/dev/null", &format!("bs={mebibytes}M")].map(Into::into)
    }

    #[test]
    fn u39_a_control_group_of_either_version_kills_and_counts() {
        // in a guest nobody else has said that groups below the outermost have limits
        if std::env::var_os("ARENITE_GUEST").is_some() {
            fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory").unwrap();
        }
        let squeezed = Squeezed::new(64 << 20, false);
        let Squeezed::Group { folder, version } = &squeezed else {
            println!("skipped: no control group may be made here");
            return;
        };
        println!("by a control group of version {version:?}");
        let once = [&fills(200)[..], &["count=1".into()]].concat();
        let status = squeezed.command(&once).status().unwrap();
        assert_eq!(status.signal(), Some(9), "{status}");
        let Counted { peak, kills, met_limit } = squeezed.counted();
        assert!(kills >= Some(1) && met_limit >= Some(1), "{kills:?} {met_limit:?}");
        assert!(peak.is_none_or(|peak| (32 << 20..=65 << 20).contains(&peak)), "{peak:?}");
        assert!(squeezed.used().unwrap() < 32 << 20, "who was killed has nothing");
        // what fits, in the same group
        let fits = [&fills(16)[..], &["count=1".into()]].concat();
        assert!(squeezed.command(&fits).status().unwrap().success());
        assert_eq!(squeezed.counted().kills, kills);
        let folder = folder.clone();
        assert!(folder.is_dir());
        drop(squeezed);
        assert!(!folder.exists(), "nothing stays");
    }
}
