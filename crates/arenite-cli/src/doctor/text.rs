//! The doctor's report as text: sections of aligned rows, 100 columns wide.
//!
//! Values wrap within their column, and a remark follows on the next line after a `!`. Control
//! characters in names from hardware are replaced before they reach a terminal.

use super::check::{CheckLine, Outcome};
use super::report::{
    Annotated, CacheLine, DoctorReport, Driver, HugetlbLine, NodeLine, PressureLine, StallPercent,
};
use crate::format::{bytes, counted, duration, times};
use std::fmt::Write;
use std::time::Duration;

/// Maximum width of a line, except for a longer word.
const MAX_WIDTH: usize = 100;
/// Column of the values.
const VALUE_COLUMN: usize = 20;

/// Formats ascending numbers as ranges, such as `0-3,8`.
pub(super) fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b);
    let run = |run: &[usize]| match run {
        [first, .., last] => format!("{first}-{last}"),
        _ => run.first().map(usize::to_string).unwrap_or_default(),
    };
    runs.map(run).collect::<Vec<_>>().join(",")
}

/// Renders the report.
pub(super) fn render(report: &DoctorReport) -> String {
    let mut page = TextPage::default();
    let kernel = report.kernel.as_deref().unwrap_or("unknown kernel");
    page.line(&format!("arenite {} on {} {kernel} {}", report.arenite, report.os, report.architecture));
    processor(&mut page, report);
    numa(&mut page, &report.numa);
    page.row("this thread", &format!("runs on node {}", report.current_node), None);
    pages(&mut page, report);
    memory(&mut page, report);
    page.section("Limits of this process");
    for limit in &report.limits {
        page.row(limit.name, &limit.text, limit.remark.as_deref());
    }
    page.section("Devices");
    driver(&mut page, "CUDA", &report.gpus.cuda);
    driver(&mut page, "Vulkan", &report.gpus.vulkan);
    let visibility = &report.gpus.visibility;
    page.row("visible writes", visibility.value, visibility.remark.as_deref());
    checks(&mut page, &report.checks);
    page.0
}

fn checks(page: &mut TextPage, checks: &[CheckLine]) {
    if checks.is_empty() {
        return;
    }
    page.section("Checks (each facility is exercised)");
    for check in checks {
        let (outcome, remark) = match check.outcome {
            Outcome::Ok => ("ok", None),
            Outcome::Unsupported => ("unsupported", None),
            Outcome::Failed => {
                ("FAILED", Some("this is a bug in arenite or in this machine: please report it"))
            }
        };
        let time = duration(Duration::from_nanos(check.elapsed_ns).as_secs_f64());
        page.row(check.name, &format!("{outcome}: {} ({time})", check.detail), remark);
    }
    let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
    let (ok, unsupported, failed) = (count(Outcome::Ok), count(Outcome::Unsupported), count(Outcome::Failed));
    page.row("total", &format!("{ok} ok, {unsupported} unsupported, {failed} failed"), None);
}

fn processor(page: &mut TextPage, report: &DoctorReport) {
    let cpu = &report.processor;
    page.section("Processor");
    page.row("model", cpu.model.as_deref().unwrap_or("unknown"), None);
    let cores = cpu.cores.map_or(String::new(), |cores| format!(" on {}", counted(cores, "core")));
    page.row(
        "processors",
        &format!("{} online{cores}, {} usable by this process", cpu.online, cpu.usable),
        None,
    );
    page.row("SIMD", &if cpu.simd.is_empty() { "none".to_owned() } else { cpu.simd.join(" ") }, None);
    for cache in &report.caches {
        page.row(&cache.name, &cache_text(cache), None);
    }
}

fn cache_text(cache: &CacheLine) -> String {
    let ways = cache.ways.map_or(String::new(), |ways| format!(", {ways} ways"));
    let shared = counted(cache.sharing_cpus, "processor");
    format!("{}, lines of {}{ways}, shared by {shared}", bytes(cache.size_bytes), bytes(cache.line_bytes))
}

