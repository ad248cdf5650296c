//! What this machine and this process are made of, as the operating system tells it in text files.
//!
//! Rests on files alone, which `os` opens: every number comes from `/proc` and `/sys`, below a root that a test replaces by
//! a tree of its own. Files instead of system calls, because a file can be written into a fixture: machines with eight
//! nodes, nested limits and odd kernels are all readable on a laptop. Nothing here writes, except
//! [`ProcessMemory::reset_peak`], and nothing panics on what it reads: what is missing or garbled is `None`.
//!
//! From the widest to the narrowest: [`Machine`] holds all of it; [`Cpu`], [`Caches`] and [`Numa`] are the hardware;
//! [`OsPages`] is what the kernel maps with; [`Meminfo`] and [`Pressure`] are the machine's memory now; [`Limits`] and
//! [`Cgroup`] are what binds this process; [`ProcessMemory`] is what it has, [`Available`] what it may still take, and
//! [`PressureReading`] how near the end is.

mod available;
mod caches;
mod cgroup;
mod cgroup_events;
mod cgroup_mount;
mod cpu;
#[cfg(test)]
mod fixture;
mod level;
mod limits;
#[expect(clippy::module_inception, reason = "a file is named for its main type")]
mod machine;
mod meminfo;
mod notation;
mod numa;
mod os_pages;
mod place;
mod pressure;
mod process_memory;
mod root;

pub use available::{Available, Ceiling, available_memory};
pub use caches::{Cache, CacheKind, Caches};
pub use cgroup::{Cgroup, CgroupLevel, CgroupVersion};
pub use cgroup_events::CgroupEvents;
pub use cpu::Cpu;
pub use level::PressureReading;
pub use limits::{Limit, Limits, Overcommit, OvercommitMode, Rlimit};
pub use machine::Machine;
pub use meminfo::Meminfo;
pub use numa::{Numa, NumaNode, numa_info};
pub use os_pages::{ExplicitHuge, OsPages, TransparentHuge};
pub use pressure::{Pressure, Stall};
pub use process_memory::{PeakResetError, ProcessMemory, ProcessMemoryError};
