//! The errors of `arenite run`.

use crate::option_file::FileError;
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
    /// A file that an option names cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The temporary file of the statistics cannot be created or read.
    #[error("cannot use a temporary file in {}", std::env::temp_dir().display())]
    TempFile {
        /// The error of the operating system.
        source: io::Error,
    },
    /// The statistics are not JSON.
    #[error("cannot read the statistics")]
    Json(#[from] serde_json::Error),
    /// `--json` requires an option that measures.
    #[error("--json requires --stats or --compare")]
    NothingToWrite,
    /// No process wrote statistics.
    #[error("the program wrote no statistics: it ended without `exit`, or its environment was cleared")]
    NoReport,
    /// The program ended with another exit code in another run.
    #[error(
        "the exit codes of a run on {first} and of one on {second} differ; only runs with the same exit code can be compared"
    )]
    ExitCodesDiffer {
        /// The allocator of one run.
        first: String,
        /// The allocator of the other run.
        second: String,
    },
}

impl RunError {
    /// Returns 2 if the command line is at fault, otherwise 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Run { .. } | Self::Json(_) | Self::NoReport | Self::ExitCodesDiffer { .. } => 1,
            _ => 2,
        }
    }
}
