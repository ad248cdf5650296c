//! Turns what was read into the doctor's report, and writes its remarks.
//!
//! Rests on [`Machine`] and [`Probe`], both handed in, so that a test can hand in any machine. The remarks are here and
//! not in the rooms, because they are about what arenite does with a limit: each says what will fail and how to raise it.

use super::report::{
    CacheLine, DoctorReport, Driver, EventsLine, GpuLine, Gpus, LimitLine, MemorySection, NodeLine, Noted,
    PagesSection, PressureLine, ProcessorSection,
};
use super::text::{bytes, ranges};
use arenite_device::probe::{DeviceDetails, DeviceInfo, ProbeError};
use arenite_device::{MemoryVisibility, Probe};
use arenite_pages::machine::{
    Available, Cache, CacheKind, Ceiling, Cgroup, CgroupEvents, CgroupVersion, Limit, Limits, Machine,
    Meminfo, Numa, NumaNode, OsPages, Overcommit, OvercommitMode, Pressure, Rlimit, TransparentHuge,
};

/// Above this percentage of the last ten seconds spent waiting for memory, the report says so.
const NOTEWORTHY_STALL: f64 = 10.0;

impl DoctorReport {
    /// The report on `machine` and its devices.
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
            pressure: [("machine", &machine.pressure), ("cgroup", &machine.cgroup_pressure)]
                .into_iter()
                .filter_map(|(of, pressure)| Some(pressure_line(of, pressure.as_ref()?)))
                .collect(),
            events: CgroupEvents::read().map(|events| EventsLine {
                high: events.high,
                limit: events.limit,
                killed: events.killed,
            }),
            available_bytes: available(&machine.available),
            limits: limits(&machine.limits),
            gpus: Gpus {
                cuda: driver(&probe.cuda),
                vulkan: driver(&probe.vulkan),
                visibility: seen(visibility, probe.cuda.as_ref().is_ok_and(|devices| !devices.is_empty())),
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
        bytes: cache.size,
        line_bytes: cache.line,
        ways: cache.ways,
        shared_by: cache.shared_by,
    }
}

fn numa(numa: &Numa, memory: Option<&Meminfo>) -> Noted<Vec<NodeLine>> {
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
        Some("made up: the kernel tells of no nodes, so this is the whole machine".to_owned())
    } else if placed < total / 10 * 9 {
        let (placed, total) = (bytes(placed), bytes(total));
        Some(format!(
            "nodes hold {placed} of the machine's {total}; a virtual machine's balloon may hold the rest"
        ))
    } else if numa.nodes.iter().any(|node| !node.has_memory()) {
        Some("memory cannot be bound to a node without memory".to_owned())
    } else {
        None
    };
    Noted { value: numa.nodes.iter().map(node).collect(), remark }
}

fn pages(pages: &OsPages) -> PagesSection {
    let transparent = match pages.transparent {
        TransparentHuge::Always => "always",
        TransparentHuge::Madvise => "madvise",
        TransparentHuge::Never => "never",
        TransparentHuge::Unknown => "unknown",
    };
    let because = match (pages.transparent_here, pages.transparent) {
        (Some(false), _) => "no, because this process was started with transparent huge pages off (prctl)",
        (_, TransparentHuge::Always) => {
            "yes, though the policy is `always` and other memory gets them unasked"
        }
        (_, TransparentHuge::Madvise) => "yes, because the policy is `madvise`: who asks gets them",
        (_, TransparentHuge::Never) => {
            "no, because the policy is `never`; as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"
        }
        (_, TransparentHuge::Unknown) => "no, because the kernel does not say that it has any",
    };
    PagesSection {
        size_bytes: pages.size,
        transparent,
        transparent_bytes: pages.transparent_size,
        defrag: pages.defrag.clone(),
        shmem: pages.shmem.clone(),
        explicit: pages.explicit.iter().map(|huge| (huge.size, huge.total, huge.free)).collect(),
        arenas_ask: Noted { value: pages.grants_transparent(), remark: Some(because.to_owned()) },
    }
}

fn pressure_line(of: &'static str, pressure: &Pressure) -> PressureLine {
    let percents = |stall: &arenite_pages::machine::Stall| [stall.avg10, stall.avg60, stall.avg300];
    let short = pressure.some.avg10 >= NOTEWORTHY_STALL;
    PressureLine {
        of,
        some_percent: percents(&pressure.some),
        full_percent: pressure.full.as_ref().map(percents),
        remark: short.then(|| "memory is short now: trim caches or give it fewer tasks".to_owned()),
    }
}

