//! The same program on several allocators in turn, and the ratios of what it took.
//!
//! Rests on `arenite_pages::wait_measured`. The runs take turns, each round begins with the next allocator, so that a machine that
//! grows slower or faster does so for all; what is told is the median. The output is not shown but compared.

use super::{RunArgs, RunError, library, single};
use crate::atomic_file::WholeFile;
use arenite_core::Bytes;
use arenite_pages::{Usage, wait_measured};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::ffi::OsString;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// One run.
#[derive(Debug, Clone, Copy)]
struct Run {
    wall: Duration,
    usage: Usage,
    code: u8,
    output: u64,
}

/// An allocator and its runs.
struct Side {
    name: String,
    preload: Option<OsString>,
    runs: Vec<Run>,
}

/// The medians of one allocator, and the system's over them.
#[derive(Debug, Clone, Serialize)]
struct Row {
    allocator: String,
    wall_s: f64,
    cpu_s: f64,
    faults: f64,
    resident_peak: f64,
    /// This allocator's over the system's.
    ratios: Option<Ratios>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Ratios {
    wall: f64,
    cpu: f64,
    faults: f64,
    resident_peak: f64,
}

#[derive(Debug, Serialize)]
struct Comparison {
    program: Vec<String>,
    rounds: u32,
    exit_code: u8,
    rows: Vec<Row>,
}

pub(super) fn run(args: &RunArgs) -> Result<u8, RunError> {
    let wrong = |path: &Path| {
        let path = path.to_path_buf();
        move |source| RunError::File { path, source }
    };
    let [name, ..] = args.program.as_slice() else { return Ok(0) };
    let program = library::program(name)?;
    let mut sides = sides(args)?;
    if let Some(path) = &args.input {
        File::open(path).map_err(wrong(path))?;
    }
    let json = args.json.as_deref().map(|path| WholeFile::prepare(path).map_err(wrong(path))).transpose()?;
    let bar = progress(u64::from(args.rounds) * sides.len() as u64);
    for round in 0..args.rounds as usize {
        for turn in 0..sides.len() {
            let at = (round + turn) % sides.len();
            bar.set_message(sides[at].name.clone());
            let run = measure(args, &program, sides[at].preload.as_ref())?;
            sides[at].runs.push(run);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let rows = rows(&sides);
    println!("{}", table(&rows, args.rounds));
    let code = same(&sides)?;
    if let (Some(json), Some(path)) = (json, args.json.as_deref()) {
        let program = args.program.iter().map(|part| part.to_string_lossy().into()).collect();
        let comparison = Comparison { program, rounds: args.rounds, exit_code: code, rows };
        json.finish(&serde_json::to_vec_pretty(&comparison)?).map_err(wrong(path))?;
    }
    Ok(code)
}

fn sides(args: &RunArgs) -> Result<Vec<Side>, RunError> {
    let side = |name: &str, preload| Side { name: name.into(), preload, runs: Vec::new() };
    let library = library::find()?;
    let mut sides = vec![side("system", None), side("arenite", Some(library::preload(&library)))];
    for path in &args.against {
        let found: PathBuf =
            path.canonicalize().map_err(|source| RunError::File { path: path.clone(), source })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = name.trim_start_matches("lib").split('.').next().unwrap_or_default();
        sides.push(side(name, Some(library::preload(&found))));
    }
    Ok(sides)
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
    let wrong = |source| RunError::Run { name: name(), source };
    let input = match &args.input {
        Some(path) => {
            Stdio::from(File::open(path).map_err(|source| RunError::File { path: path.clone(), source })?)
        }
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
    let mut child = command.spawn().map_err(wrong)?;
    let mut hash = DefaultHasher::new();
    if let Some(mut output) = child.stdout.take() {
        let mut bytes = vec![0; 64 << 10];
        loop {
            match output.read(&mut bytes).map_err(wrong)? {
                0 => break,
                count => hash.write(bytes.get(..count).unwrap_or_default()),
            }
        }
    }
    let (status, usage) = wait_measured(child).map_err(wrong)?;
    Ok(Run { wall: before.elapsed(), usage, code: single::code(status), output: hash.finish() })
}

/// The exit code, where all runs had the same one and the same output.
fn same(sides: &[Side]) -> Result<u8, RunError> {
    let all = || sides.iter().flat_map(|side| side.runs.iter().map(move |run| (side, run)));
    let Some((first, run)) = all().next() else { return Ok(0) };
    let differs = |what, other: &Side| RunError::Differs {
        what,
        first: first.name.clone(),
        second: other.name.clone(),
    };
    if let Some((other, _)) = all().find(|(_, other)| other.code != run.code) {
        return Err(differs("exit codes", other));
    }
    match all().find(|(_, other)| other.output != run.output) {
        Some((other, _)) => Err(differs("outputs", other)),
        None => Ok(run.code),
    }
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

#[expect(clippy::cast_precision_loss, reason = "medians, for people")]
fn rows(sides: &[Side]) -> Vec<Row> {
    let of = |side: &Side, what: fn(&Run) -> f64| median(side.runs.iter().map(what).collect());
    let row = |side: &Side| Row {
        allocator: side.name.clone(),
        wall_s: of(side, |run| run.wall.as_secs_f64()),
        cpu_s: of(side, |run| (run.usage.user + run.usage.system).as_secs_f64()),
        faults: of(side, |run| (run.usage.minor_faults + run.usage.major_faults) as f64),
        resident_peak: of(side, |run| run.usage.resident_peak as f64),
        ratios: None,
    };
    let mut rows: Vec<Row> = sides.iter().map(row).collect();
    if let Some(system) = rows.first().cloned() {
        for row in rows.iter_mut().skip(1) {
            row.ratios = Some(Ratios {
                wall: row.wall_s / system.wall_s,
                cpu: row.cpu_s / system.cpu_s,
                faults: row.faults / system.faults,
                resident_peak: row.resident_peak / system.resident_peak,
            });
        }
    }
    rows
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes, for people")]
fn table(rows: &[Row], rounds: u32) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        &format!("median of {rounds}"),
        "time",
        "ratio",
        "cpu",
        "ratio",
        "faults",
        "ratio",
        "resident",
        "ratio",
    ]);
    for row in rows {
        let ratio = |of: fn(&Ratios) -> f64| {
            row.ratios.map_or_else(String::new, |ratios| format!("{:.2}", of(&ratios)))
        };
        table.add_row([
            row.allocator.clone(),
            format!("{:.3} s", row.wall_s),
            ratio(|ratios| ratios.wall),
            format!("{:.3} s", row.cpu_s),
            ratio(|ratios| ratios.cpu),
            format!("{:.0}", row.faults),
            ratio(|ratios| ratios.faults),
            Bytes(row.resident_peak as usize).to_string(),
            ratio(|ratios| ratios.resident_peak),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_two() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }
}