fn numa(page: &mut TextPage, nodes: &Annotated<Vec<NodeLine>>) {
    page.section("NUMA nodes");
    for (at, node) in nodes.value.iter().enumerate() {
        let cpus = if node.cpus.is_empty() {
            "no processors".to_owned()
        } else {
            format!("processors {}", node.cpus)
        };
        let memory = match node.total_bytes {
            0 => "no memory".to_owned(),
            total => format!("{} free of {}", bytes(node.free_bytes), bytes(total)),
        };
        let distances: Vec<String> = node.distances.iter().map(u32::to_string).collect();
        let far =
            if distances.is_empty() { String::new() } else { format!("; distances {}", distances.join(" ")) };
        let last = at + 1 == nodes.value.len();
        let remark = nodes.remark.as_deref().filter(|_| last);
        page.row(&format!("node {}", node.id), &format!("{cpus}; {memory}{far}"), remark);
    }
}

fn pages(page: &mut TextPage, report: &DoctorReport) {
    let pages = &report.pages;
    page.section("OS pages");
    page.row("size", &pages.size_bytes.map_or("unknown".to_owned(), bytes), None);
    let size = pages.transparent_size_bytes.map_or(String::new(), |size| format!(" of {}", bytes(size)));
    let policy = |name: &str, policy: &Option<String>| {
        policy.as_ref().map_or(String::new(), |policy| format!(", {name} {policy}"))
    };
    let more = policy("defrag", &pages.defrag) + &policy("shared memory", &pages.shmem);
    page.row("transparent huge", &format!("{}{size}{more}", pages.transparent), None);
    let pools = pages.explicit.iter().map(|&HugetlbLine { size_bytes, total, free }| {
        format!("{}: {free} free of {total}", bytes(size_bytes))
    });
    let pools: Vec<String> = pools.collect();
    page.row("explicit huge", &if pools.is_empty() { "none".to_owned() } else { pools.join("; ") }, None);
    let reason = pages.arenas_request_thp.remark.as_deref().unwrap_or_default();
    page.row("in arenas", &format!("requested with madvise after the first 2 MiB; granted: {reason}"), None);
}

fn memory(page: &mut TextPage, report: &DoctorReport) {
    page.section("Memory now");
    match &report.memory {
        None => page.row("machine", "unknown", None),
        Some(memory) => {
            let (available, free) = (bytes(memory.available_bytes), bytes(memory.free_bytes));
            page.row(
                "machine",
                &format!("{available} available ({free} free) of {}", bytes(memory.total_bytes)),
                None,
            );
            let swap = match memory.swap_total_bytes {
                0 => "none".to_owned(),
                total => format!("{} free of {}", bytes(memory.swap_free_bytes), bytes(total)),
            };
            page.row("swap", &swap, None);
            page.row("on huge pages", &bytes(memory.anonymous_huge_bytes), None);
        }
    }
    if let Some(events) = &report.events {
        let count = |count: Option<u64>| count.map_or("not counted".to_owned(), times);
        let killed = events.killed.map_or("not counted".to_owned(), |count| count.to_string());
        page.row(
            "control group",
            &format!("limit reached {}, processes killed: {killed}", count(events.limit_hits)),
            None,
        );
    }
    for pressure in &report.pressure {
        page.row(
            &format!("pressure, {}", pressure.scope),
            &pressure_text(pressure),
            pressure.remark.as_deref(),
        );
    }
    if report.pressure.is_empty() {
        page.row("pressure", "not reported by the kernel", None);
    }
    let (available, reason) =
        (&report.available_bytes.value, report.available_bytes.remark.as_deref().unwrap_or_default());
    page.row(
        "for this process",
        &format!("{} ({reason})", available.map_or("unknown".to_owned(), bytes)),
        None,
    );
}

fn pressure_text(pressure: &PressureLine) -> String {
    let percents =
        |StallPercent { avg10, avg60, avg300 }: StallPercent| format!("{avg10:.2} {avg60:.2} {avg300:.2} %");
    let full = pressure.full_percent.map_or(String::new(), |full| format!("; all waited {}", percents(full)));
    format!("some waited {}{full} (of 10, 60, 300 s)", percents(pressure.some_percent))
}

fn driver(page: &mut TextPage, name: &str, driver: &Driver) {
    for device in &driver.devices {
        let memory = bytes(device.memory_bytes);
        let text = format!("{} ({}), {memory}; {}", device.name, device.kind, device.details);
        page.row(&format!("{name} {}", device.index), &text, None);
    }
    if let Some(reason) = &driver.unavailable_reason {
        page.row(name, &format!("none: {reason}"), None);
    }
}

/// A text of sections and rows.
#[derive(Debug, Default)]
struct TextPage(String);

