//! The doctor's report as text: sections of aligned rows, 100 columns wide.
//!
//! Rests on the report alone. Values stand in one column and wrap under themselves, remarks follow below with a `!`, so
//! the eye finds both; names that come from hardware lose their control characters before they reach a terminal.

use super::check::{CheckLine, Outcome};
use super::report::{CacheLine, DoctorReport, Driver, NodeLine, Noted, PressureLine};
use arenite_core::Bytes;
use std::fmt::Write;

/// No line is longer, unless one word is.
const WIDTH: usize = 100;
/// Where values begin.
const VALUE: usize = 20;

/// Bytes for a reader.
pub(super) fn bytes(count: u64) -> String {
    Bytes(usize::try_from(count).unwrap_or(usize::MAX)).to_string()
}

/// Ascending numbers as ranges: `0-3,8`.
pub(super) fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b);
    let run = |run: &[usize]| match run {
        [first, .., last] => format!("{first}-{last}"),
        _ => run.first().map(usize::to_string).unwrap_or_default(),
    };
    runs.map(run).collect::<Vec<_>>().join(",")
}

/// The whole report.
pub(super) fn render(report: &DoctorReport) -> String {
    let mut page = Page::default();
    let kernel = report.kernel.as_deref().unwrap_or("unknown kernel");
    page.line(&format!("arenite {} on {} {kernel} {}", report.arenite, report.os, report.architecture));
    processor(&mut page, report);
    numa(&mut page, &report.numa);
    page.row("this thread", &format!("runs on node {}", report.current_node), None);
    pages(&mut page, report);
    memory(&mut page, report);
    page.section("Limits of this process");
    for limit in &report.limits {
        page.row(limit.name, &limit.words, limit.remark.as_deref());
    }
    page.section("Devices");
    driver(&mut page, "CUDA", &report.gpus.cuda);
    driver(&mut page, "Vulkan", &report.gpus.vulkan);
    let seen = &report.gpus.visibility;
    page.row("visible writes", seen.value, seen.remark.as_deref());
    checks(&mut page, &report.checks);
    page.0
}

fn checks(page: &mut Page, checks: &[CheckLine]) {
    if checks.is_empty() {
        return;
    }
    page.section("Checks, each done for real");
    for check in checks {
        let (word, remark) = match check.outcome {
            Outcome::Works => ("works", None),
            Outcome::Unsupported => ("not here", None),
            Outcome::Fails => {
                ("FAILS", Some("this is a mistake of arenite's or of this machine's: please report it"))
            }
        };
        page.row(check.name, &format!("{word}: {} ({} us)", check.seen, check.micros), remark);
    }
    let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
    let (works, lacking, fails) = (count(Outcome::Works), count(Outcome::Unsupported), count(Outcome::Fails));
    page.row("in all", &format!("{works} work, {lacking} not here, {fails} fail"), None);
}

fn processor(page: &mut Page, report: &DoctorReport) {
    let cpu = &report.processor;
    page.section("Processor");
    page.row("model", cpu.model.as_deref().unwrap_or("not named by the kernel"), None);
    let cores = cpu.cores.map_or(String::new(), |cores| format!(" on {}", counted(cores, "core")));
    page.row(
        "processors",
        &format!("{} online{cores}, {} usable by this process", cpu.online, cpu.usable),
        None,
    );
    page.row("SIMD", &if cpu.simd.is_empty() { "none known".to_owned() } else { cpu.simd.join(" ") }, None);
    for cache in &report.caches {
        page.row(&cache.name, &cache_words(cache), None);
    }
}

fn cache_words(cache: &CacheLine) -> String {
    let ways = cache.ways.map_or(String::new(), |ways| format!(", {ways} ways"));
    let shared = counted(cache.shared_by, "processor");
    format!("{}, lines of {}{ways}, shared by {shared}", bytes(cache.bytes), bytes(cache.line_bytes))
}

