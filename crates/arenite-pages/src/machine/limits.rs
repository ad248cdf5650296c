//! The limits of this process: resource limits, the kernel's settings for address space, the
//! control group.
//!
//! They are read together because an error never names its limit: `mmap` returns `ENOMEM` for five
//! different reasons.

use super::cgroup::Cgroup;
use super::procfs::parse::field;
use super::procfs::sys_root::SysRoot;
use core::ops::ControlFlow;
use std::path::Path;

/// Value of a resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// No limit.
    Unlimited,
    /// A limit in bytes.
    Bytes(u64),
}

impl Limit {
    /// Returns the bytes, or `None` if unlimited.
    ///
    /// ```
    /// use arenite_pages::machine::Limit;
    /// assert_eq!((Limit::Bytes(8).bytes(), Limit::Unlimited.bytes()), (Some(8), None));
    /// ```
    #[must_use]
    pub fn bytes(self) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

/// A resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// Effective value; the process may raise it up to `hard`.
    pub soft: Limit,
    /// Maximum of `soft`; only a privileged process may raise it.
    pub hard: Limit,
}

/// The kernel's overcommit mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OvercommitMode {
    /// 0: only absurd single requests fail.
    Heuristic,
    /// 1: no request fails.
    Always,
    /// 2: the sum of all requests stays under a limit, accessed or not.
    Never,
}

/// The kernel's rule for overcommitting memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overcommit {
    /// The mode.
    pub mode: OvercommitMode,
    /// Percent of memory that may be committed in mode 2.
    pub ratio: Option<u64>,
    /// Bytes that may be committed in mode 2; if not 0, they replace `ratio`.
    pub bytes: Option<u64>,
}

/// The limits of this process. `None` means unknown.
///
/// ```
/// use arenite_pages::machine::Limits;
/// let limits = Limits::read();
/// if let Some(bytes) = limits.memlock.and_then(|limit| limit.soft.bytes()) {
///     println!("at most {bytes} bytes can be locked");
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum number of locked bytes (`RLIMIT_MEMLOCK`).
    pub memlock: Option<Rlimit>,
    /// Whether `memlock` does not apply, because the process has the capability `CAP_IPC_LOCK`.
    pub may_lock_all: bool,
    /// Bytes of address space (`RLIMIT_AS`).
    pub address_space: Option<Rlimit>,
    /// Bytes of private writable memory (`RLIMIT_DATA`).
    pub data: Option<Rlimit>,
    /// Bytes of the first thread's stack (`RLIMIT_STACK`).
    pub stack: Option<Rlimit>,
    /// Maximum number of mappings of a process (`vm.max_map_count`).
    pub max_map_count: Option<u64>,
    /// The kernel's rule for overcommitting memory.
    pub overcommit: Option<Overcommit>,
    /// The control group; `None` without a visible memory controller.
    pub cgroup: Option<Cgroup>,
}

impl Limits {
    /// Reads the limits of this process.
    ///
    /// ```
    /// let limits = arenite_pages::machine::Limits::read();
    /// assert_eq!(limits.stack.is_some(), cfg!(target_os = "linux"));
    /// ```
    #[must_use]
    pub fn read() -> Self {
        Self::from_root(SysRoot::real())
    }

    /// Reads the limits of the machine below `root`.
    ///
    /// ```
    /// assert_eq!(arenite_pages::machine::Limits::read_at("/nonexistent".as_ref()).memlock, None);
    /// ```
    #[must_use]
    pub fn read_at(root: &Path) -> Self {
        Self::from_root(SysRoot::at(root))
    }

    pub(super) fn from_root(root: SysRoot<'_>) -> Self {
        let text = root.read_text("/proc/self/limits").unwrap_or_default();
        Self {
            memlock: rlimit(&text, "Max locked memory"),
            may_lock_all: may_lock_all(&root.read_text("/proc/self/status").unwrap_or_default()),
            address_space: rlimit(&text, "Max address space"),
            data: rlimit(&text, "Max data size"),
            stack: rlimit(&text, "Max stack size"),
            max_map_count: root.read_number("/proc/sys/vm/max_map_count"),
            overcommit: overcommit(root),
            cgroup: Cgroup::from_root(root),
        }
    }
}

/// The limits that can stop a process from allocating memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct EffectiveLimits {
    pub(super) address_space: Option<Rlimit>,
    pub(super) data: Option<Rlimit>,
    /// Whether the kernel enforces its commit limit.
    pub(super) commit_limit_enforced: bool,
}

impl EffectiveLimits {
    /// Reads the limits without heap memory.
    pub(super) fn from_root(root: SysRoot<'_>) -> Self {
        let (mut address_space, mut data) = (None, None);
        // an unreadable limit counts as none
        let _all: Option<ControlFlow<()>> = root.for_each_line("/proc/self/limits", |line| {
            address_space = address_space.or_else(|| rlimit(line, "Max address space"));
            data = data.or_else(|| rlimit(line, "Max data size"));
            ControlFlow::Continue(())
        });
        let commit_limit_enforced = overcommit(root).is_some_and(|rule| rule.mode == OvercommitMode::Never);
        Self { address_space, data, commit_limit_enforced }
    }

    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            address_space: limits.address_space,
            data: limits.data,
            commit_limit_enforced: limits.overcommit.is_some_and(|rule| rule.mode == OvercommitMode::Never),
        }
    }
}

