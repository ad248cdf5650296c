//! The statistics of the heap at exit, as text or as a line of JSON.
//!
//! The text is allocated in the heap that it describes, after the statistics were read.
#![expect(unsafe_code, reason = "reads the kernel's usage of the process, and appends to a file")]

use crate::HEAP;
use crate::fatal::write_stderr;
use arenite_alloc::{ClassStats, HeapStats};
use arenite_core::Bytes;
use core::ffi::{CStr, c_void};
use core::fmt::Write;
use core::mem::MaybeUninit;
use std::sync::OnceLock;

/// Maximum number of size classes in a report.
const MAX_CLASSES: usize = 5;

/// The file that `ARENITE_STATS` names.
#[derive(Debug)]
pub(crate) enum Target {
    /// The standard error file.
    Stderr,
    /// A path, to which a line of JSON is appended.
    File(&'static CStr),
}

static TARGET: OnceLock<Target> = OnceLock::new();

/// Sets the target of the statistics at exit. Later calls have no effect.
pub(crate) fn set_target(target: Target) {
    let _first = TARGET.set(target);
}

/// The kernel's usage of the process.
struct Usage {
    max_rss_bytes: usize,
    minor_faults: i64,
    major_faults: i64,
}

impl Usage {
    fn now() -> Self {
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the pointer is valid for a write of the struct.
        let _result = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
        // SAFETY: all fields are integers, and they hold zeroes or what the kernel wrote.
        let usage = unsafe { usage.assume_init() };
        let max_rss_bytes = usize::try_from(usage.ru_maxrss).unwrap_or(0) * 1024;
        Self { max_rss_bytes, minor_faults: usage.ru_minflt, major_faults: usage.ru_majflt }
    }
}

/// Returns the classes with the most bytes at the peak, largest first.
fn largest(stats: &HeapStats) -> Vec<ClassStats> {
    let mut classes: Vec<ClassStats> = stats
        .classes()
        .iter()
        .copied()
        .filter(|class| class.blocks_at_peak.max(class.live_blocks) > 0)
        .collect();
    classes.sort_by_key(|class| core::cmp::Reverse(class.size * class.blocks_at_peak.max(class.live_blocks)));
    classes.truncate(MAX_CLASSES);
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
    line("max RSS", Bytes(usage.max_rss_bytes).to_string());
    line("page faults", format!("{} minor, {} major", usage.minor_faults, usage.major_faults));
    line("in use", format!("{} in {} live blocks", Bytes(stats.state.in_use), stats.state.live_blocks));
    line("held", format!("{}, {:.0} % of it free", Bytes(stats.state.held), 100.0 * stats.fragmentation()));
    for class in largest(stats) {
        let blocks = class.blocks_at_peak.max(class.live_blocks);
        line(
            &format!("blocks of {}", Bytes(class.size)),
            format!("{blocks} at the peak ({}), {} live", Bytes(class.size * blocks), class.live_blocks),
        );
    }
    text
}

/// Returns a text as a JSON string.
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
            let (size, blocks_at_peak, live) = (class.size, class.blocks_at_peak, class.live_blocks);
            format!("{{\"size_bytes\":{size},\"blocks_at_peak\":{blocks_at_peak},\"live_blocks\":{live}}}")
        })
        .collect();
    format!(
        "{{\"pid\":{},\"name\":{},\"peak_in_use_bytes\":{},\"peak_held_bytes\":{},\"max_rss_bytes\":{},\
         \"minor_faults\":{},\"major_faults\":{},\"in_use_bytes\":{},\"held_bytes\":{},\"live_blocks\":{},\
         \"free_at_exit_fraction\":{:.4},\"classes\":[{}]}}\n",
        std::process::id(),
        quoted(&name()),
        stats.state.peak,
        stats.peak_held,
        usage.max_rss_bytes,
        usage.minor_faults,
        usage.major_faults,
        stats.state.in_use,
        stats.state.held,
        stats.state.live_blocks,
        stats.fragmentation(),
        classes.join(","),
    )
}

/// Appends a line to a file in one write, so that the lines of several processes do not mix.
fn append(file: &CStr, line: &str) -> bool {
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_CLOEXEC;
    // SAFETY: the path ends with a zero.
    let opened = unsafe { libc::open(file.as_ptr(), flags, 0o644) };
    if opened < 0 {
        return false;
    }
    // SAFETY: the pointer and the length are those of a live string, which the call only reads.
    let wrote = unsafe { libc::write(opened, line.as_ptr().cast::<c_void>(), line.len()) };
    // SAFETY: the descriptor was opened above and is closed once.
    let _closed = unsafe { libc::close(opened) };
    usize::try_from(wrote) == Ok(line.len())
}

/// Writes the statistics as text to the standard error file.
pub(crate) fn write_text() {
    let (stats, usage) = (HEAP.stats(), Usage::now());
    write_stderr(text(&stats, &usage).as_bytes());
}

/// Writes the statistics to the target of `ARENITE_STATS`.
pub(crate) fn write_at_exit() {
    let Some(Target::File(file)) = TARGET.get() else { return write_text() };
    let (stats, usage) = (HEAP.stats(), Usage::now());
    if !append(file, &json(&stats, &usage)) {
        write_stderr(b"arenite: cannot write the file that ARENITE_STATS names\n");
    }
}
