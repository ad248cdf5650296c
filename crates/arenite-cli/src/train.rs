//! `arenite train`: one small language model, trained under each memory strategy in turn.
//!
//! Each strategy has a process of its own, so that no strategy inherits the memory of another. The
//! processes take turns of a few steps, so that a change of the machine's speed affects all of
//! them.
//!
//! - `args`, `error`: the command line and the errors
//! - `text_source`: the text to train on
//! - `memory`: the strategies
//! - `protocol`: the messages between the coordinator and the workers
//! - `coordinator`: starts the workers and collects their reports
//! - `worker`, `session`: train under one strategy and measure each step
//! - `summary`: the table on the terminal
//! - `command_line`: the command that repeats a run

mod args;
mod command_line;
mod coordinator;
mod error;
mod memory;
mod protocol;
mod session;
mod summary;
mod text_source;
mod worker;

pub use args::TrainArgs;
pub use error::TrainError;
pub use memory::{CacheScratch, Strategy};
pub use worker::{WORKER_ARGUMENT, run_worker};

use crate::atomic_file::{AtomicFile, canonical};
use crate::option_file::{FileError, JsonTarget, is_standard, print};
use crate::report::{self, Machine, Model, OsPages, Processor, Report};
use arenite_core::Bytes;
use protocol::{Spec, Trained};
use std::path::Path;
use workloads::char_lm::{CORPUS, Config, Text};

/// Trains every strategy, prints the table and writes the files.
///
/// # Errors
/// [`TrainError`]. Invalid input is found before the first step. Files are written completely or
/// not at all.
pub fn run(args: &TrainArgs) -> Result<(), TrainError> {
    let duplicate = args.memory.iter().enumerate().find(|(at, name)| args.memory[..*at].contains(name));
    if let Some((_, &strategy)) = duplicate {
        return Err(TrainError::DuplicateStrategy(strategy));
    }
    check_files_differ(args)?;
    let (name, text) = text_source::read_text(args.text.as_deref())?;
    let spec = spec(args, &name, text)?;
    let page = if args.no_report {
        None
    } else {
        Some(AtomicFile::create(&args.report).map_err(FileError::write("--report", &args.report))?)
    };
    let json = JsonTarget::create(args.json.as_deref())?;
    let is_quiet = matches!(json, Some(JsonTarget::Stdout));

    let trained = coordinator::train(&args.memory, &spec)?;
    let report = report_of(args, &spec, name, trained);
    let different = summary::different_losses(&report.strategies);
    if !is_quiet {
        print(summary::text(&report).as_bytes()).map_err(TrainError::Print)?;
    }
    if let Some(json) = json {
        json.write(&report)?;
    }
    if let Some(file) = page {
        let page = report::render(&report);
        file.commit(page.as_bytes()).map_err(FileError::write("--report", &args.report))?;
        if !is_quiet {
            let line = format!("\nReport page: {}\n", args.report.display());
            print(line.as_bytes()).map_err(TrainError::Print)?;
        }
    }
    match different {
        Some((a, b)) => Err(TrainError::DifferentLosses(args.memory[a], args.memory[b])),
        None => Ok(()),
    }
}

/// Checks that the text, the page and the JSON file are different files.
fn check_files_differ(args: &TrainArgs) -> Result<(), TrainError> {
    let page = (!args.no_report).then_some(args.report.as_path());
    let file = |path: Option<&'_ Path>| path.filter(|path| !is_standard(path)).map(Path::to_path_buf);
    let files = [
        ("--text", file(args.text.as_deref())),
        ("--report", page.map(Path::to_path_buf)),
        ("--json", file(args.json.as_deref())),
    ];
    for (at, (second, path)) in files.iter().enumerate() {
        let Some(path) = path.as_ref().filter(|path| path.is_file() || !path.exists()) else { continue };
        for (first, other) in &files[..at] {
            if other.as_ref().is_some_and(|other| canonical(other) == canonical(path)) {
                return Err(TrainError::SameFile { path: path.clone(), first, second });
            }
        }
    }
    Ok(())
}

/// Returns the checked specification that every strategy trains.
fn spec(args: &TrainArgs, name: &str, text: Option<Vec<u8>>) -> Result<Spec, TrainError> {
    let config = Config {
        layers: args.layers,
        width: args.width,
        heads: args.heads,
        context: args.context,
        batch: args.batch,
        steps: args.steps,
        warm_up: Config::default().warm_up.min(args.steps / 10),
        learning_rate: args.learning_rate,
        ..Config::default()
    };
    config.validate()?;
    let bytes = text.as_deref().unwrap_or(CORPUS.as_bytes());
    let fail = |source| TrainError::Text { name: name.to_owned(), source };
    let parsed = Text::new(bytes, config.context).map_err(fail)?;
    workloads::char_lm::StepEstimate::new(&config, parsed.vocabulary())?;
    Ok(Spec {
        text: text.and_then(|text| String::from_utf8(text).ok()),
        layers: args.layers,
        width: args.width,
        heads: args.heads,
        context: args.context,
        batch: args.batch,
        steps: args.steps,
        learning_rate: args.learning_rate,
        warm_up: config.warm_up,
        seed: args.seed,
        limit: args.limit.map(Bytes::get),
        sample: args.sample,
        cache_scratch: args.cache_scratch,
    })
}

fn report_of(args: &TrainArgs, spec: &Spec, text_name: String, trained: Trained) -> Report {
    let number = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    let mut strategies = trained.strategies;
    let system =
        strategies.iter().find(|strategy| strategy.name == "system").map(|system| system.step_ms_median);
    for strategy in &mut strategies {
        strategy.ratio_to_system = system.filter(|&ms| ms > 0.0).map(|ms| strategy.step_ms_median / ms);
    }
    Report {
        title: "One model, three memory strategies".into(),
        program: command_line::words(args),
        command: command_line::command_line(args),
        machine: machine(),
        model: Model {
            parameters: number(trained.parameters),
            layers: number(spec.layers),
            width: number(spec.width),
            heads: number(spec.heads),
            context: number(spec.context),
            batch: number(spec.batch),
            steps: number(spec.steps),
            seed: spec.seed,
            vocabulary: number(trained.vocabulary),
            text_bytes: number(spec.text.as_ref().map_or(CORPUS.len(), String::len)),
            text_name,
        },
        strategies,
        sample: trained.sample,
        sample_prompt: trained.prompt,
    }
}

fn machine() -> Machine {
    let machine = arenite_pages::machine::Machine::read();
    Machine {
        os: std::env::consts::OS.into(),
        kernel: machine.kernel.clone(),
        processor: Processor { model: machine.cpu.model.clone(), usable: machine.cpu.usable },
        pages: OsPages {
            size_bytes: u64::try_from(arenite_pages::page_size()).unwrap_or(0),
            transparent: format!("{:?}", machine.pages.transparent).to_lowercase(),
        },
    }
}
