//! One run of a program, with the heap's statistics at exit.
//!
//! The library appends a line of JSON for each process that ends with `exit`.

use super::args::RunArgs;
use super::error::RunError;
use super::library;
use crate::format;
use crate::option_file::JsonTarget;
use arenite_core::Bytes;
use comfy_table::Table;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

/// Maximum number of processes in the table.
const MAX_ROWS: usize = 40;
/// Maximum number of size classes in a row.
const MAX_CLASSES: usize = 3;

/// The meaning of a column of the table.
const FREE_AT_EXIT: &str =
    "free at exit: the part of the held memory that was in no live block when the process ended";

/// The statistics of a program and of its children.
#[derive(Debug, Serialize)]
struct Statistics {
    program: Vec<String>,
    exit_code: u8,
    processes: Vec<Process>,
}

/// The statistics of one process.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Process {
    pid: u32,
    name: String,
    peak_in_use_bytes: usize,
    peak_held_bytes: usize,
    max_rss_bytes: usize,
    minor_faults: u64,
    major_faults: u64,
    in_use_bytes: usize,
    held_bytes: usize,
    live_blocks: usize,
    free_at_exit_fraction: f64,
    classes: Vec<Class>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Class {
    size_bytes: usize,
    blocks_at_peak: usize,
    live_blocks: usize,
}

/// Returns the exit code that a shell would report.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code & 0xff).unwrap_or(1)
}

pub(super) fn run(args: &RunArgs) -> Result<u8, RunError> {
    let [name, rest @ ..] = args.program.as_slice() else { return Ok(0) };
    let library = library::find_library()?;
    let path = library::find_program(name)?;
    let json = JsonTarget::create(args.json.as_deref())?;
    let temp_error = |source| RunError::TempFile { source };
    let stats = args.stats.then(|| tempfile::NamedTempFile::new().map_err(temp_error)).transpose()?;
    let mut command = Command::new(&path);
    command.args(rest).env("LD_PRELOAD", library::ld_preload(&library));
    if args.hardened {
        command.env("ARENITE_HARDENED", "1");
    }
    if let Some(stats) = &stats {
        command.env("ARENITE_STATS", stats.path());
    }
    let status =
        command.status().map_err(|source| RunError::Run { name: name.to_string_lossy().into(), source })?;
    if let Some(stats) = stats {
        let text = std::fs::read_to_string(stats.path()).map_err(temp_error)?;
        let processes: Vec<Process> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        if processes.is_empty() {
            return Err(RunError::NoReport);
        }
        if !matches!(json, Some(JsonTarget::Stdout)) {
            // the standard output belongs to the program
            let _printed = writeln!(std::io::stderr(), "{}\n{FREE_AT_EXIT}", table(&processes));
        }
        if let Some(json) = json {
            let program = args.program.iter().map(|part| part.to_string_lossy().into()).collect();
            json.write(&Statistics { program, exit_code: exit_code(status), processes })?;
        }
    }
    Ok(exit_code(status))
}

fn table(processes: &[Process]) -> Table {
    let mut largest: Vec<&Process> = processes.iter().collect();
    largest.sort_by_key(|process| core::cmp::Reverse(process.peak_in_use_bytes));
    let mut table = format::table([
        "process",
        "pid",
        "peak in use",
        "peak held",
        "max RSS",
        "page faults",
        "free at exit",
        "top size classes",
    ]);
    // a row that counts one hidden process would be as long as that process
    let shown = if largest.len() == MAX_ROWS + 1 { largest.len() } else { MAX_ROWS };
    for process in largest.iter().take(shown) {
        let classes = process.classes.iter().take(MAX_CLASSES);
        let classes: Vec<String> = classes.map(|class| Bytes(class.size_bytes).to_string()).collect();
        table.add_row([
            process.name.clone(),
            process.pid.to_string(),
            Bytes(process.peak_in_use_bytes).to_string(),
            Bytes(process.peak_held_bytes).to_string(),
            Bytes(process.max_rss_bytes).to_string(),
            format!("{}", process.minor_faults + process.major_faults),
            format!("{:.0} %", 100.0 * process.free_at_exit_fraction),
            classes.join(", "),
        ]);
    }
    if largest.len() > shown {
        table.add_row([format!("and {} smaller", largest.len() - shown)]);
    }
    format::align_right(&mut table, 1..7);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32) -> Process {
        Process {
            pid,
            name: format!("p{pid}"),
            peak_in_use_bytes: pid as usize,
            peak_held_bytes: 0,
            max_rss_bytes: 0,
            minor_faults: 0,
            major_faults: 0,
            in_use_bytes: 0,
            held_bytes: 0,
            live_blocks: 0,
            free_at_exit_fraction: 0.0,
            classes: Vec::new(),
        }
    }

    #[test]
    fn n08_the_table_fits_a_screen_of_50_lines_when_40_processes_or_more_are_listed() {
        for (count, lines) in [(40, 42), (41, 43), (300, 43)] {
            let table = table(&(0..count).map(process).collect::<Vec<_>>()).to_string();
            assert_eq!(table.contains("smaller"), count == 300, "{table}");
            assert_eq!(table.lines().count(), lines, "{table}");
        }
    }
}
