//! What the heap held, at the program's end.
//!
//! Rests on [`Heap::stats`](arenite_alloc::Heap::stats) and on the kernel's count of the process. The text is made in the heap that
//! it is about, after its figures were taken.
#![expect(unsafe_code, reason = "asks the kernel for the process's usage, and appends to a file")]

use crate::HEAP;
use crate::fatal;
use crate::options::{STATISTICS, Statistics};
use arenite_alloc::{ClassStats, HeapStats};
use arenite_core::Bytes;
use core::ffi::{CStr, c_void};
use core::fmt::Write;
use core::mem::MaybeUninit;

/// How many classes are named.
const CLASSES: usize = 5;

/// The kernel's count of the process.
struct Usage {
    resident_peak: usize,
    minor: i64,
    major: i64,
}

impl Usage {
    fn now() -> Self {
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the kernel writes the struct.
        let _answer = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
        // SAFETY: zeroes, or what the kernel wrote.
        let usage = unsafe { usage.assume_init() };
        let resident_peak = usize::try_from(usage.ru_maxrss).unwrap_or(0) * 1024;
        Self { resident_peak, minor: usage.ru_minflt, major: usage.ru_majflt }
    }
}

/// The classes with the most bytes at the peak, largest first.
fn largest(stats: &HeapStats) -> Vec<ClassStats> {
    let mut classes: Vec<ClassStats> =
        stats.classes().iter().copied().filter(|class| class.at_peak.max(class.live_blocks) > 0).collect();
    classes.sort_by_key(|class| core::cmp::Reverse(class.size * class.at_peak.max(class.live_blocks)));
    classes.truncate(CLASSES);
    classes
}

fn name() -> String {
    std::fs::read_to_string("/proc/self/comm").map(|name| name.trim().to_owned()).unwrap_or_default()
}

fn text(stats: &HeapStats, usage: &Usage) -> String {
    let mut text = format!("arenite: {} (process {})\n", name(), std::process::id());
    let mut line = |name: &str, value: String| {
        let _written: core::fmt::Result = writeln!(text, "  {name:<20}{value}");
    };
    line("peak in use", Bytes(stats.state.peak).to_string());
    line("peak held", Bytes(stats.peak_held).to_string());
    line("resident peak", Bytes(usage.resident_peak).to_string());
    line("faults", format!("{} minor, {} major", usage.minor, usage.major));
    line("in use now", format!("{} in {} blocks", Bytes(stats.state.in_use), stats.state.live_blocks));
    line(
        "held now",
        format!("{}, {:.0} % of it unused", Bytes(stats.state.held), 100.0 * stats.fragmentation()),
    );
    for class in largest(stats) {
        let blocks = class.at_peak.max(class.live_blocks);
        line(
            &format!("blocks of {}", Bytes(class.size)),
            format!("{} of {blocks} at the peak, {} now", Bytes(class.size * blocks), class.live_blocks),
        );
    }
    text
}

/// A text as a JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted.push(' '),
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

fn json(stats: &HeapStats, usage: &Usage) -> String {
    let classes: Vec<String> = largest(stats)
        .iter()
        .map(|class| {
            let (size, at_peak, live) = (class.size, class.at_peak, class.live_blocks);
            format!("{{\"size\":{size},\"blocks_at_peak\":{at_peak},\"blocks\":{live}}}")
        })
        .collect();
    format!(
        "{{\"process\":{},\"name\":{},\"peak_in_use\":{},\"peak_held\":{},\"resident_peak\":{},\"minor_faults\":{},\
         \"major_faults\":{},\"in_use\":{},\"held\":{},\"blocks\":{},\"fragmentation\":{:.4},\"classes\":[{}]}}\n",
        std::process::id(),
        quoted(&name()),
        stats.state.peak,
        stats.peak_held,
        usage.resident_peak,
        usage.minor,
        usage.major,
        stats.state.in_use,
        stats.state.held,
        stats.state.live_blocks,
        stats.fragmentation(),
        classes.join(","),
    )
}

/// Appends to a file, in one piece, so that the lines of several processes do not mix.
fn append(file: &CStr, line: &str) -> bool {
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_CLOEXEC;
    // SAFETY: a path that ends with a zero.
    let opened = unsafe { libc::open(file.as_ptr(), flags, 0o644) };
    if opened < 0 {
        return false;
    }
    // SAFETY: the call reads that many bytes.
    let wrote = unsafe { libc::write(opened, line.as_ptr().cast::<c_void>(), line.len()) };
    // SAFETY: opened above, and closed once.
    let _closed = unsafe { libc::close(opened) };
    usize::try_from(wrote) == Ok(line.len())
}

/// Says what the heap holds on the standard error file.
pub(crate) fn say() {
    let (stats, usage) = (HEAP.stats(), Usage::now());
    fatal::say(text(&stats, &usage).as_bytes());
}

/// What `ARENITE_STATS` asks for.
pub(crate) fn at_exit() {
    let (stats, usage) = (HEAP.stats(), Usage::now());
    match STATISTICS.get() {
        Some(Statistics::File(file)) if append(file, &json(&stats, &usage)) => {}
        Some(Statistics::File(_)) => {
            fatal::say(b"arenite: the file that ARENITE_STATS names cannot be written\n");
        }
        _ => fatal::say(text(&stats, &usage).as_bytes()),
    }
}
