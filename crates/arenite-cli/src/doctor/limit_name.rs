//! The names of memory limits in texts.

use arenite_pages::machine::MemoryLimitKind;

/// Returns the name of a limit in texts.
pub(super) const fn limit_name(limit: MemoryLimitKind) -> &'static str {
    match limit {
        MemoryLimitKind::Machine => "the machine's available memory",
        MemoryLimitKind::CommitLimit => "the kernel's commit limit (overcommit mode 2)",
        MemoryLimitKind::Cgroup => "the control group",
        MemoryLimitKind::AddressSpace => "RLIMIT_AS",
        MemoryLimitKind::Data => "RLIMIT_DATA",
        _ => "another limit",
    }
}
