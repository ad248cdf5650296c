//! Comparison of one program on several allocators in turn, and the ratios of its cost.
//!
//! Each round starts with the next allocator, so that a change of the machine's speed affects all
//! of them. The table shows medians. The program's output is compared and not shown.

use super::args::RunArgs;
use super::error::RunError;
use super::{library, single};
use crate::format;
use crate::option_file::{FileError, JsonTarget};
use arenite_pages::{ResourceUsage, wait_with_usage};
use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::ffi::OsString;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The measurements of one run.
#[derive(Debug, Clone, Copy)]
struct Run {
    wall: Duration,
    usage: ResourceUsage,
    exit_code: u8,
    output_hash: u64,
}

/// An allocator and its runs.
struct Allocator {
    name: String,
    /// The value of `LD_PRELOAD`.
    preload: Option<OsString>,
    runs: Vec<Run>,
}

/// The medians of one allocator.
#[derive(Debug, Clone, Serialize)]
struct Row {
    allocator: String,
    wall_s: f64,
    cpu_s: f64,
    minor_faults: u64,
    major_faults: u64,
    max_rss_bytes: u64,
    /// This allocator's medians divided by the system's.
    ratios: Option<Ratios>,
}

impl Row {
    const fn faults(&self) -> u64 {
        self.minor_faults + self.major_faults
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Ratios {
    wall: f64,
    cpu: f64,
    /// The ratio of all page faults.
    faults: f64,
    max_rss: f64,
}

#[derive(Debug, Serialize)]
struct Comparison {
    program: Vec<String>,
    rounds: u32,
    exit_code: u8,
    /// `true` if every run printed the same.
    same_output: bool,
    rows: Vec<Row>,
}

pub(super) fn run(args: &RunArgs) -> Result<u8, RunError> {
    let [name, ..] = args.program.as_slice() else { return Ok(0) };
    let program = library::find_program(name)?;
    let mut allocators = allocators(args)?;
    if let Some(path) = &args.input {
        File::open(path).map_err(FileError::read("--input", path))?;
    }
    let json = JsonTarget::create(args.json.as_deref())?;
    let bar = progress(u64::from(args.rounds) * allocators.len() as u64);
    for round in 0..args.rounds as usize {
        for turn in 0..allocators.len() {
            let at = (round + turn) % allocators.len();
            bar.set_message(allocators[at].name.clone());
            let run = measure(args, &program, allocators[at].preload.as_ref())?;
            allocators[at].runs.push(run);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let difference = output_difference(&allocators);
    let is_rejected = difference.is_some() && !args.ignore_output;
    if let Some(difference) = difference.as_ref().filter(|_| is_rejected) {
        eprintln!("error: {difference}; --ignore-output compares anyway");
    }
    let rows = rows(&allocators);
    if !matches!(json, Some(JsonTarget::Stdout)) {
        println!("{}", table(&rows, args.rounds));
    }
    let exit_code = check_same_exit_code(&allocators)?;
    if is_rejected {
        return Ok(1);
    }
    if let Some(json) = json {
        let program = args.program.iter().map(|part| part.to_string_lossy().into()).collect();
        let same_output = difference.is_none();
        json.write(&Comparison { program, rounds: args.rounds, exit_code, same_output, rows })?;
    }
    Ok(exit_code)
}

fn allocators(args: &RunArgs) -> Result<Vec<Allocator>, RunError> {
    let allocator = |name: &str, preload| Allocator { name: name.into(), preload, runs: Vec::new() };
    let library = library::find_library()?;
    let mut allocators =
        vec![allocator("system", None), allocator("arenite", Some(library::ld_preload(&library)))];
    for path in &args.against {
        let found = path.canonicalize().map_err(FileError::read("--against", path))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = name.trim_start_matches("lib").split('.').next().unwrap_or_default();
        allocators.push(allocator(name, Some(library::ld_preload(&found))));
    }
    Ok(allocators)
}

fn progress(runs: u64) -> ProgressBar {
    let bar = ProgressBar::new(runs);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} runs  {msg}  {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn measure(args: &RunArgs, program: &Path, preload: Option<&OsString>) -> Result<Run, RunError> {
    let name = || program.display().to_string();
    let run_error = |source| RunError::Run { name: name(), source };
    let input = match &args.input {
        Some(path) => Stdio::from(File::open(path).map_err(FileError::read("--input", path))?),
        None => Stdio::null(),
    };
    let mut command = Command::new(program);
    command.args(args.program.iter().skip(1)).stdin(input).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(preload) = preload {
        command.env("LD_PRELOAD", preload);
        if args.hardened {
            command.env("ARENITE_HARDENED", "1");
        }
    }
    let before = Instant::now();
    let mut child = command.spawn().map_err(run_error)?;
    let mut hash = DefaultHasher::new();
    if let Some(mut output) = child.stdout.take() {
        let mut bytes = vec![0; 64 << 10];
        loop {
            match output.read(&mut bytes).map_err(run_error)? {
                0 => break,
                count => hash.write(bytes.get(..count).unwrap_or_default()),
            }
        }
    }
    let (status, usage) = wait_with_usage(child).map_err(run_error)?;
    Ok(Run {
        wall: before.elapsed(),
        usage,
        exit_code: single::exit_code(status),
        output_hash: hash.finish(),
    })
}

/// Returns the exit code of all runs.
fn check_same_exit_code(allocators: &[Allocator]) -> Result<u8, RunError> {
    if let Some((first, second)) = first_difference(allocators, |run| run.exit_code) {
        let (first, second) = (first.name.clone(), second.name.clone());
        return Err(RunError::ExitCodesDiffer { first, second });
    }
    Ok(allocators.iter().find_map(|allocator| allocator.runs.first()).map_or(0, |run| run.exit_code))
}

/// Returns a description if not all runs printed the same.
fn output_difference(allocators: &[Allocator]) -> Option<String> {
    let difference = |allocators: &[Allocator]| {
        first_difference(allocators, |run| run.output_hash)
            .map(|(first, second)| (first.name.clone(), second.name.clone()))
    };
    let (first, second) = difference(allocators)?;
    // the first allocator is the system
    if difference(allocators.get(..1)?).is_some() {
        return Some("the output changes from run to run (also on system alone)".to_owned());
    }
    Some(format!("the output of a run on {second} differs from that of one on {first}"))
}

/// Returns the allocators of the first run and of the first one that differs from it.
fn first_difference<V: PartialEq>(
    allocators: &[Allocator],
    value: impl Fn(&Run) -> V,
) -> Option<(&Allocator, &Allocator)> {
    let all = || allocators.iter().flat_map(|side| side.runs.iter().map(move |run| (side, run)));
    let (first, run) = all().next()?;
    all().find(|(_, other)| value(other) != value(run)).map(|(other, _)| (first, other))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (Some(&value), 1) => value,
        (Some(&value), _) => {
            f64::midpoint(value, values.get(middle.wrapping_sub(1)).copied().unwrap_or(value))
        }
        (None, _) => f64::NAN,
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of pages and bytes, rounded to whole numbers"
)]
fn rows(allocators: &[Allocator]) -> Vec<Row> {
    let median_of =
        |allocator: &Allocator, value: fn(&Run) -> f64| median(allocator.runs.iter().map(value).collect());
    let count_of = |allocator: &Allocator, value: fn(&Run) -> f64| median_of(allocator, value).round() as u64;
    let row = |allocator: &Allocator| Row {
        allocator: allocator.name.clone(),
        wall_s: median_of(allocator, |run| run.wall.as_secs_f64()),
        cpu_s: median_of(allocator, |run| (run.usage.user + run.usage.system).as_secs_f64()),
        minor_faults: count_of(allocator, |run| run.usage.minor_faults as f64),
        major_faults: count_of(allocator, |run| run.usage.major_faults as f64),
        max_rss_bytes: count_of(allocator, |run| run.usage.max_rss_bytes as f64),
        ratios: None,
    };
    let mut rows: Vec<Row> = allocators.iter().map(row).collect();
    if let Some(system) = rows.first().cloned() {
        for row in rows.iter_mut().skip(1) {
            row.ratios = Some(Ratios {
                wall: row.wall_s / system.wall_s,
                cpu: row.cpu_s / system.cpu_s,
                faults: row.faults() as f64 / system.faults() as f64,
                max_rss: row.max_rss_bytes as f64 / system.max_rss_bytes as f64,
            });
        }
    }
    rows
}

fn table(rows: &[Row], rounds: u32) -> Table {
    let first = format!("median of {rounds}");
    let header = [&first, "time", "ratio", "CPU", "ratio", "page faults", "ratio", "max RSS", "ratio"];
    let columns = header.len();
    let mut table = format::table(header);
    for row in rows {
        let ratio = |value: fn(&Ratios) -> f64| {
            row.ratios.map_or_else(String::new, |ratios| format!("{:.2}", value(&ratios)))
        };
        table.add_row([
            row.allocator.clone(),
            format::duration(row.wall_s),
            ratio(|ratios| ratios.wall),
            format::duration(row.cpu_s),
            ratio(|ratios| ratios.cpu),
            row.faults().to_string(),
            ratio(|ratios| ratios.faults),
            format::bytes(row.max_rss_bytes),
            ratio(|ratios| ratios.max_rss),
        ]);
    }
    format::align_right(&mut table, 1..columns);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value_or_the_mean_of_two() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }
}
