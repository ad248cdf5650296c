//! The doctor's report: what was read, in the units a reader thinks in, each limit with a remark where it will hurt.
//!
//! Rests on `serde`; `collect` fills it. Its own structs and not those of the rooms, because the JSON is an interface of
//! its own: fields are bytes, counts and percents by name, and `null` is "no limit" or "not known", whichever the words
//! beside it say.

use super::check::CheckLine;
use serde::Serialize;

/// A value, with what it means for a program that uses arenite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Noted<T> {
    /// The value.
    pub value: T,
    /// What it means.
    pub remark: Option<String>,
}

/// The processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessorSection {
    /// Its maker's name.
    pub model: Option<String>,
    /// Logical processors online.
    pub online: usize,
    /// Cores online.
    pub cores: Option<usize>,
    /// Logical processors this process may use.
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
    pub bytes: u64,
    /// Length of a line in bytes.
    pub line_bytes: u64,
    /// Associativity.
    pub ways: Option<u32>,
    /// Logical processors that share it.
    pub shared_by: usize,
}

/// One NUMA node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeLine {
    /// The kernel's number.
    pub id: usize,
    /// Its logical processors, as ranges.
    pub cpus: String,
    /// Bytes of memory.
    pub total_bytes: u64,
    /// Bytes free.
    pub free_bytes: u64,
    /// Distance to each node of the list.
    pub distances: Vec<u32>,
}

/// The OS pages, and what arenite does about huge ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PagesSection {
    /// Size of an OS page in bytes.
    pub size_bytes: Option<u64>,
    /// Policy for transparent huge pages.
    pub transparent: &'static str,
    /// Size of one in bytes.
    pub transparent_bytes: Option<u64>,
    /// How hard the kernel works to find one.
    pub defrag: Option<String>,
    /// The policy for shared memory.
    pub shmem: Option<String>,
    /// Explicit huge pages: size in bytes, total and free count.
    pub explicit: Vec<(u64, u64, u64)>,
    /// Whether arenas that ask for huge pages by `madvise` can get them, and why.
    pub arenas_ask: Noted<bool>,
}

/// The machine's memory now, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemorySection {
    /// All of it.
    pub total_bytes: u64,
    /// What nobody uses.
    pub free_bytes: u64,
    /// What can be taken without swapping.
    pub available_bytes: u64,
    /// Swap space.
    pub swap_total_bytes: u64,
    /// Swap space nobody uses.
    pub swap_free_bytes: u64,
    /// Anonymous memory in transparent huge pages.
    pub anonymous_huge_bytes: u64,
}

/// Memory pressure, in percent of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PressureLine {
    /// Whose.
    pub of: &'static str,
    /// Some task waited: last 10, 60 and 300 seconds.
    pub some_percent: [f64; 3],
    /// Every task waited: last 10, 60 and 300 seconds.
    pub full_percent: Option<[f64; 3]>,
    /// What it means.
    pub remark: Option<String>,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitLine {
    /// Its name in the operating system.
    pub name: &'static str,
    /// Its number: bytes, or a count for `vm.max_map_count`; `null` where there is none.
    pub number: Option<u64>,
    /// In words.
    pub words: String,
    /// Where it will hurt.
    pub remark: Option<String>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GpuLine {
    /// Its place in the driver's list.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// What sort of device.
    pub kind: String,
    /// Bytes of memory near it.
    pub device_bytes: u64,
    /// Versions and capabilities.
    pub details: String,
}

/// What one driver answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Driver {
    /// The devices it has.
    pub devices: Vec<GpuLine>,
    /// Why there is none.
    pub why_none: Option<String>,
}

/// What the drivers answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gpus {
    /// The CUDA driver.
    pub cuda: Driver,
    /// The Vulkan loader.
    pub vulkan: Driver,
    /// How host and device see each other's writes.
    pub visibility: Noted<&'static str>,
}

/// What this process's control group has met, as counts; `null` where the kernel does not count it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventsLine {
    /// Slowed down at `memory.high`.
    pub high: Option<u64>,
    /// At the limit.
    pub limit: Option<u64>,
    /// Processes killed.
    pub killed: Option<u64>,
}

/// The whole report.
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
    /// Its caches.
    pub caches: Vec<CacheLine>,
    /// The NUMA nodes, with a remark where they are made up.
    pub numa: Noted<Vec<NodeLine>>,
    /// The node that the report was made on.
    pub current_node: usize,
    /// The OS pages.
    pub pages: PagesSection,
    /// The machine's memory.
    pub memory: Option<MemorySection>,
    /// Memory pressure, of the machine and of the control group, where the kernel tells.
    pub pressure: Vec<PressureLine>,
    /// What the control group has met; `null` without a memory controller.
    pub events: Option<EventsLine>,
    /// Bytes this process may still take, with the ceiling that binds; `null` where none is known.
    pub available_bytes: Noted<Option<u64>>,
    /// What binds this process.
    pub limits: Vec<LimitLine>,
    /// The devices.
    pub gpus: Gpus,
    /// What `--check` found; empty without it.
    pub checks: Vec<CheckLine>,
}
