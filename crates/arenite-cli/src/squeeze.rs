//! `arenite squeeze`: a program inside a memory limit, with its pressure while it runs.
//!
//! Rests on a control group of the program's own where one may be made, else on a limit of the process. What the kernel counted says
//! at the end whether it survived and what it took.

mod spill_job;
mod memory_limit;

use crate::atomic_file::WholeFile;
use arenite_core::{Bytes, PressureLevel};
use arenite_pages::machine::PressureReading;
use arenite_pages::wait_measured;
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

pub use spill_job::{JobArgs, run as run_job};
use memory_limit::Squeezed;

/// Run a program inside a memory limit, and say whether it survived
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  arenite squeeze --limit 512M -- python3 train.py\n  arenite squeeze --limit 2G --json FILE -- ./program\n\n\
The limit is a control group's where one may be made (the program is killed above it), else one of the process's own data (a request above it is refused).\n\
A program whose caches are a `Spill`, or which has a `PressureHandler` or a `MemoryMonitor`, finds the limit by itself; what it says on its own of what it \
gave back it may write to the file named in ARENITE_GAVE_BACK.\n\
Exit codes: the program's; 128 and the signal where one ended it, so 137 where the limit did; 2 where it cannot be run so."
)]
pub struct SqueezeArgs {
    /// The most memory that it may have, such as 512M or 2G
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub limit: Bytes,
    /// Limit the process and make no control group
    #[arg(long)]
    pub rlimit: bool,
    /// Also write the figures as JSON to FILE, whole or not at all
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}

fn bytes(text: &str) -> Result<Bytes, String> {
    match text.parse::<Bytes>() {
        Ok(bytes) if bytes.0 >= 1 << 20 => Ok(bytes),
        Ok(_) => Err("at least 1M: no program starts in less".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Why `arenite squeeze` failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SqueezeError {
    /// The program is nowhere.
    #[error("there is no program `{name}` in PATH or at that place")]
    NoProgram {
        /// What was asked for.
        name: String,
    },
    /// The program could not be started or waited for.
    #[error("cannot run {name}")]
    Run {
        /// The program.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file cannot be used.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The figures cannot be turned into JSON.
    #[error("cannot write the figures as JSON")]
    Json(#[from] serde_json::Error),
}

impl SqueezeError {
    /// 2 for what the caller can mend, 1 for the rest.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::NoProgram { .. } | Self::Run { .. } | Self::File { .. } => 2,
            Self::Json(_) => 1,
        }
    }
}

/// What is said at the end.
#[derive(Debug, Serialize)]
struct Figures {
    program: Vec<String>,
    limit: usize,
    /// `cgroup` or `rlimit`.
    by: &'static str,
    survived: bool,
    exit_code: u8,
    killed_by_limit: bool,
    seconds: f64,
    /// The most that the group had, files in memory included; the resident peak under a limit of the process.
    peak: u64,
    resident_peak: u64,
    /// How often a request met the limit and memory was reclaimed for it.
    met_limit: Option<u64>,
    /// What the program says that it gave back.
    gave_back: Option<u64>,
    highest: String,
}

/// Runs the program; its exit code.
///
/// # Errors
/// [`SqueezeError`].
pub fn run(args: &SqueezeArgs) -> Result<u8, SqueezeError> {
    let wrong = |path: &PathBuf| {
        let path = path.clone();
        move |source| SqueezeError::File { path, source }
    };
    let json = args.json.as_ref().map(|path| WholeFile::prepare(path).map_err(wrong(path))).transpose()?;
    let name = args.program.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let failed = |source| SqueezeError::Run { name: name.clone(), source };
    let mut program = args.program.clone();
    if let Some(first) = program.first_mut() {
        // the shell would say it in its own way
        *first =
            crate::run::program(first).map_err(|_| SqueezeError::NoProgram { name: name.clone() })?.into();
    }
    let told = tempfile::NamedTempFile::new().map_err(failed)?;
    let squeezed = Squeezed::new(args.limit.0, args.rlimit);
    let began = Instant::now();
    let mut command = squeezed.command(&program);
    let child = command.env("ARENITE_GAVE_BACK", told.path()).spawn().map_err(failed)?;
    let ended = AtomicBool::new(false);
    let (waited, highest) = thread::scope(|scope| {
        let watch = scope.spawn(|| watch(&squeezed, args.limit, &ended));
        let waited = wait_measured(child);
        ended.store(true, Ordering::Relaxed);
        (waited, watch.join().unwrap_or_default())
    });
    let (status, usage) = waited.map_err(failed)?;
    let counted = squeezed.counted();
    let killed = status.signal() == Some(9) && counted.kills.is_none_or(|kills| kills > 0);
    let figures = Figures {
        program: args.program.iter().map(|part| part.to_string_lossy().into()).collect(),
        limit: args.limit.0,
        by: squeezed.by(),
        survived: status.success(),
        exit_code: crate::run::code(status),
        killed_by_limit: killed,
        seconds: began.elapsed().as_secs_f64(),
        peak: counted.peak.unwrap_or(usage.resident_peak as u64),
        resident_peak: usage.resident_peak as u64,
        met_limit: counted.met_limit,
        gave_back: std::fs::read_to_string(told.path()).ok().and_then(|text| text.trim().parse().ok()),
        highest: highest.to_string(),
    };
    eprintln!("{}", summary(&figures));
    if let (Some(json), Some(path)) = (json, args.json.as_ref()) {
        json.finish(&serde_json::to_vec_pretty(&figures)?).map_err(wrong(path))?;
    }
    Ok(figures.exit_code)
}

/// Shows the pressure until the program has ended; the highest level.
fn watch(squeezed: &Squeezed, limit: Bytes, ended: &AtomicBool) -> PressureLevel {
    let bar = ProgressBar::new(limit.0 as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}  {elapsed}") {
        bar.set_style(style);
    }
    let (mut level, mut highest) = (PressureLevel::Normal, PressureLevel::Normal);
    while !ended.load(Ordering::Relaxed) {
        if let Some(used) = squeezed.used() {
            let reading = PressureReading { free: free(used, limit), some: 0.0, full: 0.0 };
            level = reading.level_after(level);
            highest = highest.max(level);
            bar.set_position(used.min(limit.0 as u64));
            bar.set_message(format!(
                "{} of {limit}: {level}",
                Bytes(usize::try_from(used).unwrap_or(usize::MAX))
            ));
        }
        thread::sleep(Duration::from_millis(50));
    }
    bar.finish_and_clear();
    highest
}

#[expect(clippy::cast_precision_loss, reason = "a part, to a few digits")]
fn free(used: u64, limit: Bytes) -> f64 {
    1.0 - (used as f64 / limit.0 as f64).min(1.0)
}

fn summary(figures: &Figures) -> String {
    let size = |bytes: u64| Bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    let outcome = if figures.killed_by_limit {
        "was killed by the limit".to_owned()
    } else if figures.survived {
        "survived".to_owned()
    } else {
        format!("ended with {}", figures.exit_code)
    };
    let met = figures.met_limit.map_or_else(String::new, |times| format!(", met the limit {times} times"));
    let gave = figures.gave_back.map_or_else(String::new, |bytes| format!(", gave back {}", size(bytes)));
    format!(
        "{outcome} in {} by {}: {:.2} s, peak {}, resident peak {}, highest pressure {}{met}{gave}",
        Bytes(figures.limit),
        figures.by,
        figures.seconds,
        size(figures.peak),
        size(figures.resident_peak),
        figures.highest
    )
}
