//! The errors of `arenite run`.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// The error of `arenite run`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The library was not found.
    #[error("cannot find {}: build it with `cargo build --release`, or set ARENITE_PRELOAD_LIB", path.display())]
    NoLibrary {
        /// The expected path.
        path: PathBuf,
    },
    /// The program was not found.
    #[error("cannot find the program `{name}`, neither in PATH nor as a path")]
    NoProgram {
        /// The requested name.
        name: String,
    },
    /// The program has no dynamic loader.
    #[error("{} is statically linked: no library can replace its malloc", path.display())]
    Static {
        /// The program.
        path: PathBuf,
    },
    /// The program is for another machine.
    #[error("{} is not a 64-bit program for this architecture: the library cannot be loaded", path.display())]
    WrongArchitecture {
        /// The program.
        path: PathBuf,
    },
    /// The program runs with another user's permissions.
    #[error("{} is setuid: the loader ignores LD_PRELOAD for it", path.display())]
    Privileged {
        /// The program.
        path: PathBuf,
    },
    /// The program could not be started or waited for.
    #[error("cannot run {name}")]
    Run {
        /// The program.
        name: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The statistics cannot be converted to or from JSON.
    #[error("cannot convert the statistics to or from JSON")]
    Json(#[from] serde_json::Error),
    /// `--json` requires an option that measures.
    #[error("--json requires --stats or --compare")]
    NothingToWrite,
    /// No process wrote statistics.
    #[error("the program wrote no statistics: it ended without `exit`, or its environment was cleared")]
    NoReport,
    /// The program did not do the same on another allocator.
    #[error("{what} differ between a run on {first} and one on {second}{}", advice(what))]
    Differs {
        /// `exit codes` or `outputs`.
        what: &'static str,
        /// The allocator of one run.
        first: String,
        /// The allocator of the other run.
        second: String,
    },
}

fn advice(what: &str) -> &'static str {
    if what == "outputs" {
        "; if the program prints a time or a process id, compare with --ignore-output"
    } else {
        "; only runs with the same exit code can be compared"
    }
}

impl RunError {
    /// Returns 2 if the command line is at fault, otherwise 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Run { .. } | Self::Json(_) | Self::NoReport | Self::Differs { .. } => 1,
            _ => 2,
        }
    }
}
