//! Tests of the events and triggers of a control group (version 2) that hits its limit.
//!
//! The tests run if `ARENITE_TEST_VM` is set, as root of a machine whose control groups have no
//! other user; `ci/numa-guest.sh` starts one.

use arenite_core::PressureLevel;
use arenite_observe::MemoryMonitor;
use arenite_pages::machine::{CgroupEvents, PressureReading};
use arenite_pages::{PressureError, PressureTrigger, StallKind};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const ROOT: &str = "/sys/fs/cgroup";
const SOON: Option<Duration> = Some(Duration::from_millis(50));

/// A control group of this process, removed on drop.
struct Group(PathBuf);

/// Returns whether control groups may be changed here.
fn is_test_vm() -> bool {
    let is_vm = std::env::var_os("ARENITE_TEST_VM").is_some();
    if !is_vm {
        println!("skipped: needs a virtual machine whose control groups may be changed (ARENITE_TEST_VM)");
    }
    is_vm
}

impl Group {
    fn enter(name: &str) -> io::Result<Option<Self>> {
        if !is_test_vm() {
            return Ok(None);
        }
        let group = Self::create(Path::new(ROOT), name)?;
        group.set("cgroup.procs", "0")?;
        Ok(Some(group))
    }

    /// Creates a group inside another.
    fn create(parent: &Path, name: &str) -> io::Result<Self> {
        std::fs::write(parent.join("cgroup.subtree_control"), "+memory")?;
        let group = Self(parent.join(name));
        std::fs::create_dir(&group.0)?;
        Ok(group)
    }

    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        std::fs::write(self.0.join(file), value)
    }

    /// Returns a counter of one of the group's files.
    fn count(&self, file: &str, name: &str) -> io::Result<u64> {
        let text = std::fs::read_to_string(self.0.join(file))?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        value.trim().parse().map_err(io::Error::other)
    }

    /// Sets `memory.high` to `bytes` above the current usage.
    fn set_high_above(&self, bytes: usize) -> io::Result<()> {
        let used = std::fs::read_to_string(self.0.join("memory.current"))?;
        let used: usize = used.trim().parse().map_err(io::Error::other)?;
        self.set("memory.high", &(used + bytes).to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A group that cannot be removed does no harm.
        let _left: io::Result<()> = std::fs::write(Path::new(ROOT).join("cgroup.procs"), "0");
        let _removed: io::Result<()> = std::fs::remove_dir(&self.0);
    }
}

/// Allocates and writes one mebibyte at a time until `done` or `max_mib`.
fn fill(max_mib: usize, mut done: impl FnMut() -> bool) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < max_mib && !done() {
        all.push(std::hint::black_box(vec![1; 1 << 20]));
    }
    all
}

#[test]
fn u23_events_of_a_control_group_fire_when_its_limit_is_met() {
    let Some(group) = Group::enter("events").unwrap() else { return };
    let triggers = PressureTrigger::for_cgroup_events().unwrap();
    assert_eq!(triggers.len(), 1, "the outermost group has no events");
    assert_eq!(PressureTrigger::wait_any(&triggers, SOON).unwrap(), None);
    group.set_high_above(32 << 20).unwrap();
    let before = CgroupEvents::read().unwrap();
    let filled = fill(256, || triggers[0].wait(Some(Duration::ZERO)).unwrap());
    let after = CgroupEvents::read().unwrap();
    assert!((28..=64).contains(&filled.len()), "fired after {} MiB of 32", filled.len());
    assert!(after.high > before.high && after.killed == before.killed, "{before:?} {after:?}");
    group.set("memory.high", "max").unwrap();
    let fired = (0..100).take_while(|_| triggers[0].wait(SOON).unwrap()).count();
    assert!(fired < 100, "the event was consumed");
    drop(filled);
    drop(group);
    let removed = triggers[0].wait(SOON);
    assert!(matches!(removed, Err(PressureError::SourceRemoved)), "{removed:?}");
}

