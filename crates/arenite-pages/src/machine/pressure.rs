//! Memory pressure: the share of time in which tasks stalled because memory was short.
//!
//! The kernel's pressure stall information (`Documentation/accounting/psi.rst`) is in
//! `/proc/pressure/memory` for the machine, and in `memory.pressure` for a control group of
//! version 2. Only this signal distinguishes a machine whose memory is well used from one that
//! stalls.

use super::cgroup::{level_paths, with_cgroup};
use super::procfs::sys_root::SysRoot;
use std::path::Path;

/// Stalled time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PressureStall {
    /// Percent of the last 10 seconds.
    pub avg10: f64,
    /// Percent of the last 60 seconds.
    pub avg60: f64,
    /// Percent of the last 300 seconds.
    pub avg300: f64,
    /// Total microseconds.
    pub total_us: u64,
}

/// Memory pressure on a machine or on a control group.
///
/// ```
/// use arenite_pages::machine::Pressure;
/// if let Some(pressure) = Pressure::read() {
///     assert!((0.0..=100.0).contains(&pressure.some.avg10));
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pressure {
    /// At least one task waited for memory.
    pub some: PressureStall,
    /// Every task with work waited for memory; `None` if the kernel does not report it.
    pub full: Option<PressureStall>,
}

impl Pressure {
    /// Reads the pressure on this machine, or returns `None` if the kernel does not report it.
    ///
    /// ```
    /// println!("{:?}", arenite_pages::machine::Pressure::read());
    /// ```
    #[must_use]
    pub fn read() -> Option<Self> {
        Self::from_root(SysRoot::real())
    }

    /// Reads the pressure on the machine below `root`.
    ///
    /// ```
    /// assert_eq!(arenite_pages::machine::Pressure::read_at("/nonexistent".as_ref()), None);
    /// ```
    #[must_use]
    pub fn read_at(root: &Path) -> Option<Self> {
        Self::from_root(SysRoot::at(root))
    }

    /// Parses the content of a pressure file.
    ///
    /// ```
    /// use arenite_pages::machine::Pressure;
    /// let pressure = Pressure::parse("some avg10=1.50 avg60=0.20 avg300=0.00 total=7\n").unwrap();
    /// assert_eq!((pressure.some.avg10, pressure.some.total_us, pressure.full), (1.5, 7, None));
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self { some: stall(text, "some")?, full: stall(text, "full") })
    }

    pub(super) fn from_root(root: SysRoot<'_>) -> Option<Self> {
        root.read(Path::new("/proc/pressure"), "memory", Self::parse)
    }

    pub(super) fn from_cgroup(root: SysRoot<'_>) -> Option<Self> {
        with_cgroup(root, |_, mount, dir| {
            let own = level_paths(root, mount, dir).next()?;
            root.read(own, "memory.pressure", Self::parse)
        })
    }
}

fn stall(text: &str, who: &str) -> Option<PressureStall> {
    let line = text.lines().find_map(|line| line.strip_prefix(who)?.strip_prefix(' '))?;
    let value =
        |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let percent = |key: &str| value(key)?.parse().ok().filter(|share: &f64| (0.0..=100.0).contains(share));
    Some(PressureStall {
        avg10: percent("avg10")?,
        avg60: percent("avg60")?,
        avg300: percent("avg300")?,
        total_us: value("total")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;
    use proptest::prelude::*;

    const FILE: &str =
        "some avg10=1.00 avg60=2.00 avg300=3.00 total=4\nfull avg10=0.10 avg60=0.20 avg300=0.30 total=5\n";

    #[test]
    fn u24_pressure_is_read_for_the_machine_and_the_group() {
        let fixture = Fixture::new()
            .file("/proc/pressure/memory", FILE)
            .file("/proc/self/cgroup", "0::/job\n")
            .file("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
            .file("/sys/fs/cgroup/job/memory.max", "max\n")
            .file("/sys/fs/cgroup/job/memory.pressure", "some avg10=9.00 avg60=0 avg300=0 total=1\n");
        let machine = Pressure::read_at(fixture.path()).unwrap();
        assert_eq!(machine.some, PressureStall { avg10: 1.0, avg60: 2.0, avg300: 3.0, total_us: 4 });
        assert_eq!(machine.full.map(|full| full.total_us), Some(5));
        let group = Pressure::from_cgroup(fixture.root()).unwrap();
        assert_eq!((group.some.avg10, group.full), (9.0, None));
    }

    #[test]
    fn u24_garbled_pressure_is_none() {
        for text in [
            "",
            "some",
            "some avg10=NaN avg60=0 avg300=0 total=0",
            "some avg10=1 avg60=2 total=3",
            &FILE[..40],
        ] {
            assert_eq!(Pressure::parse(text), None, "{text:?}");
        }
        assert_eq!(Pressure::parse("some avg10=1e999 avg60=0 avg300=0 total=0"), None);
    }

    proptest! {
        #[test]
        fn u24_any_text_is_a_share_of_time_or_none(text in "(some|full| |avg10=|avg60=|avg300=|total=|[0-9.eN-]{1,4}|\n){0,20}", cut in 0_usize..100) {
            for text in [&text[..], FILE.get(..cut).unwrap_or(FILE)] {
                prop_assert!(Pressure::parse(text).is_none_or(|pressure| (0.0..=100.0).contains(&pressure.some.avg10)));
            }
        }
    }
}
