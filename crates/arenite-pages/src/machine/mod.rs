//! What this machine and this process are made of, as the operating system tells it in text files.
//!
//! Rests on files alone, which `os` opens: every number comes from `/proc` and `/sys`, below a root that a test replaces by
//! a tree of its own. Files instead of system calls, because a file can be written into a fixture: machines with eight
//! nodes, nested limits and odd kernels are all readable on a laptop. Nothing here writes, except
//! [`ProcessMemory::reset_peak`], and nothing panics on what it reads: what is missing or garbled is `None`.
//!
//! From the widest to the narrowest: [`Machine`] holds all of it; [`Cpu`], [`Caches`] and [`Numa`] are the hardware;
//! [`PageSizes`] is what the kernel maps with; [`Meminfo`] and [`Pressure`] are the machine's memory now; [`Limits`] and
//! [`Cgroup`] are what binds this process; [`ProcessMemory`] is what it has, [`Available`] what it may still take, and
//! [`PressureReading`] how near the end is.

mod available;
mod caches;
mod cgroup;
mod cpu;
#[cfg(test)]
mod fixture;
mod limits;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
mod machine;
mod meminfo;
mod numa;
mod page_sizes;
mod pressure;
mod pressure_level;
mod process_memory;
pub(crate) mod procfs;

pub use available::{Available, MemoryLimitKind, available_memory};
pub use caches::{Cache, CacheKind, Caches};
pub use cgroup::{Cgroup, CgroupEvents, CgroupLevel};
pub use cpu::Cpu;
pub use limits::{Limit, Limits, Overcommit, OvercommitMode, Rlimit};
pub use machine::Machine;
pub use meminfo::Meminfo;
pub use numa::{Numa, NumaNode, numa_info};
pub use page_sizes::{HugetlbPool, PageSizes, TransparentHugePages};
pub use pressure::{Pressure, PressureStall};
pub use pressure_level::PressureReading;
pub use process_memory::{PeakResetError, ProcessMemory, ProcessMemoryError};
pub use procfs::cgroup_mount::CgroupVersion;
