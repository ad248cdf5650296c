//! A control group of version 2, whose limits are met: what tells of it, and how soon.
//!
//! Runs where `ARENITE_GUEST` is set, as root of a machine whose control groups nobody else uses: `ci/numa-guest.sh` has one.

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

/// This process in a group of its own, which goes with the value.
struct Group(PathBuf);

/// Whether control groups may be changed here.
fn is_guest() -> bool {
    let guest = std::env::var_os("ARENITE_GUEST").is_some();
    if !guest {
        println!("skipped: this is no guest whose control groups may be changed (ARENITE_GUEST)");
    }
    guest
}

impl Group {
    fn enter(name: &str) -> io::Result<Option<Self>> {
        if !is_guest() {
            return Ok(None);
        }
        let group = Self::make(Path::new(ROOT), name)?;
        group.set("cgroup.procs", "0")?;
        Ok(Some(group))
    }

    /// A group in another.
    fn make(parent: &Path, name: &str) -> io::Result<Self> {
        std::fs::write(parent.join("cgroup.subtree_control"), "+memory")?;
        let group = Self(parent.join(name));
        std::fs::create_dir(&group.0)?;
        Ok(group)
    }

    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        std::fs::write(self.0.join(file), value)
    }

    /// A count of one of its files.
    fn count(&self, file: &str, name: &str) -> io::Result<u64> {
        let text = std::fs::read_to_string(self.0.join(file))?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        value.trim().parse().map_err(io::Error::other)
    }

    /// Sets `memory.high` to so many bytes more than are used now.
    fn slow_down_above(&self, bytes: usize) -> io::Result<()> {
        let used = std::fs::read_to_string(self.0.join("memory.current"))?;
        let used: usize = used.trim().parse().map_err(io::Error::other)?;
        self.set("memory.high", &(used + bytes).to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // a group that stays is in nobody's way
        let _left: io::Result<()> = std::fs::write(Path::new(ROOT).join("cgroup.procs"), "0");
        let _removed: io::Result<()> = std::fs::remove_dir(&self.0);
    }
}

/// Memory that was written to, a mebibyte at a time, until `done`.
fn fill(most: usize, mut done: impl FnMut() -> bool) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < most && !done() {
        all.push(std::hint::black_box(vec![1; 1 << 20]));
    }
    all
}

#[test]
fn u23_events_of_a_control_group_fire_when_its_limit_is_met() {
    let Some(group) = Group::enter("events").unwrap() else { return };
    let triggers = PressureTrigger::of_cgroup_events().unwrap();
    assert_eq!(triggers.len(), 1, "the outermost group has no events");
    assert_eq!(PressureTrigger::wait_any(&triggers, SOON).unwrap(), None);
    group.slow_down_above(32 << 20).unwrap();
    let before = CgroupEvents::read().unwrap();
    let filled = fill(256, || triggers[0].wait(Some(Duration::ZERO)).unwrap());
    let after = CgroupEvents::read().unwrap();
    assert!((28..=64).contains(&filled.len()), "fired after {} MiB of 32", filled.len());
    assert!(after.high > before.high && after.killed == before.killed, "{before:?} {after:?}");
    group.set("memory.high", "max").unwrap();
    let fired = (0..100).take_while(|_| triggers[0].wait(SOON).unwrap()).count();
    assert!(fired < 100, "what fired was taken");
    drop(filled);
    drop(group);
    let gone = triggers[0].wait(SOON);
    assert!(matches!(gone, Err(PressureError::Gone)), "{gone:?}");
}

#[test]
fn u23_a_group_around_this_one_tells_of_its_own_limits_and_of_no_siblings() {
    if !is_guest() {
        return;
    }
    let outer = Group::make(Path::new(ROOT), "outer").unwrap();
    let (inner, sibling) =
        (Group::make(&outer.0, "inner").unwrap(), Group::make(&outer.0, "sibling").unwrap());
    inner.set("cgroup.procs", "0").unwrap();
    let triggers = PressureTrigger::of_cgroup_events().unwrap();
    assert_eq!(triggers.len(), 2, "inner and outer");
    // the sibling meets its limit, by this process, whose triggers are those of the group that it was in
    sibling.set("cgroup.procs", "0").unwrap();
    sibling.slow_down_above(16 << 20).unwrap();
    let filled = fill(64, || sibling.count("memory.events", "high").unwrap() > 0);
    sibling.set("memory.high", "max").unwrap();
    assert!(filled.len() < 64, "the sibling met no limit");
    assert!(
        outer.count("memory.events", "high").unwrap() > 0,
        "which the group around it counts with its own"
    );
    assert_eq!(PressureTrigger::wait_any(&triggers, SOON).unwrap(), None, "a sibling's limit");
    drop(filled);
    // the group around both has a limit, too
    inner.set("cgroup.procs", "0").unwrap();
    outer.slow_down_above(16 << 20).unwrap();
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
fn u23_the_stall_trigger_of_a_removed_group_is_gone() {
    let Some(group) = Group::enter("stalls").unwrap() else { return };
    let trigger =
        PressureTrigger::of_cgroup(StallKind::Some, Duration::from_millis(150), Duration::from_secs(2));
    let trigger = trigger.unwrap();
    assert!(!trigger.wait(SOON).unwrap());
    drop(group);
    let gone = trigger.wait(SOON);
    assert!(matches!(gone, Err(PressureError::Gone)), "{gone:?}");
}

#[test]
fn u23_a_monitor_hears_at_once_of_a_limit_that_is_met() {
    let Some(group) = Group::enter("monitor").unwrap() else { return };
    // it hears of stalls from a service manager that says nothing, so what wakes it is the limit
    if std::env::var_os("MEMORY_PRESSURE_WATCH").is_none() {
        let folder = tempfile::tempdir().unwrap();
        let manager = folder.path().join("manager");
        let _silent = std::os::unix::net::UnixListener::bind(&manager).unwrap();
        let mut test = std::process::Command::new(std::env::current_exe().unwrap());
        test.args(["u23_a_monitor_hears_at_once_of_a_limit_that_is_met", "--exact", "--nocapture"]);
        drop(group);
        assert!(test.env("MEMORY_PRESSURE_WATCH", &manager).status().unwrap().success());
        return;
    }
    // looks once an hour, if nothing wakes it
    let monitor = MemoryMonitor::reading(PressureReading::read, Duration::from_secs(3600));
    let (tell, told) = mpsc::channel();
    monitor.on_level_change(move |_, new| tell.send((new, Instant::now())).unwrap()).unwrap();
    assert!(told.recv_timeout(Duration::from_secs(1)).is_err(), "no limit yet");
    group.slow_down_above(32 << 20).unwrap();
    let (mut heard, began) = (None, Instant::now());
    let filled = fill(256, || {
        heard = told.try_recv().ok();
        heard.is_some()
    });
    let (level, at) = heard.expect("no limit was heard of");
    println!("{level} after {} MiB of 32", filled.len());
    // who is above the limit is held up by the kernel, so that few get far
    assert!(level >= PressureLevel::Critical && (28..=64).contains(&filled.len()));
    assert!(at - began < Duration::from_secs(20), "{:?}", at - began);
    group.set("memory.high", "max").unwrap();
    drop(filled);
    let gone = Instant::now();
    drop(monitor);
    // it may have heard that memory is there again
    while told.recv_timeout(Duration::from_secs(5)).is_ok() {}
    assert!(gone.elapsed() < Duration::from_secs(3), "its thread goes with it");
}
