//! All facts of this module: the machine that this process runs on, and its limits there.
//!
//! One read collects them, so that a report mixes as few moments as possible. One root lets a test
//! supply an entire machine.

use super::procfs::sys_root::SysRoot;
use super::{Available, Caches, Cpu, Limits, Meminfo, Numa, PageSizes, Pressure, ProcessMemory};
use std::path::Path;

/// The machine that this process runs on, read once.
///
/// ```
/// use arenite_pages::machine::Machine;
/// let machine = Machine::read();
/// println!("{} nodes, {} processors", machine.numa.nodes.len(), machine.cpu.logical);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Machine {
    /// The kernel's release, e.g. `6.12.1`.
    pub kernel: Option<String>,
    /// The processor.
    pub cpu: Cpu,
    /// Its caches.
    pub caches: Caches,
    /// The NUMA nodes.
    pub numa: Numa,
    /// The OS pages.
    pub pages: PageSizes,
    /// The machine's memory now.
    pub meminfo: Option<Meminfo>,
    /// The machine's memory pressure now.
    pub pressure: Option<Pressure>,
    /// The memory pressure of this process's control group now.
    pub cgroup_pressure: Option<Pressure>,
    /// The limits of this process.
    pub limits: Limits,
    /// The memory of this process.
    pub process: Option<ProcessMemory>,
    /// The memory available to this process.
    pub available: Available,
}

impl Machine {
    /// Reads this machine.
    ///
    /// ```
    /// assert!(arenite_pages::machine::Machine::read().cpu.logical >= 1);
    /// ```
    #[must_use]
    pub fn read() -> Self {
        Self::from_root(SysRoot::real())
    }

    /// Reads the machine below `root`: `<root>/proc/…` and `<root>/sys/…`.
    ///
    /// ```
    /// let machine = arenite_pages::machine::Machine::read_at("/nonexistent".as_ref());
    /// assert_eq!(machine.meminfo, None);
    /// ```
    #[must_use]
    pub fn read_at(root: &Path) -> Self {
        Self::from_root(SysRoot::at(root))
    }

    fn from_root(root: SysRoot<'_>) -> Self {
        let (meminfo, limits) = (Meminfo::from_root(root), Limits::from_root(root));
        let process = ProcessMemory::from_root(root).ok();
        Self {
            kernel: root.read_line("/proc/sys/kernel/osrelease"),
            cpu: Cpu::from_root(root),
            caches: Caches::from_root(root),
            numa: Numa::from_root(root),
            pages: PageSizes::from_root(root),
            meminfo,
            pressure: Pressure::from_root(root),
            cgroup_pressure: Pressure::from_cgroup(root),
            available: Available::of(meminfo, &limits, process),
            limits,
            process,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;
    use proptest::prelude::*;

    /// All files that are read, so that each can be garbled.
    const FILES: [&str; 16] = [
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/proc/pressure/memory",
        "/proc/self/auxv",
        "/proc/self/cgroup",
        "/proc/self/limits",
        "/proc/self/mountinfo",
        "/proc/self/stat",
        "/proc/self/statm",
        "/proc/self/status",
        "/proc/sys/kernel/osrelease",
        "/proc/sys/vm/overcommit_memory",
        "/sys/devices/system/cpu/online",
        "/sys/devices/system/node/node0/meminfo",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
    ];

    #[test]
    fn n16_machine_is_read_without_any_file() {
        let machine = Machine::read_at(Fixture::new().path());
        assert!(machine.numa.synthesised && machine.cpu.logical >= 1);
        assert_eq!((machine.meminfo, machine.process, machine.available.bytes()), (None, None, None));
    }

    #[test]
    fn n16_real_machine_is_consistent() {
        let machine = Machine::read();
        let of_nodes: usize = machine.numa.nodes.iter().map(|node| node.cpus.len()).sum();
        assert!(of_nodes <= machine.cpu.logical, "{of_nodes} in nodes, {} online", machine.cpu.logical);
        if let Some(memory) = machine.meminfo {
            assert!(machine.available.bytes().is_some_and(|bytes| bytes <= memory.total));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn n16_garbled_machine_never_panics(contents in proptest::collection::vec(any::<Vec<u8>>(), FILES.len())) {
            let files = FILES.iter().zip(&contents);
            let fixture = files.fold(Fixture::new(), |fixture, (path, bytes)| fixture.bytes(path, bytes));
            prop_assert!(!Machine::read_at(fixture.path()).numa.nodes.is_empty());
        }

        #[test]
        fn n16_real_files_never_panic_when_cut_anywhere(share in 0_usize..100) {
            let real = SysRoot::real();
            let fixture = FILES.iter().fold(Fixture::new(), |fixture, path| {
                let bytes = std::fs::read(&*real.resolve(path).unwrap()).unwrap_or_default();
                fixture.bytes(path, &bytes[..bytes.len() * share / 100])
            });
            prop_assert!(Machine::read_at(fixture.path()).cpu.logical >= 1);
        }
    }
}
