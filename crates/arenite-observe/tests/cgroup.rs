//! A control group of version 2, whose limits are met: what tells of it, and how soon.
//!
//! Runs where `ARENITE_GUEST` is set, as root of a machine whose control groups nobody else uses: `ci/numa-guest.sh` has one.

use arenite_core::PressureLevel;
use arenite_observe::MemoryMonitor;
use arenite_pages::PressureTrigger;
use arenite_pages::machine::{CgroupEvents, PressureReading};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const ROOT: &str = "/sys/fs/cgroup";

/// This process in a group of its own, which goes with the value.
struct Group(PathBuf);

impl Group {
    fn enter(name: &str) -> io::Result<Option<Self>> {
        if std::env::var_os("ARENITE_GUEST").is_none() {
            println!("skipped: this is no guest whose control groups may be changed (ARENITE_GUEST)");
            return Ok(None);
        }
        std::fs::write(Path::new(ROOT).join("cgroup.subtree_control"), "+memory")?;
        let group = Self(Path::new(ROOT).join(name));
        std::fs::create_dir(&group.0)?;
        group.set("cgroup.procs", "0")?;
        Ok(Some(group))
    }

    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        std::fs::write(self.0.join(file), value)
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
    assert_eq!(PressureTrigger::wait_any(&triggers, Some(Duration::from_millis(50))).unwrap(), None);
    group.slow_down_above(32 << 20).unwrap();
    let before = CgroupEvents::read().unwrap();
    let filled = fill(256, || triggers[0].wait(Some(Duration::ZERO)).unwrap());
    let after = CgroupEvents::read().unwrap();
    assert!((28..=64).contains(&filled.len()), "fired after {} MiB of 32", filled.len());
    assert!(after.high > before.high && after.killed == before.killed, "{before:?} {after:?}");
    group.set("memory.high", "max").unwrap();
    while triggers[0].wait(Some(Duration::from_millis(50))).unwrap() {}
    assert!(!triggers[0].wait(Some(Duration::from_millis(50))).unwrap(), "what fired was taken");
    drop(filled);
    drop(group);
    assert!(triggers[0].wait(Some(Duration::from_millis(50))).is_err(), "the group is gone");
}

#[test]
fn u23_a_monitor_hears_at_once_of_a_limit_that_is_met() {
    let Some(group) = Group::enter("monitor").unwrap() else { return };
    // looks once an hour, if nothing wakes it
    let monitor = MemoryMonitor::reading(PressureReading::read, Duration::from_secs(3600));
    let (tell, told) = mpsc::channel();
    monitor.on_level_change(move |_, new| tell.send((new, Instant::now())).unwrap()).unwrap();
    assert!(told.recv_timeout(Duration::from_secs(1)).is_err(), "no limit yet");
    group.slow_down_above(32 << 20).unwrap();
    let mut heard = None;
    let filled = fill(256, || {
        heard = told.try_recv().ok();
        heard.is_some()
    });
    let (level, at) = heard.expect("no limit was heard of");
    println!("{level} after {} MiB of 32", filled.len());
    assert!(level >= PressureLevel::Critical && at.elapsed() < Duration::from_secs(2));
    group.set("memory.high", "max").unwrap();
    drop(filled);
    let gone = Instant::now();
    drop(monitor);
    // it may have heard that memory is there again
    while told.recv_timeout(Duration::from_secs(5)).is_ok() {}
    assert!(gone.elapsed() < Duration::from_secs(3), "its thread goes with it");
}
