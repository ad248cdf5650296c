//! What the environment sets.
//!
//! Rests on `getenv`. The variables stand in `docs/preload.md`; they are read once, when the library is loaded, before the program's own code.
#![expect(unsafe_code, reason = "runs when the library is loaded, and reads the environment")]

use crate::{HEAP, report};
use arenite_alloc::Hardening;
use core::ffi::{CStr, c_int};
use core::time::Duration;
use std::sync::OnceLock;

/// Where the statistics go.
#[derive(Debug)]
pub(crate) enum Statistics {
    Terminal,
    File(&'static CStr),
}

pub(crate) static STATISTICS: OnceLock<Statistics> = OnceLock::new();

fn value(name: &CStr) -> Option<&'static CStr> {
    // SAFETY: the name ends with a zero; the program's own code has not begun to change its environment.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    // SAFETY: null is left out; the environment that a process begins with stays where it is.
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }).filter(|value| !value.is_empty())
}

fn wrong(name: &str, rule: &str) {
    for part in ["arenite: ", name, " ", rule, "; it is left out\n"] {
        crate::fatal::say(part.as_bytes());
    }
}

extern "C" fn begin() {
    if let Some(file) = value(c"ARENITE_STATS") {
        let statistics = if file == c"1" { Statistics::Terminal } else { Statistics::File(file) };
        let _first = STATISTICS.set(statistics);
        // SAFETY: a function of that signature, which lives as long as the library: it cannot be unloaded before the program ends.
        let _entered: c_int = unsafe { libc::atexit(at_exit) };
    }
    match value(c"ARENITE_HARDENED") {
        None => {}
        Some(wanted) if wanted == c"0" => {}
        // no thread of the program's has begun
        Some(wanted) if wanted == c"1" => HEAP.harden(Hardening::ALL),
        Some(_) => wrong("ARENITE_HARDENED", "is 0 or 1"),
    }
    if let Some(period) = value(c"ARENITE_DECAY_MS") {
        match period.to_str().ok().and_then(|period| period.parse().ok()) {
            Some(0) => HEAP.set_decay(None),
            Some(period) => HEAP.set_decay(Some(Duration::from_millis(period))),
            None => wrong("ARENITE_DECAY_MS", "is a whole number of milliseconds"),
        }
    }
    match value(c"ARENITE_HUGE_PAGES") {
        None => {}
        Some(wanted) if wanted == c"0" => HEAP.set_huge_pages(false),
        Some(wanted) if wanted == c"1" => HEAP.set_huge_pages(true),
        Some(_) => wrong("ARENITE_HUGE_PAGES", "is 0 or 1"),
    }
    if value(c"ARENITE_BACKGROUND") == Some(c"1") && HEAP.decay_in_background().is_err() {
        wrong("ARENITE_BACKGROUND", "asks for a thread, and none could be started");
    }
}

extern "C" fn at_exit() {
    report::at_exit();
}

/// What the dynamic loader calls.
#[used]
// The loader calls what stands in this section, functions of this signature, once.
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;
