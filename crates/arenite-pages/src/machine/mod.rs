//! Hardware facts and process limits, read from `/proc` and `/sys`.
//!
//! Every fact comes from a file below a root that a test replaces by a tree of its own. So
//! machines with eight nodes, nested limits and odd kernels can be tested on a laptop. Only
//! [`ProcessMemory::reset_peak`] writes. No input causes a panic: a missing or garbled value is
//! `None`.
//!
//! - `machine`: [`Machine`], all of the facts.
//! - `cpu`, `caches`, `numa`: the hardware.
//! - `page_sizes`: the sizes and the policy of OS pages.
//! - `meminfo`, `pressure`: the machine's memory now.
//! - `limits`, `cgroup`: the limits of this process.
//! - `process_memory`: the memory of this process.
//! - `available`: [`Available`], the memory that it can still allocate.
//! - `pressure_level`: [`PressureReading`], the level of memory pressure.
//! - `procfs`: the readers of the kernel's files.

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
