//! The options of the library, read from the environment.
//!
//! They are read once, when the library is loaded. Constructors of libraries that the program
//! links may run before that and allocate without these options. `docs/preload.md` documents them.
#![expect(unsafe_code, reason = "runs when the library is loaded, and reads the environment")]

use crate::{HEAP, report};
use arenite_alloc::Hardening;
use core::ffi::{CStr, c_int};
use core::time::Duration;

/// Old names of variables, each with the name that replaced it.
const RENAMED: &[(&CStr, &str)] = &[(c"ARENITE_BACKGROUND", "ARENITE_BACKGROUND_THREAD")];

fn value(name: &CStr) -> Option<&'static CStr> {
    // SAFETY: the name ends with a zero, and the program's `main` has not started, so no other
    // thread should change the environment (a constructor of a linked library may have started
    // one).
    let value = unsafe { libc::getenv(name.as_ptr()) };
    // SAFETY: the pointer is not null, and the initial environment of a process is not moved; a
    // program that overwrites it changes the text (known defect).
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }).filter(|value| !value.is_empty())
}

fn warn(parts: &[&str]) {
    crate::fatal::write_stderr(b"arenite: ");
    for part in parts {
        crate::fatal::write_stderr(part.as_bytes());
    }
    crate::fatal::write_stderr(b"\n");
}

fn warn_ignored(name: &str, rule: &str) {
    warn(&["ignoring ", name, ": must be ", rule]);
}

/// Returns the value of a variable that is `0` or `1`, or `None` if it is unset or invalid.
fn switch(name: &'static CStr) -> Option<bool> {
    let value = value(name)?;
    match value.to_bytes() {
        b"0" => Some(false),
        b"1" => Some(true),
        _ => {
            warn_ignored(name.to_str().unwrap_or_default(), "0 or 1");
            None
        }
    }
}

extern "C" fn init() {
    for (old, new) in RENAMED {
        if value(old).is_some() {
            warn(&[old.to_str().unwrap_or_default(), " is now ", new]);
        }
    }
    if let Some(file) = value(c"ARENITE_STATS").filter(|&file| file != c"0") {
        report::set_target(if file == c"1" { report::Target::Stderr } else { report::Target::File(file) });
        // SAFETY: the function has the signature of an exit handler and lives until the program
        // ends; a program that loads and unloads the library by `dlclose` breaks this (known
        // defect).
        let _registered: c_int = unsafe { libc::atexit(at_exit) };
    }
    if switch(c"ARENITE_HARDENED") == Some(true) {
        // `main` has not started; blocks allocated before stay without hardening
        HEAP.enable_hardening(Hardening::ALL);
    }
    if let Some(period) = value(c"ARENITE_DECAY_MS") {
        match period.to_str().ok().and_then(|period| period.parse().ok()) {
            Some(0) => HEAP.set_decay(None),
            Some(period) => HEAP.set_decay(Some(Duration::from_millis(period))),
            None => warn_ignored("ARENITE_DECAY_MS", "a whole number of milliseconds"),
        }
    }
    if let Some(enabled) = switch(c"ARENITE_HUGE_PAGES") {
        HEAP.set_huge_pages(enabled);
    }
    if switch(c"ARENITE_BACKGROUND_THREAD") == Some(true) && HEAP.decay_in_background().is_err() {
        warn(&["ARENITE_BACKGROUND_THREAD: could not start the thread"]);
    }
}

extern "C" fn at_exit() {
    report::write_at_exit();
}

/// The entry that the dynamic loader calls.
#[used]
// The loader calls each function pointer in this section once.
#[unsafe(link_section = ".init_array")]
static INIT: extern "C" fn() = init;
