//! `arenite squeeze`: a program inside a memory limit, with its memory pressure while it runs.
//!
//! The limit is a control group of the program's own if one can be created, otherwise a limit of
//! the process. The report at the end uses the kernel's counters.

mod memory_limit;
mod spill_job;

use crate::format;
use crate::option_file::{FileError, JsonTarget};
use arenite_core::{Bytes, PressureLevel};
use arenite_pages::machine::PressureReading;
use arenite_pages::wait_with_usage;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use thiserror::Error;

use memory_limit::MemoryLimit;
pub use spill_job::{JobArgs, run as run_job};

/// Time between two readings of the memory in use.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Run a program inside a memory limit, and report whether it survived
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  arenite squeeze --limit 512M -- python3 train.py\n  arenite squeeze --limit 2G --json squeeze.json -- ./program\n\n\
The limit is a control group if one can be created: the kernel kills the program above it. Otherwise it is a limit of the process's data: a request above it fails.\n\
A program with a `Spill`, a `PressureHandler` or a `MemoryMonitor` detects the limit itself. It may write the bytes that it released to the file that \
ARENITE_RECLAIMED_FILE names.\n\
`arenite caches` is such a program, to try: arenite squeeze --limit 512M -- arenite caches --spill\n\
Exit codes: the program's; 128 + the signal if a signal ended it, so 137 if the limit did; 2 if the program cannot be run."
)]
pub struct SqueezeArgs {
    /// Memory limit of the program, such as 512M (512 MiB) or 2G
    #[arg(long, value_name = "BYTES", value_parser = limit_bytes)]
    pub limit: Bytes,
    /// Limit the process, without a control group
    #[arg(long)]
    pub rlimit: bool,
    /// Also write the numbers as JSON to FILE; `-` prints them on standard output instead of the
    /// text
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}

