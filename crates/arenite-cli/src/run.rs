//! `arenite run`: a program on arenite's heap in place of the C library's, and what that changes.
//!
//! Rests on the library `arenite-preload`, which the dynamic loader puts before the C library, and on `arenite_pages` for what a
//! process used. The program is not changed and not linked anew.

mod compare;
mod library;
mod single;

pub(crate) use library::program;
pub(crate) use single::code;

use clap::Args;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Run a program on arenite's heap
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  arenite run -- git log --stat\n  arenite run --stats -- python3 train.py\n  arenite run --hardened -- ./program\n  \
arenite run --compare --rounds 11 -- gcc -O2 -c big.c\n  \
arenite run --compare --against libmimalloc.so -- node app.js\n\n\
The program's exit code is passed on; 128 and the signal where one ended it; 2 where it cannot be run so.\n\
Variables that the library reads (ARENITE_STATS, ARENITE_DECAY_MS, …) are in docs/preload.md."
)]
pub struct RunArgs {
    /// Find misuse of memory, and end the program with a report: double frees, frees of what is no block, writes after a free and
    /// beyond an end
    #[arg(long)]
    pub hardened: bool,
    /// Say at the end what the heap held: peaks, faults, the largest classes
    #[arg(long, conflicts_with = "compare")]
    pub stats: bool,
    /// Run it on the system's malloc and on arenite in turn, and print the ratios of time, faults and resident peak
    #[arg(long)]
    pub compare: bool,
    /// How often each with --compare
    #[arg(long, default_value_t = 5, requires = "compare", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Another allocator's library to compare with, too; may be given several times
    #[arg(long, value_name = "LIBRARY", requires = "compare")]
    pub against: Vec<PathBuf>,
    /// What the program reads with --compare, from its start each time [default: nothing]
    #[arg(long, value_name = "FILE", requires = "compare")]
    pub input: Option<PathBuf>,
    /// Also write the figures as JSON to FILE, whole or not at all; with --stats or --compare
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}

/// Why `arenite run` failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The library is not where it should be.
    #[error("there is no {} beside this command; build it with `cargo build --release`, or name one in ARENITE_PRELOAD", path.display())]
    NoLibrary {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The program is nowhere.
    #[error("there is no program `{name}` in PATH or at that place")]
    NoProgram {
        /// What was asked for.
        name: String,
    },
    /// The program has no dynamic loader.
    #[error("{} is statically linked: it brings its own malloc, which no library can replace", path.display())]
    Static {
        /// The program.
        path: PathBuf,
    },
    /// The program is of another machine.
    #[error("{} is not a 64-bit program of this machine's kind; the library cannot be loaded into it", path.display())]
    Foreign {
        /// The program.
        path: PathBuf,
    },
    /// The program runs with another user's rights.
    #[error("{} runs with its owner's rights (setuid), so the loader ignores libraries from outside", path.display())]
    Privileged {
        /// The program.
        path: PathBuf,
    },
    /// The program could not be started or waited for.
    #[error("cannot run {name}")]
    Run {
        /// The program.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The figures cannot be turned into JSON, or read from it.
    #[error("cannot exchange figures as JSON")]
    Json(#[from] serde_json::Error),
    /// Figures were asked for in a file, but none are taken.
    #[error("--json writes figures: ask for them with --stats or --compare")]
    NoFigures,
    /// Nothing was reported.
    #[error("the program left no figures: it ended without `exit`, or its environment was cleared")]
    NoReport,
    /// The program did other things on another allocator.
    #[error(
        "{what} differ between {first} and {second}; a program whose output changes from run to run cannot be compared"
    )]
    Differs {
        /// What differs.
        what: &'static str,
        /// One allocator.
        first: String,
        /// The other.
        second: String,
    },
}

impl RunError {
    /// 2 for what the caller can mend in the command line, 1 for the rest.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Run { .. } | Self::Json(_) | Self::NoReport | Self::Differs { .. } => 1,
            _ => 2,
        }
    }
}

/// Runs the program; its exit code.
///
/// # Errors
/// [`RunError`] where it cannot be run so; nothing was run then, but for [`RunError::Differs`] and [`RunError::NoReport`].
pub fn run(args: &RunArgs) -> Result<u8, RunError> {
    if args.json.is_some() && !args.stats && !args.compare {
        return Err(RunError::NoFigures);
    }
    if args.compare { compare::run(args) } else { single::run(args) }
}
