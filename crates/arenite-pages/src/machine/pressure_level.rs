//! The level of memory pressure on a process.
//!
//! Free memory alone shows how near a limit is, and stalls alone how slow the tasks are; the worse
//! of both is the level. Levels fall later than they rise, so that a value near a threshold does
//! not change the level at every reading.

use super::cgroup::for_each_level;
use super::limits::EffectiveLimits;
use super::meminfo::Meminfo;
use super::pressure::Pressure;
use super::process_memory::ProcessMemory;
use super::procfs::sys_root::SysRoot;
use arenite_core::PressureLevel::{self, Critical, Elevated, Normal, OutOfMemory, Warning};
use std::path::Path;

/// Free fraction below which each level begins, of the machine, a control group or a limit of the
/// process.
const FREE_THRESHOLDS: [(f64, PressureLevel); 4] =
    [(0.01, OutOfMemory), (0.05, Critical), (0.12, Warning), (0.25, Elevated)];
/// Percent of the last ten seconds with some task stalled, from which each level begins.
const SOME_STALL_THRESHOLDS: [(f64, PressureLevel); 2] = [(30.0, Warning), (10.0, Elevated)];
/// Percent of the last ten seconds with all tasks stalled, from which each level begins.
const FULL_STALL_THRESHOLDS: [(f64, PressureLevel); 2] = [(40.0, Critical), (10.0, Warning)];
/// Factors on the thresholds before a level falls: of the free fraction, and of the stalls.
const FREE_HYSTERESIS: f64 = 1.25;
const STALL_HYSTERESIS: f64 = 0.5;

/// The values that determine a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PressureReading {
    /// Free fraction, 0 to 1: the minimum over the machine, the control groups and the process's
    /// limits.
    pub free: f64,
    /// Percent of the last 10 seconds in which some task waited for memory; 0 if unknown.
    pub some: f64,
    /// Percent in which all tasks did.
    pub full: f64,
}

impl PressureReading {
    /// Reads the values of this machine. Opens about ten files: not for an allocation path. Needs
    /// up to 48 KiB of stack, and no heap memory unless the list of this process's groups exceeds 4
    /// KiB.
    ///
    /// ```
    /// use arenite_pages::machine::PressureReading;
    /// let reading = PressureReading::read();
    /// println!("{:.0} % free: {}", reading.free * 100.0, reading.level());
    /// ```
    #[must_use]
    pub fn read() -> Self {
        Self::from_root(SysRoot::real())
    }

    /// Reads the values of the machine below `root`.
    ///
    /// ```
    /// use arenite_pages::machine::PressureReading;
    /// assert_eq!(PressureReading::read_at("/nonexistent".as_ref()).free, 1.0);
    /// ```
    #[must_use]
    pub fn read_at(root: &Path) -> Self {
        Self::from_root(SysRoot::at(root))
    }

    #[expect(clippy::cast_precision_loss, reason = "a fraction, to a few digits")]
    fn from_root(root: SysRoot<'_>) -> Self {
        let limits = EffectiveLimits::from_root(root);
        let process = ProcessMemory::read_or(root, |_, _| ()).ok();
        let machine = Meminfo::from_root(root).map(|memory| (memory.available, memory.total));
        let below = |limit: Option<super::Rlimit>, used: Option<u64>| {
            let limit = limit?.soft.bytes()?;
            Some((limit.saturating_sub(used?), limit))
        };
        let addresses = below(limits.address_space, process.map(|process| process.virtual_bytes));
        let data = below(limits.data, process.map(|process| process.data_bytes));
        let fraction = |headroom: u64, total: u64| {
            if total > 0 { (headroom as f64 / total as f64).min(1.0) } else { 1.0 }
        };
        let own = machine.into_iter().chain(addresses).chain(data);
        let mut free = own.map(|(headroom, total)| fraction(headroom, total)).fold(1.0, f64::min);
        for_each_level(root, |_, level| {
            if let (Some(headroom), Some(total)) = (level.headroom(), level.lowest_limit()) {
                free = free.min(fraction(headroom, total));
            }
        });
        let stalls = [Pressure::from_root(root), Pressure::from_cgroup(root)];
        let max = |of: fn(&Pressure) -> f64| stalls.iter().flatten().map(of).fold(0.0, f64::max);
        let full = |pressure: &Pressure| pressure.full.map_or(0.0, |stall| stall.avg10);
        Self { free, some: max(|pressure| pressure.some.avg10), full: max(full) }
    }