fn available(available: &Available) -> Noted<Option<u64>> {
    let Some((ceiling, bytes)) = available.smallest() else {
        return Noted { value: None, remark: Some("no ceiling could be read".to_owned()) };
    };
    let what = match ceiling {
        Ceiling::Machine => "the machine's available memory",
        Ceiling::CommitLimit => "the kernel's limit on promises (overcommit mode 2)",
        Ceiling::Cgroup => "the control group",
        Ceiling::AddressSpace => "RLIMIT_AS",
        Ceiling::Data => "RLIMIT_DATA",
        _ => "another ceiling",
    };
    Noted { value: Some(bytes), remark: Some(format!("{what} binds first")) }
}

fn limits(limits: &Limits) -> Vec<LimitLine> {
    let above =
        |what: &str, flag: &str| format!("{what}; raise it with `ulimit {flag}` up to the hard limit");
    let memlock = if limits.may_lock_all {
        "does not bind: this process may lock all it has (CAP_IPC_LOCK)".to_owned()
    } else {
        above("lock() fails above that", "-l")
    };
    let rows = [
        ("RLIMIT_MEMLOCK", limits.memlock, memlock),
        ("RLIMIT_AS", limits.address_space, above("reserving fails above that, committed or not", "-v")),
        ("RLIMIT_DATA", limits.data, above("committing fails above that", "-d")),
        (
            "RLIMIT_STACK",
            limits.stack,
            "arrays beyond that belong into an arena and not on the stack".to_owned(),
        ),
    ];
    let mut lines: Vec<LimitLine> =
        rows.into_iter().map(|(name, limit, remark)| rlimit(name, limit, remark)).collect();
    lines.push(cgroup(limits.cgroup.as_ref()));
    lines.push(map_count(limits.max_map_count));
    lines.push(overcommit(limits.overcommit));
    lines
}

fn rlimit(name: &'static str, limit: Option<Rlimit>, remark: String) -> LimitLine {
    let words = |limit| match limit {
        Limit::Unlimited => "unlimited".to_owned(),
        Limit::Bytes(count) => bytes(count),
    };
    let number = limit.and_then(|limit| limit.soft.bytes());
    let words = match limit {
        Some(limit) if limit.soft == limit.hard => words(limit.soft),
        Some(limit) => format!("{}, hard limit {}", words(limit.soft), words(limit.hard)),
        None => "not known".to_owned(),
    };
    LimitLine { name, number, words, remark: number.map(|_| remark) }
}

fn cgroup(cgroup: Option<&Cgroup>) -> LimitLine {
    let name = "cgroup memory";
    let Some(cgroup) = cgroup else {
        let words = "none: no memory controller to be seen".to_owned();
        return LimitLine { name, number: None, words, remark: None };
    };
    let version = if cgroup.version == CgroupVersion::V1 { "v1" } else { "v2" };
    let own = cgroup.levels.first().and_then(|level| level.usage);
    let own = own.map_or(String::new(), |usage| format!(", {} used by this group", bytes(usage)));
    let Some(tightest) = cgroup.tightest() else {
        return LimitLine { name, number: None, words: format!("{version}, unlimited{own}"), remark: None };
    };
    let limit = tightest.limit.unwrap_or(u64::MAX);
    let swap = tightest.swap_limit.map_or(String::new(), |swap| format!(", swap {}", bytes(swap)));
    LimitLine {
        name,
        number: Some(limit),
        words: format!("{version}, {} at {}{own}{swap}", bytes(limit), tightest.path.display()),
        remark: Some(format!(
            "the kernel kills a process of the group above that; {} left",
            cgroup.room().map_or("an unknown rest".to_owned(), bytes)
        )),
    }
}

fn map_count(count: Option<u64>) -> LimitLine {
    LimitLine {
        name: "vm.max_map_count",
        number: count,
        words: count.map_or("not known".to_owned(), |count| format!("{count} mappings")),
        remark: count.map(|count| {
            let regions = count / 3;
            format!(
                "a region whose middle is committed takes 3, so about {regions} regions; raise it with \
                 `sysctl vm.max_map_count`"
            )
        }),
    }
}

fn overcommit(rule: Option<Overcommit>) -> LimitLine {
    let (number, words, remark) = match rule {
        None => (None, "not known".to_owned(), None),
        Some(rule) => match rule.mode {
            OvercommitMode::Heuristic => {
                let remark = "reserving is free; one commit larger than memory and swap together is refused";
                (Some(0), "0 (heuristic)".to_owned(), Some(remark))
            }
            OvercommitMode::Always => {
                let remark = "commits are never refused: running out means the kernel kills, not an error";
                (Some(1), "1 (always)".to_owned(), Some(remark))
            }
            OvercommitMode::Never => {
                let share = match (rule.bytes.filter(|&bytes| bytes > 0), rule.ratio) {
                    (Some(limit), _) => format!(", {} and swap", bytes(limit)),
                    (None, Some(ratio)) => format!(", {ratio} % of memory and swap"),
                    (None, None) => String::new(),
                };
                let remark = "every committed byte counts, touched or not: commit late, and in small steps";
                (Some(2), format!("2 (never{share})"), Some(remark))
            }
        },
    };
    LimitLine { name: "vm.overcommit", number, words, remark: remark.map(str::to_owned) }
}

