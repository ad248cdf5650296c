//! `cargo xtask`: the test command of the workspace, and its checks.

use clap::{Args, Parser, Subcommand};
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use xtask::graph::Graph;
use xtask::plan::{self, Machine};
use xtask::sources::read_sources;
use xtask::style;
use xtask::summary::{passed, summary};

/// Runs the tests and checks of the workspace.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "Examples:\n  \
        cargo xtask test --fast    while you work\n  \
        cargo xtask ci             before you send a change\n  \
        cargo xtask style          after you edit comments\n\n\
        What was skipped and why stands below the table at the end.\n\
        Exit status: 0; 1 if a step failed; 2 if the command line is wrong."
)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Every test: crates, documentation examples, loom and shuttle models, source checks
    Test(Options),
    /// Format, lints, documentation, every benchmark once: all that is no test
    Check,
    /// All of `check` and all of `test`
    Ci(Options),
    /// Print every style problem of the comments as `path:line: message`
    Style(StyleOptions),
}

#[derive(Debug, Args)]
struct Options {
    /// Leave out the loom and shuttle models
    #[arg(long)]
    fast: bool,
}

#[derive(Debug, Args)]
struct StyleOptions {
    /// Show the problems of files with these prefixes only
    paths: Vec<String>,
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

/// Runs the task. Returns `false` if a step failed.
fn run(task: &Task) -> Result<bool, Box<dyn Error>> {
    let graph = Graph::here()?;
    let machine = Machine::detect();
    let steps = match task {
        Task::Test(options) => plan::test(&graph, &machine, options.fast),
        Task::Check => plan::check(&graph, &machine),
        Task::Ci(options) => plan::ci(&graph, &machine, options.fast),
        Task::Style(options) => return style(&graph.root, options),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut out = io::stdout().lock();
    let all = xtask::run::run(&cargo, steps, &mut out)?;
    out.write_all(summary(&all).as_bytes())?;
    Ok(passed(&all))
}

/// Prints the style problems of the files below `options.paths`. Returns whether there are none.
fn style(root: &Path, options: &StyleOptions) -> Result<bool, Box<dyn Error>> {
    let is_shown = |path: &str| {
        options.paths.is_empty() || options.paths.iter().any(|prefix| path.starts_with(prefix.as_str()))
    };
    let problems = read_sources(root)?.iter().flat_map(style::problems).collect::<Vec<_>>();
    let mut out = io::stdout().lock();
    let mut count = 0;
    for problem in problems.iter().filter(|problem| is_shown(&problem.path)) {
        writeln!(out, "{problem}")?;
        count += 1;
    }
    writeln!(out, "{count} problems")?;
    Ok(count == 0)
}
