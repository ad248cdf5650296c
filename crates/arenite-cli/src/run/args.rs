//! The command line of `arenite run`.

use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// Run a program on arenite's heap
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  arenite run -- git log --stat\n  arenite run --stats -- python3 train.py\n  arenite run --hardened -- ./program\n  \
arenite run --compare --rounds 11 -- gcc -O2 -c big.c\n  \
arenite run --compare --ignore-output --json ratios.json -- redis-benchmark -q\n  \
arenite run --compare --against libmimalloc.so -- node app.js\n\n\
Exit codes: the program's; 128 + the signal if a signal ended it; 2 if the program cannot be run on the heap.\n\
docs/preload.md lists the environment variables that the library reads (ARENITE_STATS, ARENITE_DECAY_MS, …)."
)]
pub struct RunArgs {
    /// Detect misuse of memory and abort with a report: double free, invalid free, write after
    /// free, buffer overflow
    #[arg(long)]
    pub hardened: bool,
    /// Print the heap's statistics at exit: peaks, page faults, the largest size classes
    #[arg(long, conflicts_with = "compare")]
    pub stats: bool,
    /// Run the program on the system's malloc and on arenite in turn, and print the ratios of time,
    /// page faults and max RSS
    #[arg(long)]
    pub compare: bool,
    /// Runs on each allocator with --compare
    #[arg(long, default_value_t = 5, requires = "compare", conflicts_with = "stats", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Also compare with another allocator's library; may be repeated
    #[arg(long, value_name = "LIBRARY", requires = "compare", conflicts_with = "stats")]
    pub against: Vec<PathBuf>,
    /// Standard input of each run with --compare [default: empty]
    #[arg(long, value_name = "FILE", requires = "compare", conflicts_with = "stats")]
    pub input: Option<PathBuf>,
    /// Compare although the output changes from run to run, because it contains a time or a process
    /// id
    #[arg(long, requires = "compare", conflicts_with = "stats")]
    pub ignore_output: bool,
    /// Also write the numbers as JSON to FILE, with --stats or --compare; `-` prints them on
    /// standard output instead of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}