fn rlimit(text: &str, name: &str) -> Option<Rlimit> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    let mut words = rest.split_whitespace();
    let mut side = || match words.next()? {
        "unlimited" => Some(Limit::Unlimited),
        bytes => bytes.parse().ok().map(Limit::Bytes),
    };
    let (soft, hard) = (side()?, side()?);
    (words.next() == Some("bytes")).then_some(Rlimit { soft, hard })
}

/// Returns whether the process has `CAP_IPC_LOCK`, bit 14 of the effective capabilities.
fn may_lock_all(status: &str) -> bool {
    let effective = field(status, "CapEff").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    effective.is_some_and(|bits| bits & (1 << 14) != 0)
}

fn overcommit(root: SysRoot<'_>) -> Option<Overcommit> {
    let mode = match root.read_number("/proc/sys/vm/overcommit_memory")? {
        0 => OvercommitMode::Heuristic,
        1 => OvercommitMode::Always,
        2 => OvercommitMode::Never,
        _ => return None,
    };
    let kib = root.read_number("/proc/sys/vm/overcommit_kbytes");
    Some(Overcommit {
        mode,
        ratio: root.read_number("/proc/sys/vm/overcommit_ratio"),
        bytes: kib.and_then(|kib| kib.checked_mul(1024)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
        Max data size             1048576              unlimited            bytes     \n\
        Max stack size            8388608              unlimited            bytes     \n\
        Max locked memory         8388608              8388608              bytes     \n\
        Max address space         unlimited            unlimited            bytes     \n\
        Max nice priority         0                    0                    \n";

    #[test]
    fn u24_limits_are_read_from_a_fixture() {
        let fixture = Fixture::new()
            .file("/proc/self/limits", FILE)
            .file("/proc/self/status", "CapEff:\t0000000000004000\n")
            .file("/proc/sys/vm/max_map_count", "65530\n")
            .file("/proc/sys/vm/overcommit_memory", "2\n")
            .file("/proc/sys/vm/overcommit_ratio", "50\n");
        let limits = Limits::read_at(fixture.path());
        let eight_mib = Limit::Bytes(8 << 20);
        assert_eq!(limits.memlock, Some(Rlimit { soft: eight_mib, hard: eight_mib }));
        assert_eq!(limits.address_space, Some(Rlimit { soft: Limit::Unlimited, hard: Limit::Unlimited }));
        assert_eq!(limits.data, Some(Rlimit { soft: Limit::Bytes(1 << 20), hard: Limit::Unlimited }));
        assert_eq!(limits.stack.map(|stack| stack.hard), Some(Limit::Unlimited));
        assert_eq!((limits.max_map_count, limits.may_lock_all), (Some(65_530), true));
        assert!(
            !may_lock_all("CapEff:\t00000000a80425fb\n")
                && !may_lock_all("CapEff: -1\n")
                && !may_lock_all("")
        );
        let overcommit = Overcommit { mode: OvercommitMode::Never, ratio: Some(50), bytes: None };
        assert_eq!((limits.overcommit, limits.cgroup), (Some(overcommit), None));
    }

    #[test]
    fn u24_limit_is_none_when_its_line_is_cut_or_foreign() {
        for text in [
            "",
            "Max locked memory",
            "Max locked memory 5",
            "Max locked memory 5 x bytes",
            "Max locked memory 5 6 us",
        ] {
            assert_eq!(rlimit(text, "Max locked memory"), None, "{text:?}");
        }
        assert_eq!(
            Limits::read_at(Fixture::new().file("/proc/sys/vm/overcommit_memory", "7").path()).overcommit,
            None
        );
    }

    #[test]
    fn u24_real_limits_are_ordered() {
        let limits = Limits::read();
        for limit in [limits.memlock, limits.address_space, limits.data, limits.stack].into_iter().flatten() {
            if let (Limit::Bytes(soft), Limit::Bytes(hard)) = (limit.soft, limit.hard) {
                assert!(soft <= hard, "{limit:?}");
            }
        }
        assert!(!cfg!(target_os = "linux") || limits.memlock.is_some());
    }

    proptest! {
        #[test]
        fn u24_any_text_is_a_limit_or_none(text in any::<String>(), rest in "[0-9a-z ]{0,40}", cut in 0_usize..400) {
            prop_assert!(rlimit(&text, "Max").is_none() || text.contains("bytes"));
            prop_assert_eq!(rlimit(&format!("Max {rest}"), "Max").is_some_and(|_| !rest.contains("bytes")), false);
            if let Some(limit) = rlimit(&FILE[..cut.min(FILE.len())], "Max stack size") {
                prop_assert_eq!(limit.soft, Limit::Bytes(8 << 20));
            }
        }
    }
}
