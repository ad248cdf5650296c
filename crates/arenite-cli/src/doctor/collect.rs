//! The conversion of [`Machine`] and [`Probe`] to the doctor's report.
//!
//! Both are parameters, so that a test can use any machine. A remark describes how a limit affects
//! arenite and how to raise it.

use super::limit_name::limit_name;
use super::report::{
    Annotated, CacheLine, DoctorReport, Driver, EventsLine, GpuLine, Gpus, HugetlbLine, LimitLine,
    MemorySection, NodeLine, PagesSection, PressureLine, ProcessorSection, StallPercent,
};
use super::text::ranges;
use crate::format::bytes;
use arenite_device::probe::{DeviceDetails, DeviceInfo, ProbeError};
use arenite_device::{MemoryVisibility, Probe};
use arenite_pages::machine::{
    Available, Cache, CacheKind, Cgroup, CgroupEvents, CgroupVersion, HugetlbPool, Limit, Limits, Machine,
    Meminfo, Numa, NumaNode, Overcommit, OvercommitMode, PageSizes, Pressure, PressureStall, Rlimit,
    TransparentHugePages,
};

/// Minimum pressure in percent of the last ten seconds that gets a remark.
const MIN_REMARKED_STALL_PERCENT: f64 = 10.0;

impl DoctorReport {
    /// Creates the report of a machine and its devices.
    ///
    /// ```
    /// use arenite_cli::doctor::DoctorReport;
    /// use arenite_device::{MemoryVisibility, Probe};
    /// use arenite_pages::machine::Machine;
    /// let report = DoctorReport::of(&Machine::read(), &Probe::run(), MemoryVisibility::detect());
    /// assert!(report.processor.online > 0);
    /// ```
    #[must_use]
    pub fn of(machine: &Machine, probe: &Probe, visibility: MemoryVisibility) -> Self {
        let cpu = &machine.cpu;
        let memory = machine.meminfo.as_ref().map(|memory| MemorySection {
            total_bytes: memory.total,
            free_bytes: memory.free,
            available_bytes: memory.available,
            swap_total_bytes: memory.swap_total,
            swap_free_bytes: memory.swap_free,
            anonymous_huge_bytes: memory.anon_huge,
        });
        Self {
            arenite: env!("CARGO_PKG_VERSION"),
            os: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            kernel: machine.kernel.clone(),
            processor: ProcessorSection {
                model: cpu.model.clone(),
                online: cpu.logical,
                cores: cpu.physical,
                usable: cpu.usable,
                simd: cpu.simd.clone(),
            },
            caches: machine.caches.levels.iter().map(cache).collect(),
            numa: numa(&machine.numa, machine.meminfo.as_ref()),
            current_node: arenite_pages::current_numa_node(),
            pages: pages(&machine.pages),
            memory,
            pressure: [("system", &machine.pressure), ("cgroup", &machine.cgroup_pressure)]
                .into_iter()
                .filter_map(|(scope, pressure)| Some(pressure_line(scope, pressure.as_ref()?)))
                .collect(),
            events: CgroupEvents::read().map(|events| EventsLine {
                high: events.high,
                limit_hits: events.limit,
                killed: events.killed,
            }),
            available_bytes: available(&machine.available),
            limits: limits(&machine.limits),
            gpus: Gpus {
                cuda: driver(&probe.cuda),
                vulkan: driver(&probe.vulkan),
                visibility: memory_visibility(
                    visibility,
                    probe.cuda.as_ref().is_ok_and(|devices| !devices.is_empty()),
                ),
            },
            checks: Vec::new(),
        }
    }
}

fn cache(cache: &Cache) -> CacheLine {
    let kind = match cache.kind {
        CacheKind::Data => "d",
        CacheKind::Instruction => "i",
        CacheKind::Unified => "",
    };
    CacheLine {
        name: format!("L{}{kind}", cache.level),
        size_bytes: cache.size,
        line_bytes: cache.line,
        ways: cache.ways,
        sharing_cpus: cache.shared_by,
    }
}

fn numa(numa: &Numa, memory: Option<&Meminfo>) -> Annotated<Vec<NodeLine>> {
    let node = |node: &NumaNode| NodeLine {
        id: node.id,
        cpus: ranges(&node.cpus),
        total_bytes: node.total_bytes,
        free_bytes: node.free_bytes,
        distances: node.distances.clone(),
    };
    let placed = numa.nodes.iter().fold(0_u64, |sum, node| sum.saturating_add(node.total_bytes));
    let total = memory.map_or(placed, |memory| memory.total);
    let remark = if numa.synthesised {
        Some("the kernel reports no nodes, so this one stands for the machine".to_owned())
    } else if placed < total / 10 * 9 {
        let (placed, total) = (bytes(placed), bytes(total));
        Some(format!(
            "the nodes have {placed} of the machine's {total}; a virtual machine's balloon may have the rest"
        ))
    } else if numa.nodes.iter().any(|node| !node.has_memory()) {
        Some("memory cannot be bound to a node without memory".to_owned())
    } else {
        None
    };
    Annotated { value: numa.nodes.iter().map(node).collect(), remark }
}