fn driver(answer: &Result<Vec<DeviceInfo>, ProbeError>) -> Driver {
    match answer {
        Ok(devices) if devices.is_empty() => {
            Driver { devices: Vec::new(), why_none: Some("the driver works and has no device".to_owned()) }
        }
        Ok(devices) => Driver { devices: devices.iter().map(gpu).collect(), why_none: None },
        Err(why) => Driver { devices: Vec::new(), why_none: Some(why.to_string()) },
    }
}

fn seen(visibility: MemoryVisibility, by_driver: bool) -> Noted<&'static str> {
    let value = match visibility {
        MemoryVisibility::SystemScope => "system scope: while a kernel runs, both ways",
        MemoryVisibility::DeviceScope => "device scope: between host and device after a synchronisation",
        MemoryVisibility::ExplicitDma => "explicit copies alone",
    };
    let guess = || "what the platform allows: there is no CUDA device to ask".to_owned();
    Noted { value, remark: (!by_driver).then(guess) }
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
        device_bytes: device.device_bytes,
        details,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn machine_of(files: &[(&str, &str)]) -> Machine {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
            fs::write(path, text).unwrap();
        }
        Machine::read_at(folder.path())
    }

    fn line<'l>(lines: &'l [LimitLine], name: &str) -> &'l LimitLine {
        lines.iter().find(|line| line.name == name).unwrap()
    }

    #[test]
    fn u24_every_limit_says_where_it_hurts() {
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
        assert_eq!((memlock.number, memlock.words.as_str()), (Some(65_536), "64 KiB, hard limit 128 KiB"));
        assert!(memlock.remark.as_deref().is_some_and(|remark| remark.contains("ulimit -l")));
        assert_eq!(line(&lines, "RLIMIT_AS").remark, None, "what is unlimited hurts nobody");
        assert_eq!(line(&lines, "RLIMIT_DATA").words, "not known");
        let cgroup = line(&lines, "cgroup memory");
        assert_eq!(cgroup.words, "v2, 1 GiB at /sys/fs/cgroup/pod, 512 MiB used by this group");
        assert!(cgroup.remark.as_deref().is_some_and(|remark| remark.ends_with("512 MiB left")));
        assert!(
            line(&lines, "vm.max_map_count").remark.as_deref().is_some_and(|remark| remark.contains("21843"))
        );
        assert_eq!(line(&lines, "vm.overcommit").words, "2 (never, 50 % of memory and swap)");
    }

    #[test]
    fn u24_a_process_that_may_lock_all_is_told_so() {
        let limits_file = ("proc/self/limits", "Max locked memory 8388608 8388608 bytes\n");
        let machine = machine_of(&[limits_file, ("proc/self/status", "CapEff:\t000001ffffffffff\n")]);
        let lines = limits(&machine.limits);
        let remark = line(&lines, "RLIMIT_MEMLOCK").remark.as_deref();
        assert!(remark.is_some_and(|remark| remark.contains("CAP_IPC_LOCK")), "{remark:?}");
    }

    #[test]
    fn n16_what_arenas_do_about_huge_pages_has_its_reason() {
        let file = "sys/kernel/mm/transparent_hugepage/enabled";
        let asked = |files: &[(&str, &str)]| pages(&machine_of(files).pages).arenas_ask;
        let starts =
            |noted: &Noted<bool>, word| noted.remark.as_deref().is_some_and(|text| text.starts_with(word));
        for (text, value, word) in
            [("[madvise]", true, "yes"), ("[always]", true, "yes"), ("[never]", false, "no")]
        {
            let noted = asked(&[(file, text)]);
            assert!(noted.value == value && starts(&noted, word), "{text}: {noted:?}");
        }
        let denied = asked(&[(file, "[always]"), ("proc/self/status", "THP_enabled:\t0\n")]);
        assert!(!denied.value && starts(&denied, "no"), "{denied:?}");
        assert!(starts(&asked(&[]), "no"));
    }

    #[test]
    fn n16_nodes_that_hold_less_than_the_machine_are_remarked() {
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
    fn r36_a_missing_driver_is_a_reason_and_an_empty_one_too() {
        let why = ProbeError::Implausible { call: "cuDeviceGetCount", answer: -1 };
        assert!(driver(&Err(why)).why_none.is_some_and(|why| why.contains("cuDeviceGetCount")));
        assert!(driver(&Ok(vec![])).why_none.is_some());
    }
}