    /// Returns the level of this reading by itself.
    ///
    /// | level | free below | some task stalled | all tasks stalled |
    /// |---|---|---|---|
    /// | elevated | 25 % | 10 % | |
    /// | warning | 12 % | 30 % | 10 % |
    /// | critical | 5 % | | 40 % |
    /// | out of memory | 1 % | | |
    ///
    /// ```
    /// use arenite_core::PressureLevel;
    /// use arenite_pages::machine::PressureReading;
    /// let reading = PressureReading { free: 0.2, some: 0.0, full: 0.0 };
    /// assert_eq!(reading.level(), PressureLevel::Elevated);
    /// assert_eq!(PressureReading { some: 31.0, ..reading }.level(), PressureLevel::Warning);
    /// ```
    #[must_use]
    pub fn level(&self) -> PressureLevel {
        let by_free =
            FREE_THRESHOLDS.iter().find(|&&(below, _)| self.free < below).map_or(Normal, |&(_, level)| level);
        let by_stall = |thresholds: &[(f64, PressureLevel)], percent: f64| {
            thresholds.iter().find(|&&(from, _)| percent >= from).map_or(Normal, |&(_, level)| level)
        };
        by_free
            .max(by_stall(&SOME_STALL_THRESHOLDS, self.some))
            .max(by_stall(&FULL_STALL_THRESHOLDS, self.full))
    }

    /// Returns the level after the level `before`. It rises with the reading. It falls once a
    /// quarter more than the threshold is free, and stalls are at half of theirs.
    ///
    /// ```
    /// use arenite_core::PressureLevel::{Elevated, Normal};
    /// use arenite_pages::machine::PressureReading;
    /// let reading = |free| PressureReading { free, some: 0.0, full: 0.0 };
    /// assert_eq!(reading(0.3).level_after(Normal), Normal);
    /// assert_eq!(reading(0.3).level_after(Elevated), Elevated);
    /// assert_eq!(reading(0.32).level_after(Elevated), Normal);
    /// ```
    #[must_use]
    pub fn level_after(&self, before: PressureLevel) -> PressureLevel {
        let now = self.level();
        let strict = Self {
            free: self.free / FREE_HYSTERESIS,
            some: self.some / STALL_HYSTERESIS,
            full: self.full / STALL_HYSTERESIS,
        };
        now.max(before.min(strict.level()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn r26_thresholds_are_as_documented() {
        let free = |free| PressureReading { free, some: 0.0, full: 0.0 }.level();
        assert_eq!(
            [1.0, 0.25, 0.24, 0.12, 0.11, 0.05, 0.04, 0.01, 0.0].map(free),
            [Normal, Normal, Elevated, Elevated, Warning, Warning, Critical, Critical, OutOfMemory]
        );
        let some = |some| PressureReading { free: 1.0, some, full: 0.0 }.level();
        assert_eq!([9.9, 10.0, 30.0, 99.0].map(some), [Normal, Elevated, Warning, Warning]);
        let full = |full| PressureReading { free: 1.0, some: 0.0, full }.level();
        assert_eq!([9.9, 10.0, 40.0].map(full), [Normal, Warning, Critical]);
    }

    #[test]
    fn u23_level_changes_once_when_the_reading_wavers() {
        let mut level = Normal;
        let mut changes = 0;
        for turn in 0..100 {
            let reading =
                PressureReading { free: if turn % 2 == 0 { 0.115 } else { 0.125 }, some: 0.0, full: 0.0 };
            let next = reading.level_after(level);
            changes += u32::from(next != level);
            level = next;
        }
        assert_eq!((level, changes), (Warning, 1));
        let free = PressureReading { free: 0.9, some: 0.0, full: 0.0 };
        assert_eq!(free.level_after(OutOfMemory), Normal);
        assert_eq!(PressureReading { some: 6.0, ..free }.level_after(Elevated), Elevated);
    }

    #[test]
    fn u21_the_smallest_limit_binds() {
        let fixture = Fixture::new()
            .file("/proc/meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 900 kB\n")
            .file("/proc/self/cgroup", "0::/job\n")
            .file("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n")
            .file("/sys/fs/cgroup/job/memory.max", "1000\n")
            .file("/sys/fs/cgroup/job/memory.current", "960\n")
            .file("/sys/fs/cgroup/job/memory.stat", "anon 5\ninactive_file 40\n");
        let reading = PressureReading::read_at(fixture.path());
        assert!((reading.free - 0.08).abs() < 1e-9, "{reading:?}");
        assert_eq!(reading.level(), Warning);
    }
}
