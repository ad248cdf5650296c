//! `arenite doctor`: the facilities of this machine, and the limits of this process.
//!
//! The text and the JSON are two forms of one report, so that both have the same content.
//!
//! - `report`: the report
//! - `collect`: fills it from `arenite_pages::machine` and `arenite_device::Probe`
//! - `check`: exercises each facility for `--check`
//! - `limit_name`: the names of memory limits in texts
//! - `text`: the report as text

mod check;
mod collect;
mod limit_name;
mod report;
mod text;

pub use check::{CheckLine, Outcome};
pub use report::{
    Annotated, CacheLine, DoctorReport, Driver, EventsLine, GpuLine, Gpus, HugetlbLine, LimitLine,
    MemorySection, NodeLine, PagesSection, PressureLine, ProcessorSection, StallPercent,
};

use crate::option_file::{FileError, JsonTarget, print};
use arenite_device::{MemoryVisibility, Probe};
use arenite_pages::machine::Machine;
use clap::Args;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Show the memory facilities of this machine and the limits of this process
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(
    after_help = "Examples:\n  arenite doctor\n  arenite doctor --json machine.json\n  arenite doctor --json - | jq .pages\n  arenite doctor --check   # exercises each facility\n\n\
Exit codes: 0 done, 1 failed or a check failed, 2 invalid input."
)]
pub struct DoctorArgs {
    /// Also write the report as JSON to FILE; `-` prints it instead of the text
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Exercise each facility once and report whether it works
    #[arg(long)]
    pub check: bool,
}

/// The error of `arenite doctor`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DoctorError {
    /// The file of `--json` cannot be written. Its old content is unchanged.
    #[error(transparent)]
    File(#[from] FileError),
    /// The checks of files have no temporary directory.
    #[error("cannot create a temporary directory in {}", std::env::temp_dir().display())]
    TempDir {
        /// The error of the operating system.
        source: io::Error,
    },
    /// A facility returned a wrong result.
    #[error("{failed} checks failed")]
    Checks {
        /// The number of failed checks.
        failed: usize,
    },
    /// The report cannot be printed.
    #[error("cannot print the report")]
    Print {
        /// The error of the operating system.
        source: io::Error,
    },
}

impl DoctorError {
    /// Returns 2 if the command line is at fault, otherwise 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        if matches!(self, Self::File(_)) { 2 } else { 1 }
    }
}

/// Reads the machine and its drivers, prints the report and writes its JSON.
///
/// # Errors
/// [`DoctorError`] if the report cannot be printed or written, or a check failed. A closed pipe, a
/// limit or a missing driver is not an error.
///
/// ```
/// arenite_cli::doctor::run(&arenite_cli::doctor::DoctorArgs::default()).unwrap();
/// ```
pub fn run(args: &DoctorArgs) -> Result<(), DoctorError> {
    let json = JsonTarget::create(args.json.as_deref())?;
    let mut report = DoctorReport::of(&Machine::read(), &Probe::run(), MemoryVisibility::detect());
    if args.check {
        let dir = tempfile::tempdir().map_err(|source| DoctorError::TempDir { source })?;
        report.checks = check::run(dir.path());
    }
    let is_quiet = matches!(json, Some(JsonTarget::Stdout));
    if let Some(json) = json {
        json.write(&report)?;
    }
    if !is_quiet {
        print(text::render(&report).as_bytes()).map_err(|source| DoctorError::Print { source })?;
    }
    let failed = report.checks.iter().filter(|check| check.outcome == Outcome::Failed).count();
    if failed > 0 { Err(DoctorError::Checks { failed }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic_file::AtomicFile;
    use clap::{CommandFactory, Parser};
    use std::error::Error;
    use std::fs;
    use std::path::Path;

    #[derive(Debug, Parser)]
    struct Alone {
        #[command(flatten)]
        args: DoctorArgs,
    }

    fn to(path: &Path) -> DoctorArgs {
        DoctorArgs { json: Some(path.to_path_buf()), check: false }
    }

    #[test]
    fn u24_json_replaces_the_old_file_completely() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("machine.json");
        fs::write(&path, "x".repeat(1 << 20)).unwrap();
        run(&to(&path)).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert!(json["processor"]["online"].as_u64().is_some_and(|count| count > 0), "{json}");
        assert!(json["gpus"]["cuda"].is_object() && json["limits"].is_array());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn u24_an_unwritable_file_is_a_typed_error_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "kept").unwrap();
        for path in ["missing/machine.json", "file/machine.json", "."] {
            let error = run(&to(&dir.path().join(path))).unwrap_err();
            assert!(matches!(error, DoctorError::File(_)) && error.source().is_some(), "{path}: {error}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(dir.path().join("file")).unwrap(), "kept");
    }

    #[cfg(unix)]
    #[test]
    fn u24_a_link_stays_a_link_and_a_device_stays_a_device() {
        let dir = tempfile::tempdir().unwrap();
        let (link, target) = (dir.path().join("link"), dir.path().join("target"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        AtomicFile::create(&link).unwrap().commit(b"new").unwrap();
        assert!(link.is_symlink() && fs::read(&target).unwrap() == b"new");
        AtomicFile::create(Path::new("/dev/null")).unwrap().commit(b"gone").unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }

    #[test]
    fn n16_the_json_contains_the_checks_when_requested() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("machine.json");
        run(&DoctorArgs { check: true, ..to(&path) }).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let checks = json["checks"].as_array().unwrap();
        assert!(checks.iter().any(|check| check["outcome"] == "ok" && check["name"] == "protect"), "{json}");
    }

    #[test]
    fn u24_help_contains_an_example() {
        let help = Alone::command().render_help().to_string();
        assert!(help.contains("arenite doctor --json machine.json"), "{help}");
        assert_eq!(Alone::parse_from(["x", "--json", "a"]).args, to(Path::new("a")));
    }
}
