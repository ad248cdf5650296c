//! The processor: its name, its number of cores, and its vector instructions.
//!
//! The instructions are always those of the running machine (as the standard library detects
//! them), whatever root the files come from. Code may only use what the processor runs.

use super::procfs::parse::{field, parse_cpu_list};
use super::procfs::sys_root::SysRoot;
use std::collections::BTreeSet;
use std::path::Path;

/// The processor of a machine.
///
/// ```
/// let cpu = arenite_pages::machine::Cpu::read();
/// assert!(cpu.logical >= 1 && cpu.usable >= 1);
/// let model = cpu.model.as_deref().unwrap_or("unknown");
/// println!("{} x {model}: {}", cpu.logical, cpu.simd.join(" "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cpu {
    /// The vendor's name for it; Arm machines mostly have none.
    pub model: Option<String>,
    /// Number of online logical processors.
    pub logical: usize,
    /// Number of online cores; `None` if unknown.
    pub physical: Option<usize>,
    /// Number of logical processors that this process may run on.
    pub usable: usize,
    /// Vector instructions of the running machine, by the compiler's names.
    pub simd: Vec<&'static str>,
}

impl Cpu {
    /// Reads the processor of this machine.
    ///
    /// ```
    /// assert!(arenite_pages::machine::Cpu::read().logical >= 1);
    /// ```
    #[must_use]
    pub fn read() -> Self {
        Self::from_root(SysRoot::real())
    }

    /// Reads the processor of the machine below `root`.
    ///
    /// ```
    /// assert_eq!(arenite_pages::machine::Cpu::read_at("/nonexistent".as_ref()).model, None);
    /// ```
    #[must_use]
    pub fn read_at(root: &Path) -> Self {
        Self::from_root(SysRoot::at(root))
    }

    pub(super) fn from_root(root: SysRoot<'_>) -> Self {
        let dir = Path::new("/sys/devices/system/cpu");
        let info = root.read_text("/proc/cpuinfo").unwrap_or_default();
        let online = root.read_text(dir.join("online")).and_then(|text| parse_cpu_list(&text));
        let listed =
            info.lines().filter(|line| line.split(':').next().map(str::trim) == Some("processor")).count();
        let logical = online.as_ref().map_or(listed, Vec::len);
        let logical = if logical == 0 { parallelism() } else { logical };
        let allowed = root
            .read_text("/proc/self/status")
            .and_then(|text| parse_cpu_list(field(&text, "Cpus_allowed_list")?));
        let usable = match (&online, allowed) {
            (Some(online), Some(allowed)) => allowed.iter().filter(|cpu| online.contains(cpu)).count().max(1),
            (None, Some(allowed)) => allowed.len().clamp(1, logical),
            (_, None) => logical,
        };
        Self {
            model: cpu_model(&info),
            logical,
            physical: physical_cores(root, dir, online),
            usable,
            simd: simd_features(),
        }
    }
}

fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the processor's name, by the key of any architecture.
fn cpu_model(info: &str) -> Option<String> {
    let value = |key: &str| {
        info.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let value = value.trim();
            (name.trim() == key && !value.is_empty()).then(|| value.to_owned())
        })
    };
    ["model name", "cpu model", "Hardware", "uarch", "cpu"].into_iter().find_map(value)
}

/// Counts the cores: each has its own list of logical processors.
fn physical_cores(root: SysRoot<'_>, dir: &Path, online: Option<Vec<usize>>) -> Option<usize> {
    let siblings = |cpu: &usize| {
        let topology = dir.join(format!("cpu{cpu}/topology"));
        root.read_line(topology.join("core_cpus_list"))
            .or_else(|| root.read_line(topology.join("thread_siblings_list")))
    };
    let cores: Option<BTreeSet<String>> = online?.iter().map(siblings).collect();
    cores.map(|cores| cores.len()).filter(|&cores| cores > 0)
}

macro_rules! detected {
    ($detect:ident: $($name:tt)*) => {{
        let mut found: Vec<&'static str> = Vec::new();
        $(if std::arch::$detect!($name) { found.push($name); })*
        found
    }};
}

#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
fn simd_features() -> Vec<&'static str> {
    detected!(is_x86_feature_detected:
        "sse2" "ssse3" "sse4.1" "sse4.2" "avx" "f16c" "fma" "avx2" "avxvnni" "avx512f" "avx512cd" "avx512bw" "avx512dq"
        "avx512vl" "avx512vnni" "avx512vbmi" "avx512bf16" "avx512fp16")
}

#[cfg(target_arch = "aarch64")]
fn simd_features() -> Vec<&'static str> {
    detected!(is_aarch64_feature_detected: "neon" "fp16" "dotprod" "i8mm" "bf16" "sve" "sve2")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
fn simd_features() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn n16_cores_are_counted_with_two_threads_each_and_one_off() {
        let cpu = "/sys/devices/system/cpu";
        let fixture = Fixture::new()
            .file("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Example 9000\nprocessor\t: 1\n")
            .file("/proc/self/status", "Cpus_allowed:\tff\nCpus_allowed_list:\t1-63\n")
            .file(&format!("{cpu}/online"), "0-3\n");
        let fixture = (0..4).fold(fixture, |fixture, id| {
            fixture.file(&format!("{cpu}/cpu{id}/topology/core_cpus_list"), ["0,2\n", "1,3\n"][id % 2])
        });
        let cpu = Cpu::read_at(fixture.path());
        assert_eq!(cpu.model.as_deref(), Some("Example 9000"));
        assert_eq!((cpu.logical, cpu.physical, cpu.usable), (4, Some(2), 3));
    }

    #[test]
    fn n16_cpu_is_read_when_only_processors_are_listed() {
        let fixture = Fixture::new().file("/proc/cpuinfo", "processor : 0\nBogoMIPS : 50\nprocessor : 1\n");
        let cpu = Cpu::read_at(fixture.path());
        assert_eq!((cpu.model, cpu.logical, cpu.physical, cpu.usable), (None, 2, None, 2));
    }

    #[test]
    fn n16_real_processors_are_at_least_as_many_as_cores() {
        let cpu = Cpu::read();
        assert!(cpu.physical.is_none_or(|cores| cores <= cpu.logical), "{cpu:?}");
        assert!(cpu.usable <= cpu.logical);
        assert!(!cfg!(target_arch = "x86_64") || cpu.simd.contains(&"sse2"));
    }

    proptest! {
        #[test]
        fn n16_any_cpuinfo_has_a_model_or_none(text in any::<String>()) {
            prop_assert!(cpu_model(&text).is_none_or(|model| !model.is_empty()));
        }
    }
}