fn pages(pages: &PageSizes) -> PagesSection {
    let transparent = match pages.transparent {
        TransparentHugePages::Always => "always",
        TransparentHugePages::Madvise => "madvise",
        TransparentHugePages::Never => "never",
        TransparentHugePages::Unknown => "unknown",
    };
    let reason = match (pages.transparent_here, pages.transparent) {
        (Some(false), _) => "no, transparent huge pages are off for this process (prctl)",
        (_, TransparentHugePages::Always) => "yes, the policy is `always`, so other memory gets them too",
        (_, TransparentHugePages::Madvise) => "yes, the policy is `madvise`",
        (_, TransparentHugePages::Never) => {
            "no, the policy is `never`; as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"
        }
        (_, TransparentHugePages::Unknown) => "no, the kernel reports no transparent huge pages",
    };
    PagesSection {
        size_bytes: pages.size,
        transparent,
        transparent_size_bytes: pages.transparent_size,
        defrag: pages.defrag.clone(),
        shmem: pages.shmem.clone(),
        explicit: pages.explicit.iter().map(hugetlb).collect(),
        arenas_request_thp: Annotated { value: pages.grants_transparent(), remark: Some(reason.to_owned()) },
    }
}

fn hugetlb(pool: &HugetlbPool) -> HugetlbLine {
    HugetlbLine { size_bytes: pool.size, total: pool.total, free: pool.free }
}

fn pressure_line(scope: &'static str, pressure: &Pressure) -> PressureLine {
    let percents =
        |stall: &PressureStall| StallPercent { avg10: stall.avg10, avg60: stall.avg60, avg300: stall.avg300 };
    let is_short = pressure.some.avg10 >= MIN_REMARKED_STALL_PERCENT;
    PressureLine {
        scope,
        some_percent: percents(&pressure.some),
        full_percent: pressure.full.as_ref().map(percents),
        remark: is_short.then(|| "memory is short: trim caches or run fewer tasks".to_owned()),
    }
}

fn available(available: &Available) -> Annotated<Option<u64>> {
    let Some((limit, bytes)) = available.smallest() else {
        return Annotated { value: None, remark: Some("no limit could be read".to_owned()) };
    };
    Annotated { value: Some(bytes), remark: Some(format!("limited by {}", limit_name(limit))) }
}

fn limits(limits: &Limits) -> Vec<LimitLine> {
    let above =
        |what: &str, flag: &str| format!("{what}; raise it with `ulimit {flag}` up to the hard limit");
    let memlock = if limits.may_lock_all {
        "no effect: this process may lock all memory (CAP_IPC_LOCK)".to_owned()
    } else {
        above("lock() fails above it", "-l")
    };
    let rows = [
        ("RLIMIT_MEMLOCK", limits.memlock, memlock),
        ("RLIMIT_AS", limits.address_space, above("reserve fails above it", "-v")),
        ("RLIMIT_DATA", limits.data, above("commit fails above it", "-d")),
        ("RLIMIT_STACK", limits.stack, "allocate larger arrays in an arena, not on the stack".to_owned()),
    ];
    let mut lines: Vec<LimitLine> =
        rows.into_iter().map(|(name, limit, remark)| rlimit(name, limit, remark)).collect();
    lines.push(cgroup(limits.cgroup.as_ref()));
    lines.push(map_count(limits.max_map_count));
    lines.push(overcommit(limits.overcommit));
    lines
}

fn rlimit(name: &'static str, limit: Option<Rlimit>, remark: String) -> LimitLine {
    let size = |limit| match limit {
        Limit::Unlimited => "unlimited".to_owned(),
        Limit::Bytes(count) => bytes(count),
    };
    let value = limit.and_then(|limit| limit.soft.bytes());
    let text = match limit {
        Some(limit) if limit.soft == limit.hard => size(limit.soft),
        Some(limit) => format!("{}, hard limit {}", size(limit.soft), size(limit.hard)),
        None => "unknown".to_owned(),
    };
    LimitLine { name, value, unit: "bytes", text, remark: value.map(|_| remark) }
}