fn limit_bytes(text: &str) -> Result<Bytes, String> {
    match text.parse::<Bytes>() {
        Ok(bytes) if bytes.0 >= 1 << 20 => Ok(bytes),
        Ok(_) => Err("must be at least 1M: no program starts with less".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The error of `arenite squeeze`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SqueezeError {
    /// The program was not found.
    #[error("cannot find the program `{name}`, neither in PATH nor as a path")]
    NoProgram {
        /// The requested name.
        name: String,
    },
    /// The program could not be started or waited for.
    #[error("cannot run {name}")]
    Run {
        /// The program.
        name: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file of `--json` cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl SqueezeError {
    /// Returns 2: the program did not run, or its report cannot be written.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        2
    }
}

/// The result of a run.
#[derive(Debug, Serialize)]
struct Report {
    program: Vec<String>,
    limit_bytes: usize,
    /// `cgroup` or `rlimit`.
    limit_kind: &'static str,
    survived: bool,
    exit_code: u8,
    killed_by_limit: bool,
    wall_s: f64,
    /// The peak of the control group, cached files included; `None` without a group.
    cgroup_peak_bytes: Option<u64>,
    max_rss_bytes: u64,
    /// The number of requests that reached the limit, so that memory was reclaimed.
    limit_hits: Option<u64>,
    /// The number in the file of `ARENITE_RECLAIMED_FILE`.
    reclaimed_bytes: Option<u64>,
    peak_pressure_level: String,
}

/// Runs the program and returns its exit code.
///
/// # Errors
/// [`SqueezeError`].
pub fn run(args: &SqueezeArgs) -> Result<u8, SqueezeError> {
    let json = JsonTarget::create(args.json.as_deref())?;
    let name = args.program.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let run_error = |source| SqueezeError::Run { name: name.clone(), source };
    let mut program = args.program.clone();
    if let Some(first) = program.first_mut() {
        // checked here, because the shell would print an error of its own
        *first = crate::run::find_program(first)
            .map_err(|_| SqueezeError::NoProgram { name: name.clone() })?
            .into();
    }
    let reclaimed = tempfile::NamedTempFile::new().map_err(run_error)?;
    let limit = MemoryLimit::new(args.limit.0, args.rlimit);
    let start = Instant::now();
    let mut command = limit.command(&program);
    let child = command.env("ARENITE_RECLAIMED_FILE", reclaimed.path()).spawn().map_err(run_error)?;
    let ended = AtomicBool::new(false);
    let (waited, peak_level) = thread::scope(|scope| {
        let watch = scope.spawn(|| watch(&limit, args.limit, &ended));
        let waited = wait_with_usage(child);
        ended.store(true, Ordering::Relaxed);
        (waited, watch.join().unwrap_or_default())
    });
    let (status, usage) = waited.map_err(run_error)?;
    let counters = limit.counters();
    let killed = status.signal() == Some(9) && counters.kills.is_none_or(|kills| kills > 0);
    let reclaimed = std::fs::read_to_string(reclaimed.path());
    let report = Report {
        program: args.program.iter().map(|part| part.to_string_lossy().into()).collect(),
        limit_bytes: args.limit.0,
        limit_kind: limit.kind(),
        survived: status.success(),
        exit_code: crate::run::exit_code(status),
        killed_by_limit: killed,
        wall_s: start.elapsed().as_secs_f64(),
        cgroup_peak_bytes: counters.peak_bytes,
        max_rss_bytes: usage.max_rss_bytes as u64,
        limit_hits: counters.limit_hits,
        reclaimed_bytes: reclaimed.ok().and_then(|text| text.trim().parse().ok()),
        peak_pressure_level: peak_level.to_string(),
    };
    if !matches!(json, Some(JsonTarget::Stdout)) {
        eprintln!("{}", summary(&report));
    }
    if let Some(json) = json {
        json.write(&report)?;
    }
    Ok(report.exit_code)
}

/// Shows the pressure until the program has ended, and returns the highest level.
fn watch(limit: &MemoryLimit, limit_bytes: Bytes, ended: &AtomicBool) -> PressureLevel {
    let bar = ProgressBar::new(limit_bytes.0 as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}  {elapsed}") {
        bar.set_style(style);
    }
    let (mut level, mut peak_level) = (PressureLevel::Normal, PressureLevel::Normal);
    while !ended.load(Ordering::Relaxed) {
        if let Some(used) = limit.used_bytes() {
            let reading = PressureReading { free: free_fraction(used, limit_bytes), some: 0.0, full: 0.0 };
            level = reading.level_after(level);
            peak_level = peak_level.max(level);
            bar.set_position(used.min(limit_bytes.0 as u64));
            bar.set_message(format!("{} of {limit_bytes}: {level}", format::bytes(used)));
        }
        thread::sleep(POLL_INTERVAL);
    }
    bar.finish_and_clear();
    peak_level
}

#[expect(clippy::cast_precision_loss, reason = "a fraction, compared with thresholds")]
fn free_fraction(used: u64, limit: Bytes) -> f64 {
    1.0 - (used as f64 / limit.0 as f64).min(1.0)
}

fn summary(report: &Report) -> String {
    let outcome = if report.killed_by_limit {
        "killed by the limit".to_owned()
    } else if report.survived {
        "survived".to_owned()
    } else {
        format!("ended with exit code {}", report.exit_code)
    };
    let hits = report
        .limit_hits
        .map_or_else(String::new, |times| format!(", limit reached {}", format::times(times)));
    let peak = report
        .cgroup_peak_bytes
        .map_or_else(String::new, |bytes| format!(", peak of the group {}", format::bytes(bytes)));
    let reclaimed = report
        .reclaimed_bytes
        .map_or_else(String::new, |bytes| format!(", reclaimed {}", format::bytes(bytes)));
    format!(
        "{outcome} in {} ({}): {}{peak}, max RSS {}, peak pressure {}{hits}{reclaimed}",
        Bytes(report.limit_bytes),
        report.limit_kind,
        format::duration(report.wall_s),
        format::bytes(report.max_rss_bytes),
        report.peak_pressure_level
    )
}