fn numa(page: &mut Page, nodes: &Noted<Vec<NodeLine>>) {
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

fn pages(page: &mut Page, report: &DoctorReport) {
    let pages = &report.pages;
    page.section("OS pages");
    page.row("size", &pages.size_bytes.map_or("not known".to_owned(), bytes), None);
    let size = pages.transparent_bytes.map_or(String::new(), |size| format!(" of {}", bytes(size)));
    let word = |name: &str, word: &Option<String>| {
        word.as_ref().map_or(String::new(), |word| format!(", {name} {word}"))
    };
    let more = word("defrag", &pages.defrag) + &word("shared memory", &pages.shmem);
    page.row("transparent huge", &format!("{}{size}{more}", pages.transparent), None);
    for &(size, total, free) in &pages.explicit {
        page.row("explicit huge", &format!("{}: {total} set aside, {free} free", bytes(size)), None);
    }
    let asked = pages.arenas_ask.remark.as_deref().unwrap_or_default();
    page.row(
        "in arenas",
        &format!("arenas ask by madvise from their second 2 MiB on; granted: {asked}"),
        None,
    );
}

fn memory(page: &mut Page, report: &DoctorReport) {
    page.section("Memory now");
    match &report.memory {
        None => page.row("machine", "not known", None),
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
        let count =
            |count: Option<u64>| count.map_or("not counted".to_owned(), |count| format!("{count} times"));
        let killed = events.killed.map_or("not counted".to_owned(), |count| count.to_string());
        page.row(
            "control group",
            &format!("limit met {}, processes killed: {killed}", count(events.limit)),
            None,
        );
    }
    for pressure in &report.pressure {
        page.row(
            &format!("pressure, {}", pressure.of),
            &pressure_words(pressure),
            pressure.remark.as_deref(),
        );
    }
    if report.pressure.is_empty() {
        page.row("pressure", "not told by this kernel", None);
    }
    let (left, why) =
        (&report.available_bytes.value, report.available_bytes.remark.as_deref().unwrap_or_default());
    page.row("for this process", &format!("{} ({why})", left.map_or("not known".to_owned(), bytes)), None);
}

fn pressure_words(pressure: &PressureLine) -> String {
    let of = |[short, middle, long]: [f64; 3]| format!("{short:.2} {middle:.2} {long:.2} %");
    let full = pressure.full_percent.map_or(String::new(), |full| format!("; all waited {}", of(full)));
    format!("some waited {}{full} (of 10, 60, 300 s)", of(pressure.some_percent))
}

fn driver(page: &mut Page, name: &str, driver: &Driver) {
    for device in &driver.devices {
        let memory = bytes(device.device_bytes);
        let words = format!("{} ({}), {memory}; {}", device.name, device.kind, device.details);
        page.row(&format!("{name} {}", device.index), &words, None);
    }
    if let Some(why) = &driver.why_none {
        page.row(name, &format!("none: {why}"), None);
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The text as it grows.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
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

    /// `value` in its column, wrapped between words.
    fn wrapped(&mut self, label: &str, value: &str) {
        let mut line = format!("{label:<VALUE$}");
        let mut fresh = true;
        for word in value.split_whitespace() {
            if !fresh && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                line.clear();
                let _always_fits = write!(line, "{:VALUE$}", "");
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
        text.lines().all(|line| line.chars().count() <= WIDTH && !line.ends_with(' ') && !line.contains('\t'))
    }

    #[test]
    fn u24_bytes_are_read_at_a_glance() {
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
    fn u24_a_machine_that_tells_nothing_still_has_a_report() {
        let machine = Machine::read_at("/nonexistent".as_ref());
        let text = render(&DoctorReport::of(&machine, &Probe::run(), MemoryVisibility::ExplicitDma));
        assert!(fits(&text) && text.contains("not known") && text.contains("made up"), "{text}");
    }

    #[test]
    fn u24_names_from_hardware_cannot_write_to_the_terminal() {
        let mut report = real();
        report.processor.model = Some("evil\u{1b}[2Jname\u{7}".to_owned());
        let device = |name: &str| GpuLine {
            index: 0,
            name: name.to_owned(),
            kind: "other".to_owned(),
            device_bytes: 1,
            details: "x ".repeat(200),
        };
        report.gpus.cuda = Driver { devices: vec![device("a\r\nb")], why_none: None };
        let text = render(&report);
        assert!(fits(&text) && text.contains("evil?[2Jname?") && text.contains("a b (other)"), "{text}");
        assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()));
    }

    proptest! {
        #[test]
        fn u24_any_words_wrap_within_the_columns(words in proptest::collection::vec("[a-z]{1,30}", 0..40)) {
            let mut page = Page::default();
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