fn cgroup(cgroup: Option<&Cgroup>) -> LimitLine {
    let name = "cgroup memory";
    let Some(cgroup) = cgroup else {
        let text = "none: no memory controller found".to_owned();
        return LimitLine { name, value: None, unit: "bytes", text, remark: None };
    };
    let version = if cgroup.version == CgroupVersion::V1 { "v1" } else { "v2" };
    let own = cgroup.levels.first().and_then(|level| level.usage);
    let own = own.map_or(String::new(), |usage| format!(", {} used by this group", bytes(usage)));
    let Some(binding_level) = cgroup.binding_level() else {
        let text = format!("{version}, unlimited{own}");
        return LimitLine { name, value: None, unit: "bytes", text, remark: None };
    };
    let limit = binding_level.limit.unwrap_or(u64::MAX);
    let swap = binding_level.swap_limit.map_or(String::new(), |swap| format!(", swap {}", bytes(swap)));
    LimitLine {
        name,
        value: Some(limit),
        unit: "bytes",
        text: format!("{version}, {} at {}{own}{swap}", bytes(limit), binding_level.path.display()),
        remark: Some(format!(
            "the kernel kills a process of the group above it; {} available",
            cgroup.headroom().map_or("unknown".to_owned(), bytes)
        )),
    }
}

fn map_count(count: Option<u64>) -> LimitLine {
    LimitLine {
        name: "vm.max_map_count",
        value: count,
        unit: "mappings",
        text: count.map_or("unknown".to_owned(), |count| format!("{count} mappings")),
        remark: count.map(|count| {
            let regions = count / 3;
            format!(
                "a region with a committed middle uses 3 mappings, so about {regions} regions; raise it with \
                 `sysctl vm.max_map_count`"
            )
        }),
    }
}

fn overcommit(rule: Option<Overcommit>) -> LimitLine {
    let (value, text, remark) = match rule {
        None => (None, "unknown".to_owned(), None),
        Some(rule) => match rule.mode {
            OvercommitMode::Heuristic => {
                let remark = "reserve is free; one commit larger than memory and swap together fails";
                (Some(0), "0 (heuristic)".to_owned(), Some(remark))
            }
            OvercommitMode::Always => {
                let remark = "commit never fails: the kernel kills a process when memory runs out";
                (Some(1), "1 (always)".to_owned(), Some(remark))
            }
            OvercommitMode::Never => {
                let share = match (rule.bytes.filter(|&bytes| bytes > 0), rule.ratio) {
                    (Some(limit), _) => format!(", {} and swap", bytes(limit)),
                    (None, Some(ratio)) => format!(", {ratio} % of memory and swap"),
                    (None, None) => String::new(),
                };
                let remark = "every committed byte counts, touched or not: commit late and in small steps";
                (Some(2), format!("2 (never{share})"), Some(remark))
            }
        },
    };
    LimitLine { name: "vm.overcommit", value, unit: "mode", text, remark: remark.map(str::to_owned) }
}

fn driver(result: &Result<Vec<DeviceInfo>, ProbeError>) -> Driver {
    match result {
        Ok(devices) if devices.is_empty() => Driver {
            devices: Vec::new(),
            unavailable_reason: Some("the driver works but has no device".to_owned()),
        },
        Ok(devices) => Driver { devices: devices.iter().map(gpu).collect(), unavailable_reason: None },
        Err(error) => Driver { devices: Vec::new(), unavailable_reason: Some(error.to_string()) },
    }
}

fn memory_visibility(visibility: MemoryVisibility, is_from_driver: bool) -> Annotated<&'static str> {
    let value = match visibility {
        MemoryVisibility::SystemScope => "system scope: both ways while a kernel runs",
        MemoryVisibility::DeviceScope => "device scope: between host and device after a synchronisation",
        MemoryVisibility::ExplicitDma => "explicit copies only",
    };
    let guess = || "an assumption from the platform: no CUDA device was found".to_owned();
    Annotated { value, remark: (!is_from_driver).then(guess) }
}