impl TextPage {
    fn line(&mut self, text: &str) {
        self.0.extend(text.trim_end().chars().map(|letter| if letter.is_control() { '?' } else { letter }));
        self.0.push('\n');
    }

    fn section(&mut self, title: &str) {
        self.0.push('\n');
        self.line(title);
    }

    fn row(&mut self, label: &str, value: &str, remark: Option<&str>) {
        self.wrapped(&format!("  {label}"), value);
        if let Some(remark) = remark {
            self.wrapped("", &format!("! {remark}"));
        }
    }

    /// Appends `value` in its column, wrapped between words.
    fn wrapped(&mut self, label: &str, value: &str) {
        let mut line = format!("{label:<VALUE_COLUMN$}");
        let mut fresh = true;
        for word in value.split_whitespace() {
            if !fresh && line.chars().count() + 1 + word.chars().count() > MAX_WIDTH {
                self.line(&line);
                line.clear();
                let _always_fits = write!(line, "{:VALUE_COLUMN$}", "");
                fresh = true;
            }
            if !fresh {
                line.push(' ');
            }
            line.push_str(word);
            fresh = false;
        }
        self.line(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::GpuLine;
    use super::*;
    use arenite_device::{MemoryVisibility, Probe};
    use arenite_pages::machine::Machine;
    use proptest::prelude::*;

    fn real() -> DoctorReport {
        DoctorReport::of(&Machine::read(), &Probe::run(), MemoryVisibility::detect())
    }

    fn fits(text: &str) -> bool {
        text.lines()
            .all(|line| line.chars().count() <= MAX_WIDTH && !line.ends_with(' ') && !line.contains('\t'))
    }

    #[test]
    fn u24_bytes_and_ranges_are_short() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (8 << 20, "8 MiB"),
            ((1 << 30) - 1, "1023.9 MiB"),
            (u64::MAX, "15.9 EiB"),
            ((1 << 40) + 1, "1 TiB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
        assert_eq!((ranges(&[0, 1, 2, 3, 8, 10, 11]).as_str(), ranges(&[]).as_str()), ("0-3,8,10-11", ""));
    }

    #[test]
    fn u24_the_real_report_has_every_section_and_fits_its_columns() {
        let text = render(&real());
        println!("{text}");
        assert!(fits(&text), "{text}");
        for title in
            ["Processor", "NUMA nodes", "OS pages", "Memory now", "Limits of this process", "Devices"]
        {
            assert!(text.contains(&format!("\n{title}\n")), "{title}");
        }
        for name in ["RLIMIT_MEMLOCK", "RLIMIT_AS", "cgroup memory", "vm.max_map_count", "vm.overcommit"] {
            assert!(text.contains(name), "{name}");
        }
    }

    #[test]
    fn u24_a_machine_without_information_has_a_report() {
        let machine = Machine::read_at("/nonexistent".as_ref());
        let text = render(&DoctorReport::of(&machine, &Probe::run(), MemoryVisibility::ExplicitDma));
        assert!(fits(&text) && text.contains("unknown") && text.contains("reports no nodes"), "{text}");
    }

    #[test]
    fn u24_names_from_hardware_cannot_write_to_the_terminal() {
        let mut report = real();
        report.processor.model = Some("evil\u{1b}[2Jname\u{7}".to_owned());
        let device = |name: &str| GpuLine {
            index: 0,
            name: name.to_owned(),
            kind: "other".to_owned(),
            memory_bytes: 1,
            details: "x ".repeat(200),
        };
        report.gpus.cuda = Driver { devices: vec![device("a\r\nb")], unavailable_reason: None };
        let text = render(&report);
        assert!(fits(&text) && text.contains("evil?[2Jname?") && text.contains("a b (other)"), "{text}");
        assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()));
    }

    proptest! {
        #[test]
        fn u24_any_text_wraps_within_the_columns(words in proptest::collection::vec("[a-z]{1,30}", 0..40)) {
            let mut page = TextPage::default();
            page.row("label", &words.join(" "), Some(&words.join("  ")));
            prop_assert!(fits(&page.0));
            let kept = page.0.split_whitespace().filter(|word| *word != "label" && *word != "!").count();
            prop_assert!(kept >= 2 * words.iter().filter(|word| *word != "label").count());
        }

        #[test]
        fn u24_bytes_never_panic_and_stay_short(count in any::<u64>()) {
            prop_assert!(bytes(count).len() <= 10);
        }
    }
}
