//! `arenite doctor`: what this machine offers, what binds this process, and where that will hurt.
//!
//! Rests on `arenite_pages::machine` and `arenite_device::probe`, which read; here it is collected (`collect`, into
//! `report`), written for people (`text`) and for scripts (JSON). One report in both forms, so that what somebody pastes
//! into an issue is what a script would have read.

mod check;
mod collect;
mod report;
mod text;

pub use check::{CheckLine, Outcome};
pub use report::{
    CacheLine, DoctorReport, Driver, EventsLine, GpuLine, Gpus, LimitLine, MemorySection, NodeLine, Noted,
    PagesSection, PressureLine, ProcessorSection,
};

use crate::atomic_file::WholeFile;
use arenite_device::{MemoryVisibility, Probe};
use arenite_pages::machine::Machine;
use clap::Args;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Show what this machine offers and what will limit arenite here
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(
    after_help = "Examples:\n  arenite doctor\n  arenite doctor --json machine.json\n  arenite doctor --json - | jq .pages\n  arenite doctor --check   # uses every facility once and says what works here"
)]
pub struct DoctorArgs {
    /// Also write the report as JSON to FILE, whole or not at all; `-` prints it in place of the text
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Use every facility for real, once, and say what works here; exit code 1 if one does something it should not
    #[arg(long)]
    pub check: bool,
}

/// Why `arenite doctor` failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DoctorError {
    /// The report could not be written to the file; what was there before is still there.
    #[error("cannot write the report to {}", path.display())]
    Write {
        /// The file asked for.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The report could not be turned into JSON.
    #[error("cannot turn the report into JSON")]
    Json {
        /// What the serialiser said.
        source: serde_json::Error,
    },
    /// No folder could be made for the checks of files.
    #[error("cannot make a folder for the checks in {}", std::env::temp_dir().display())]
    Folder {
        /// What the operating system said.
        source: io::Error,
    },
    /// A facility did something that it should not.
    #[error("{failed} checks failed")]
    Checks {
        /// How many.
        failed: usize,
    },
    /// The report could not be printed.
    #[error("cannot print the report")]
    Print {
        /// What the operating system said.
        source: io::Error,
    },
}

/// Reads the machine, asks the drivers, prints the report and writes its JSON if asked to.
///
/// # Errors
/// [`DoctorError`] if the report cannot be printed or written. That nobody reads to the end (a closed pipe) is none, and
/// no limit or missing driver is: those are what the report is about.
///
/// ```
/// arenite_cli::doctor::run(&arenite_cli::doctor::DoctorArgs::default()).unwrap();
/// ```
pub fn run(args: &DoctorArgs) -> Result<(), DoctorError> {
    let mut report = DoctorReport::of(&Machine::read(), &Probe::run(), MemoryVisibility::detect());
    if args.check {
        let folder = tempfile::tempdir().map_err(|source| DoctorError::Folder { source })?;
        report.checks = check::run(folder.path());
    }
    let json = args.json.as_deref().map(|path| Ok((path, json_of(&report)?))).transpose()?;
    match json {
        Some((path, json)) if path == Path::new("-") => print(&json),
        Some((path, json)) => {
            WholeFile::write(path, &json)
                .map_err(|source| DoctorError::Write { path: path.to_path_buf(), source })?;
            print(text::render(&report).as_bytes())
        }
        None => print(text::render(&report).as_bytes()),
    }?;
    let failed = report.checks.iter().filter(|check| check.outcome == Outcome::Fails).count();
    if failed > 0 { Err(DoctorError::Checks { failed }) } else { Ok(()) }
}

fn json_of(report: &DoctorReport) -> Result<Vec<u8>, DoctorError> {
    let mut json = serde_json::to_vec_pretty(report).map_err(|source| DoctorError::Json { source })?;
    json.push(b'\n');
    Ok(json)
}

fn print(bytes: &[u8]) -> Result<(), DoctorError> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => Err(DoctorError::Print { source }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};
    use std::error::Error;
    use std::fs;

    #[derive(Debug, Parser)]
    struct Alone {
        #[command(flatten)]
        args: DoctorArgs,
    }

    fn to(path: &Path) -> DoctorArgs {
        DoctorArgs { json: Some(path.to_path_buf()), check: false }
    }

    #[test]
    fn u24_json_is_written_whole_and_replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machine.json");
        fs::write(&path, "x".repeat(1 << 20)).unwrap();
        run(&to(&path)).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert!(json["processor"]["online"].as_u64().is_some_and(|count| count > 0), "{json}");
        assert!(json["gpus"]["cuda"].is_object() && json["limits"].is_array());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn u24_an_unwritable_file_is_a_typed_error_that_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "kept").unwrap();
        for path in ["missing/machine.json", "file/machine.json", "."] {
            let error = run(&to(&folder.path().join(path))).unwrap_err();
            assert!(
                matches!(error, DoctorError::Write { .. }) && error.source().is_some(),
                "{path}: {error}"
            );
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "kept");
    }

    #[cfg(unix)]
    #[test]
    fn u24_a_link_stays_a_link_and_a_device_stays_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        WholeFile::write(&link, b"new").unwrap();
        assert!(link.is_symlink() && fs::read(&target).unwrap() == b"new");
        WholeFile::write(Path::new("/dev/null"), b"gone").unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }

    #[test]
    fn n16_checks_are_in_the_json_when_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machine.json");
        run(&DoctorArgs { check: true, ..to(&path) }).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let checks = json["checks"].as_array().unwrap();
        assert!(
            checks.iter().any(|check| check["outcome"] == "works" && check["name"] == "protect"),
            "{json}"
        );
    }

    #[test]
    fn u24_help_holds_an_example() {
        let help = Alone::command().render_help().to_string();
        assert!(help.contains("arenite doctor --json machine.json"), "{help}");
        assert_eq!(Alone::parse_from(["x", "--json", "a"]).args, to(Path::new("a")));
    }
}