fn gpu(device: &DeviceInfo) -> GpuLine {
    let details = match &device.details {
        DeviceDetails::Cuda(cuda) => {
            let ((major, minor), (high, low)) = (cuda.driver_version, cuda.compute_capability);
            let managed = match (cuda.managed_memory, cuda.concurrent_managed) {
                (true, true) => ", managed memory shared while kernels run",
                (true, false) => ", managed memory",
                (false, _) => "",
            };
            format!("CUDA {major}.{minor}, compute capability {high}.{low}{managed}")
        }
        DeviceDetails::Vulkan(vulkan) => {
            let (major, minor, patch) = vulkan.api_version;
            let heaps: Vec<_> = vulkan
                .heaps
                .iter()
                .map(|heap| {
                    format!("{} {}", bytes(heap.bytes), if heap.device_local { "local" } else { "host" })
                })
                .collect();
            format!("Vulkan {major}.{minor}.{patch}, heaps: {}", heaps.join(", "))
        }
        _ => String::new(),
    };
    GpuLine {
        index: device.index,
        name: device.name.clone(),
        kind: format!("{:?}", device.kind).to_lowercase(),
        memory_bytes: device.device_bytes,
        details,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn machine_of(files: &[(&str, &str)]) -> Machine {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
            fs::write(path, text).unwrap();
        }
        Machine::read_at(dir.path())
    }

    fn line<'l>(lines: &'l [LimitLine], name: &str) -> &'l LimitLine {
        lines.iter().find(|line| line.name == name).unwrap()
    }

    #[test]
    fn u24_every_limit_has_a_remark_on_its_effect() {
        let machine = machine_of(&[
            (
                "proc/self/limits",
                "Max locked memory 65536 131072 bytes\nMax address space unlimited unlimited bytes\n",
            ),
            ("proc/sys/vm/max_map_count", "65530\n"),
            ("proc/sys/vm/overcommit_memory", "2\n"),
            ("proc/sys/vm/overcommit_ratio", "50\n"),
            ("proc/self/cgroup", "0::/pod\n"),
            ("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/pod/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/pod/memory.current", "536870912\n"),
        ]);
        let lines = limits(&machine.limits);
        let memlock = line(&lines, "RLIMIT_MEMLOCK");
        assert_eq!((memlock.value, memlock.text.as_str()), (Some(65_536), "64 KiB, hard limit 128 KiB"));
        assert!(memlock.remark.as_deref().is_some_and(|remark| remark.contains("ulimit -l")));
        assert_eq!(line(&lines, "RLIMIT_AS").remark, None, "no limit, no remark");
        assert_eq!(line(&lines, "RLIMIT_DATA").text, "unknown");
        let cgroup = line(&lines, "cgroup memory");
        assert_eq!(cgroup.text, "v2, 1 GiB at /sys/fs/cgroup/pod, 512 MiB used by this group");
        assert!(cgroup.remark.as_deref().is_some_and(|remark| remark.ends_with("512 MiB available")));
        assert!(
            line(&lines, "vm.max_map_count").remark.as_deref().is_some_and(|remark| remark.contains("21843"))
        );
        assert_eq!(line(&lines, "vm.overcommit").text, "2 (never, 50 % of memory and swap)");
    }

    #[test]
    fn u24_the_memlock_remark_mentions_cap_ipc_lock_when_the_process_has_it() {
        let limits_file = ("proc/self/limits", "Max locked memory 8388608 8388608 bytes\n");
        let machine = machine_of(&[limits_file, ("proc/self/status", "CapEff:\t000001ffffffffff\n")]);
        let lines = limits(&machine.limits);
        let remark = line(&lines, "RLIMIT_MEMLOCK").remark.as_deref();
        assert!(remark.is_some_and(|remark| remark.contains("CAP_IPC_LOCK")), "{remark:?}");
    }

    #[test]
    fn n16_huge_pages_of_arenas_have_a_reason() {
        let file = "sys/kernel/mm/transparent_hugepage/enabled";
        let thp_of = |files: &[(&str, &str)]| pages(&machine_of(files).pages).arenas_request_thp;
        let starts = |annotated: &Annotated<bool>, word| {
            annotated.remark.as_deref().is_some_and(|text| text.starts_with(word))
        };
        for (text, value, word) in
            [("[madvise]", true, "yes"), ("[always]", true, "yes"), ("[never]", false, "no")]
        {
            let annotated = thp_of(&[(file, text)]);
            assert!(annotated.value == value && starts(&annotated, word), "{text}: {annotated:?}");
        }
        let denied = thp_of(&[(file, "[always]"), ("proc/self/status", "THP_enabled:\t0\n")]);
        assert!(!denied.value && starts(&denied, "no"), "{denied:?}");
        assert!(starts(&thp_of(&[]), "no"));
    }

    #[test]
    fn n16_nodes_with_less_memory_than_the_machine_have_a_remark() {
        let of = |node_kib: &str| {
            let node = format!("Node 0 MemTotal: {node_kib} kB\nNode 0 MemFree: 0 kB\n");
            let machine = machine_of(&[
                ("proc/meminfo", "MemTotal: 8388608 kB\nMemFree: 0 kB\n"),
                ("sys/devices/system/node/node0/meminfo", &node),
            ]);
            numa(&machine.numa, machine.meminfo.as_ref()).remark
        };
        assert!(of("2097152").is_some_and(|remark| remark.contains("2 GiB of the machine's 8 GiB")));
        assert_eq!(of("8300000"), None);
    }

    #[test]
    fn r36_a_missing_driver_and_one_without_devices_have_a_reason() {
        let error = ProbeError::Implausible { call: "cuDeviceGetCount", value: -1 };
        assert!(
            driver(&Err(error)).unavailable_reason.is_some_and(|reason| reason.contains("cuDeviceGetCount"))
        );
        assert!(driver(&Ok(vec![])).unavailable_reason.is_some());
    }
}
