//! The `arenite` command: parses the command line, calls a subcommand and returns its exit code.
//!
//! Exit code 2 means invalid input, 1 any other failure.

use arenite_alloc::StatsAllocator;
use arenite_cli::{check_renamed_variables, doctor, error_chain, rank, run, squeeze, train};
use clap::{Parser, Subcommand};
use std::error::Error;
use std::process::ExitCode;

/// The global allocator: it counts the calls that reach malloc, and caches scratch blocks on
/// request.
#[global_allocator]
static FRONT: StatsAllocator = StatsAllocator::system();

/// Measure and reduce the memory cost of numerical and AI programs
#[derive(Debug, Parser)]
#[command(
    name = "arenite",
    version,
    after_help = "Examples:\n  arenite train\n  arenite run --compare -- git log --stat\n  \
arenite squeeze --limit 512M -- python3 train.py\n  arenite rank --dpkg --top 20\n  arenite doctor"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(train::TrainArgs),
    Run(run::RunArgs),
    Squeeze(squeeze::SqueezeArgs),
    Rank(rank::RankArgs),
    Doctor(doctor::DoctorArgs),
    /// A job whose caches are larger than its memory, for `squeeze`
    #[command(hide = true)]
    Caches(squeeze::JobArgs),
}

type Failure = (u8, Box<dyn Error>);

fn run_command(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Train(args) => {
            train::run(&args).map(|()| 0).map_err(|error| (error.exit_code(), error.into()))
        }
        Command::Run(args) => run::run(&args).map_err(|error| (error.exit_code(), error.into())),
        Command::Squeeze(args) => squeeze::run(&args).map_err(|error| (error.exit_code(), error.into())),
        Command::Rank(args) => {
            rank::run(&args).map(|()| 0).map_err(|error| (error.exit_code(), error.into()))
        }
        Command::Doctor(args) => {
            doctor::run(&args).map(|()| 0).map_err(|error| (error.exit_code(), error.into()))
        }
        Command::Caches(args) => squeeze::run_job(&args).map(|()| 0).map_err(|error| (1, error.into())),
    }
}

fn main() -> ExitCode {
    // the worker is no subcommand, so that it is not suggested for a typo
    let is_worker = std::env::args_os().nth(1).is_some_and(|first| first == train::WORKER_ARGUMENT);
    let result = if is_worker {
        train::run_worker(&FRONT).map(|()| 0).map_err(|error| (1, error.into()))
    } else {
        let command = Cli::parse().command;
        match check_renamed_variables() {
            Ok(()) => run_command(command),
            Err(error) => Err((2, error.into())),
        }
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err((code, error)) => {
            eprintln!("error: {}", error_chain(error.as_ref()));
            ExitCode::from(code)
        }
    }
}
