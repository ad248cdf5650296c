//! One run, with the heap's figures at its end.
//!
//! Rests on the line of JSON that the library appends for each process that ends with `exit`.

use super::{RunArgs, RunError, library};
use crate::atomic_file::WholeFile;
use arenite_core::Bytes;
use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

/// How many processes are shown.
const SHOWN: usize = 20;

/// What the library says of one process.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Process {
    process: u32,
    name: String,
    peak_in_use: usize,
    peak_held: usize,
    resident_peak: usize,
    minor_faults: u64,
    major_faults: u64,
    in_use: usize,
    held: usize,
    blocks: usize,
    fragmentation: f64,
    classes: Vec<Class>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Class {
    size: usize,
    blocks_at_peak: usize,
    blocks: usize,
}

/// The exit code that a shell would show.
pub(crate) fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code & 0xff).unwrap_or(1)
}

pub(super) fn run(args: &RunArgs) -> Result<u8, RunError> {
    let [name, rest @ ..] = args.program.as_slice() else { return Ok(0) };
    let library = library::find()?;
    let path = library::program(name)?;
    let wrong = |path: &std::path::Path| {
        let path = path.to_path_buf();
        move |source| RunError::File { path, source }
    };
    let json = args.json.as_deref().map(|path| WholeFile::prepare(path).map_err(wrong(path))).transpose()?;
    let figures = args
        .stats
        .then(|| tempfile::NamedTempFile::new().map_err(wrong(&std::env::temp_dir())))
        .transpose()?;
    let mut command = Command::new(&path);
    command.args(rest).env("LD_PRELOAD", library::preload(&library));
    if args.hardened {
        command.env("ARENITE_HARDENED", "1");
    }
    if let Some(figures) = &figures {
        command.env("ARENITE_STATS", figures.path());
    }
    let status =
        command.status().map_err(|source| RunError::Run { name: name.to_string_lossy().into(), source })?;
    if let Some(figures) = figures {
        let text = std::fs::read_to_string(figures.path()).map_err(wrong(figures.path()))?;
        let processes: Vec<Process> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        if processes.is_empty() {
            return Err(RunError::NoReport);
        }
        // beside the program's own output, not in it
        let _shown = writeln!(std::io::stderr(), "{}", table(&processes));
        if let (Some(json), Some(path)) = (json, args.json.as_deref()) {
            json.finish(&serde_json::to_vec_pretty(&processes)?).map_err(wrong(path))?;
        }
    }
    Ok(code(status))
}

fn table(processes: &[Process]) -> Table {
    let mut largest: Vec<&Process> = processes.iter().collect();
    largest.sort_by_key(|process| core::cmp::Reverse(process.peak_in_use));
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "process",
        "in use, peak",
        "held, peak",
        "resident, peak",
        "faults",
        "unused at exit",
        "most bytes in blocks of",
    ]);
    for process in largest.iter().take(SHOWN) {
        let classes = process.classes.iter().take(3);
        let classes: Vec<String> = classes.map(|class| Bytes(class.size).to_string()).collect();
        table.add_row([
            format!("{} {}", process.name, process.process),
            Bytes(process.peak_in_use).to_string(),
            Bytes(process.peak_held).to_string(),
            Bytes(process.resident_peak).to_string(),
            format!("{}", process.minor_faults + process.major_faults),
            format!("{:.0} %", 100.0 * process.fragmentation),
            classes.join(", "),
        ]);
    }
    if largest.len() > SHOWN {
        table.add_row([format!("and {} smaller", largest.len() - SHOWN)]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
