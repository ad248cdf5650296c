//! `cargo xtask`: the one test command, and the checks of a change.

use clap::{Args, Parser, Subcommand};
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use xtask::graph::Graph;
use xtask::plan::{self, Machine};
use xtask::summary::{passed, summary};

/// The one test command, and the checks of a change.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "Examples:\n  \
        cargo xtask test --fast    while you work\n  \
        cargo xtask ci             before you send a change\n\n\
        What was skipped and why stands below the table at the end.\n\
        Exit status: 0; 1 if a step failed; 2 if the command line is wrong."
)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Every test: crates, examples in the documentation, loom and shuttle models, rules of the house
    Test(Options),
    /// Format, lints, documentation, every benchmark once: what a change must pass besides the tests
    Check,
    /// All of `check` and all of `test`
    Ci(Options),
}

#[derive(Debug, Args)]
struct Options {
    /// Leave out the loom and shuttle models
    #[arg(long)]
    fast: bool,
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the task; false if a step of it failed.
fn run(task: &Task) -> Result<bool, Box<dyn Error>> {
    let graph = Graph::here()?;
    let machine = Machine::this();
    let steps = match task {
        Task::Test(options) => plan::test(&graph, &machine, options.fast),
        Task::Check => plan::check(&graph, &machine),
        Task::Ci(options) => plan::ci(&graph, &machine, options.fast),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut out = io::stdout().lock();
    let all = xtask::run::run(&cargo, steps, &mut out)?;
    out.write_all(summary(&all).as_bytes())?;
    Ok(passed(&all))
}
