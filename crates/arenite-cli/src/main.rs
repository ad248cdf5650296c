//! The `arenite` command: parses, calls, and turns an error into an exit code (2: bad input, 1: it could not be done).

use arenite_alloc::Front;
use arenite_cli::{doctor, rank, run, squeeze, train};
use clap::{Parser, Subcommand};
use std::error::Error;
use std::process::ExitCode;

/// Counts the calls that reach the system's allocator, and keeps them out of a training step on request.
#[global_allocator]
static FRONT: Front = Front::system();

/// Memory for numerical and AI programs: see what it costs, and what it need not cost
#[derive(Debug, Parser)]
#[command(
    name = "arenite",
    version,
    after_help = "Examples:\n  arenite train\n  arenite doctor\n  arenite run --compare -- git log --stat"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(train::TrainArgs),
    Doctor(doctor::DoctorArgs),
    Run(run::RunArgs),
    Rank(rank::RankArgs),
    Squeeze(squeeze::SqueezeArgs),
    /// One strategy of `train`, told what to do on standard input
    #[command(hide = true)]
    TrainWorker,
    /// A job whose caches are larger than its memory, for `squeeze`
    #[command(hide = true)]
    Caches(squeeze::JobArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Train(args) => train::run(&args).map_err(|error| (error.exit_code(), error.into())),
        Command::Doctor(args) => doctor::run(&args).map_err(|error| (1, error.into())),
        Command::Run(args) => match run::run(&args) {
            Ok(code) => return ExitCode::from(code),
            Err(error) => Err((error.exit_code(), error.into())),
        },
        Command::Rank(args) => rank::run(&args).map_err(|error| (error.exit_code(), error.into())),
        Command::Squeeze(args) => match squeeze::run(&args) {
            Ok(code) => return ExitCode::from(code),
            Err(error) => Err((error.exit_code(), error.into())),
        },
        Command::Caches(args) => squeeze::run_job(&args).map_err(|error| (1, error.into())),
        Command::TrainWorker => train::work(&FRONT).map_err(|error| (1, error.into())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, error)) => {
            eprintln!("error: {}", told(error));
            ExitCode::from(code)
        }
    }
}

/// An error and what caused it, in one line.
fn told(error: Box<dyn Error>) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(below) = cause {
        text = format!("{text}: {below}");
        cause = below.source();
    }
    text
}
