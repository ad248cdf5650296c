//! The doctor's report.
//!
//! These types are separate from those of the libraries, because the JSON is an interface of its
//! own. A field's name carries its unit. `null` means "no limit" or "unknown"; the text beside it
//! distinguishes them.

use super::check::CheckLine;
use serde::Serialize;

/// A value with a remark for programs that use arenite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Annotated<T> {
    /// The value.
    pub value: T,
    /// The consequence, if there is one.
    pub remark: Option<String>,
}

/// The processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessorSection {
    /// Model name, as reported by the kernel.
    pub model: Option<String>,
    /// Logical processors online.
    pub online: usize,
    /// Cores online.
    pub cores: Option<usize>,
    /// Logical processors that this process may use.
    pub usable: usize,
    /// Vector instructions.
    pub simd: Vec<&'static str>,
}

/// One cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CacheLine {
    /// `L1d`, `L1i`, `L2`, …
    pub name: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Length of a line in bytes.
    pub line_bytes: u64,
    /// Associativity.
    pub ways: Option<u32>,
    /// Number of logical processors that share the cache.
    pub sharing_cpus: usize,
}

/// One NUMA node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeLine {
    /// The kernel's id.
    pub id: usize,
    /// Logical processors, as ranges.
    pub cpus: String,
    /// Total memory in bytes.
    pub total_bytes: u64,
    /// Free memory in bytes.
    pub free_bytes: u64,
    /// Distance to each node of the list.
    pub distances: Vec<u32>,
}

/// The sizes of OS pages, and the huge pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PagesSection {
    /// Size of an OS page in bytes.
    pub size_bytes: Option<u64>,
    /// The policy for transparent huge pages.
    pub transparent: &'static str,
    /// Size of a transparent huge page in bytes.
    pub transparent_size_bytes: Option<u64>,
    /// The policy for defragmentation on behalf of huge pages.
    pub defrag: Option<String>,
    /// The policy for shared memory.
    pub shmem: Option<String>,
    /// The pools of explicit huge pages.
    pub explicit: Vec<HugetlbLine>,
    /// Availability of huge pages to arenas by `madvise`, with the reason.
    pub arenas_request_thp: Annotated<bool>,
}

/// One pool of explicit huge pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HugetlbLine {
    /// Size of a page in bytes.
    pub size_bytes: u64,
    /// Pages in the pool.
    pub total: u64,
    /// Free pages in the pool.
    pub free: u64,
}

/// The machine's memory now, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemorySection {
    /// Total memory.
    pub total_bytes: u64,
    /// Unused memory.
    pub free_bytes: u64,
    /// Memory that can be allocated without swapping.
    pub available_bytes: u64,
    /// Total swap space.
    pub swap_total_bytes: u64,
    /// Unused swap space.
    pub swap_free_bytes: u64,
    /// Anonymous memory in transparent huge pages.
    pub anonymous_huge_bytes: u64,
}

/// Means over the last 10, 60 and 300 seconds, in percent of time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StallPercent {
    /// Mean over the last 10 seconds.
    pub avg10: f64,
    /// Mean over the last 60 seconds.
    pub avg60: f64,
    /// Mean over the last 300 seconds.
    pub avg300: f64,
}

/// Memory pressure, in percent of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PressureLine {
    /// `system` or `cgroup`.
    pub scope: &'static str,
    /// Time in which some task waited.
    pub some_percent: StallPercent,
    /// Time in which every task waited.
    pub full_percent: Option<StallPercent>,
    /// The consequence, if there is one.
    pub remark: Option<String>,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitLine {
    /// Name in the operating system.
    pub name: &'static str,
    /// The value; `null` without a limit.
    pub value: Option<u64>,
    /// Unit of the value: `bytes`, `mappings` or `mode`.
    pub unit: &'static str,
    /// The value as text.
    pub text: String,
    /// The effect of the limit.
    pub remark: Option<String>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GpuLine {
    /// Index in the driver's list.
    pub index: usize,
    /// Name of the device.
    pub name: String,
    /// Kind of the device.
    pub kind: String,
    /// Device memory in bytes.
    pub memory_bytes: u64,
    /// Versions and capabilities.
    pub details: String,
}

/// The devices of one driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Driver {
    /// The devices.
    pub devices: Vec<GpuLine>,
    /// The reason if there is no device.
    pub unavailable_reason: Option<String>,
}

/// The devices of all drivers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gpus {
    /// The CUDA driver.
    pub cuda: Driver,
    /// The Vulkan loader.
    pub vulkan: Driver,
    /// The visibility of writes between host and device.
    pub visibility: Annotated<&'static str>,
}

/// The memory events of this process's control group; `null` if the kernel does not count them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventsLine {
    /// Times that the group was slowed down at `memory.high`.
    pub high: Option<u64>,
    /// Times that the group reached its limit.
    pub limit_hits: Option<u64>,
    /// Processes killed.
    pub killed: Option<u64>,
}

/// The report of `arenite doctor`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DoctorReport {
    /// Version of arenite.
    pub arenite: &'static str,
    /// Operating system.
    pub os: &'static str,
    /// Architecture.
    pub architecture: &'static str,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The processor.
    pub processor: ProcessorSection,
    /// The caches of the processor.
    pub caches: Vec<CacheLine>,
    /// The NUMA nodes.
    pub numa: Annotated<Vec<NodeLine>>,
    /// The node of the reporting thread.
    pub current_node: usize,
    /// The OS pages.
    pub pages: PagesSection,
    /// The machine's memory.
    pub memory: Option<MemorySection>,
    /// Memory pressure of the system and of the control group, if the kernel reports it.
    pub pressure: Vec<PressureLine>,
    /// Memory events of the control group; `null` without a memory controller.
    pub events: Option<EventsLine>,
    /// Bytes that this process can still allocate, and the limit that binds; `null` if unknown.
    pub available_bytes: Annotated<Option<u64>>,
    /// The limits of this process.
    pub limits: Vec<LimitLine>,
    /// The devices.
    pub gpus: Gpus,
    /// The results of `--check`; empty without it.
    pub checks: Vec<CheckLine>,
}