#[test]
fn u23_cgroup_events_report_limits_of_parents_and_not_of_siblings() {
    if !is_test_vm() {
        return;
    }
    let outer = Group::create(Path::new(ROOT), "outer").unwrap();
    let (inner, sibling) =
        (Group::create(&outer.0, "inner").unwrap(), Group::create(&outer.0, "sibling").unwrap());
    inner.set("cgroup.procs", "0").unwrap();
    let triggers = PressureTrigger::for_cgroup_events().unwrap();
    assert_eq!(triggers.len(), 2, "inner and outer");
    // This process hits the limit of the sibling; its triggers are those of the inner group.
    sibling.set("cgroup.procs", "0").unwrap();
    sibling.set_high_above(16 << 20).unwrap();
    let filled = fill(64, || sibling.count("memory.events", "high").unwrap() > 0);
    sibling.set("memory.high", "max").unwrap();
    assert!(filled.len() < 64, "the sibling hit no limit");
    assert!(
        outer.count("memory.events", "high").unwrap() > 0,
        "the parent counts the events of its children"
    );
    assert_eq!(PressureTrigger::wait_any(&triggers, SOON).unwrap(), None, "a sibling's limit");
    drop(filled);
    // The outer group has a limit, too.
    inner.set("cgroup.procs", "0").unwrap();
    outer.set_high_above(16 << 20).unwrap();
    let mut fired = None;
    let filled = fill(64, || {
        fired = PressureTrigger::wait_any(&triggers, Some(Duration::ZERO)).unwrap();
        fired.is_some()
    });
    outer.set("memory.high", "max").unwrap();
    assert_eq!(fired, Some(1), "after {} MiB of 16", filled.len());
    drop((inner, sibling, outer));
}

#[test]
fn u23_stall_trigger_fails_when_its_group_is_removed() {
    let Some(group) = Group::enter("stalls").unwrap() else { return };
    let trigger =
        PressureTrigger::for_cgroup(StallKind::Some, Duration::from_millis(150), Duration::from_secs(2));
    let trigger = trigger.unwrap();
    assert!(!trigger.wait(SOON).unwrap());
    drop(group);
    let removed = trigger.wait(SOON);
    assert!(matches!(removed, Err(PressureError::SourceRemoved)), "{removed:?}");
}

#[test]
fn u23_monitor_reports_a_cgroup_limit_at_once() {
    let Some(group) = Group::enter("monitor").unwrap() else { return };
    // A silent service manager replaces the stall trigger, so only the limit can wake the monitor.
    if std::env::var_os("MEMORY_PRESSURE_WATCH").is_none() {
        let dir = tempfile::tempdir().unwrap();
        let manager = dir.path().join("manager");
        let _silent = std::os::unix::net::UnixListener::bind(&manager).unwrap();
        let mut test = std::process::Command::new(std::env::current_exe().unwrap());
        test.args(["u23_monitor_reports_a_cgroup_limit_at_once", "--exact", "--nocapture"]);
        drop(group);
        assert!(test.env("MEMORY_PRESSURE_WATCH", &manager).status().unwrap().success());
        return;
    }
    // Without a wake-up the monitor polls once per hour.
    let monitor = MemoryMonitor::with_source(PressureReading::read, Duration::from_secs(3600));
    let (sender, changes) = mpsc::channel();
    monitor.on_level_change(move |_, new| sender.send((new, Instant::now())).unwrap()).unwrap();
    assert!(changes.recv_timeout(Duration::from_secs(1)).is_err(), "no limit yet");
    group.set_high_above(32 << 20).unwrap();
    let (mut change, start) = (None, Instant::now());
    let filled = fill(256, || {
        change = changes.try_recv().ok();
        change.is_some()
    });
    let (level, at) = change.expect("no limit was reported");
    println!("{level} after {} MiB of 32", filled.len());
    // The kernel slows a process above the limit, so it allocates little more.
    assert!(level >= PressureLevel::Critical && (28..=64).contains(&filled.len()));
    assert!(at - start < Duration::from_secs(20), "{:?}", at - start);
    group.set("memory.high", "max").unwrap();
    drop(filled);
    let dropped = Instant::now();
    drop(monitor);
    // The monitor may have reported that memory is available again.
    while changes.recv_timeout(Duration::from_secs(5)).is_ok() {}
    assert!(dropped.elapsed() < Duration::from_secs(3), "the thread exits with the monitor");
}
