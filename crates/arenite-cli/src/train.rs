//! `arenite train`: one small language model, trained under each memory strategy in turn, and what each cost.
//!
//! Rests on `workloads::char_lm` for the job and on the arena, the pools and the system's allocator for its memory. Each
//! strategy has a process of its own (`worker`), so that none inherits what another left behind; they take turns of a few
//! steps (`coordinator`), so that a machine that grows slower or faster does so for all of them.

mod coordinator;
mod memory;
mod session;
mod summary;
mod protocol;
mod worker;

pub use memory::{Recycle, Strategy};
pub use worker::work;

use crate::report::{self, Machine, Model, Report};
use crate::atomic_file::{WholeFile, place};
use arenite_core::Bytes;
use clap::Args;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;
use protocol::{Spec, Trained};
use workloads::char_lm::{CORPUS, Config, ConfigError, Text, TextError};

/// Train a small language model on text under each memory strategy, and compare what it cost
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  arenite train\n  arenite train --text book.txt --steps 300 --json run.json\n  \
arenite train --memory system,arena --batch 72   # a step's temporaries pass 64 MiB"
)]
pub struct TrainArgs {
    /// Text to train on, UTF-8; `-` reads standard input [default: this program's own sources and documents]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Memory strategies to compare
    #[arg(long, value_enum, value_delimiter = ',', default_value = "system,pool,arena")]
    pub memory: Vec<Strategy>,
    /// Training steps under each strategy
    #[arg(long, default_value_t = 500, value_parser = at_least_one)]
    pub steps: usize,
    /// Seed of the weights and of the order of the text
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Sequences in a step
    #[arg(long, default_value_t = Config::default().batch, value_parser = at_least_one)]
    pub batch: usize,
    /// Characters in a sequence
    #[arg(long, default_value_t = Config::default().context, value_parser = at_least_one)]
    pub context: usize,
    /// Layers of the model
    #[arg(long, default_value_t = Config::default().layers, value_parser = at_least_one)]
    pub layers: usize,
    /// Width of the model, a multiple of the heads
    #[arg(long, default_value_t = Config::default().width, value_parser = at_least_one)]
    pub width: usize,
    /// Attention heads of a layer
    #[arg(long, default_value_t = Config::default().heads, value_parser = at_least_one)]
    pub heads: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = Config::default().learning_rate, allow_negative_numbers = true)]
    pub learning_rate: f32,
    /// Most bytes that the model and a step may have in use, as in 64M [default: no limit]
    #[arg(long, value_name = "BYTES")]
    pub limit: Option<Bytes>,
    /// For which strategies the scratch blocks that the matrix library takes from malloc are kept for its next call
    #[arg(long, value_enum, default_value_t = Recycle::Auto)]
    pub recycle: Recycle,
    /// Characters of text that the trained model writes
    #[arg(long, default_value_t = 400)]
    pub sample: usize,
    /// Also write the numbers as JSON to FILE, whole or not at all
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The page that draws them, whole or not at all
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub report: PathBuf,
    /// Write no page
    #[arg(long, conflicts_with = "report")]
    pub no_report: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}; give a whole number from 1 on")),
    }
}

/// Why `arenite train` failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The text cannot be read.
    #[error("cannot read the text {}", path.display())]
    Read {
        /// The file asked for.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The text cannot be trained on.
    #[error("cannot train on {name}")]
    Text {
        /// What the text is.
        name: String,
        /// Why.
        source: TextError,
    },
    /// The sizes asked for do not make a model.
    #[error("cannot make this model")]
    Config(#[from] ConfigError),
    /// The text is larger than is read.
    #[error("the text {} is larger than {}; give a part of it", path.display(), Bytes(MOST_TEXT))]
    TooLarge {
        /// The file asked for.
        path: PathBuf,
    },
    /// Two of the text, the page and the JSON file are one file.
    #[error("{} is named twice, by {first} and {second}: writing one would destroy the other; name another file", path.display())]
    SameFile {
        /// The file asked for.
        path: PathBuf,
        /// One option.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A strategy is asked for twice.
    #[error("`{0}` is asked for twice in --memory; name each strategy once")]
    Twice(Strategy),
    /// A file cannot be written; nothing was trained, and what was there before is still there.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file asked for.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A strategy's process failed.
    #[error("training under `{strategy}` failed: {message}")]
    Worker {
        /// Which strategy.
        strategy: Strategy,
        /// What it said.
        message: String,
    },
    /// A strategy's process cannot be started or spoken to.
    #[error("cannot run the process of strategy `{strategy}`")]
    Process {
        /// Which strategy.
        strategy: Strategy,
        /// What the operating system said.
        source: io::Error,
    },
    /// Two strategies trained differently, which is a defect of arenite.
    #[error(
        "losses under `{0}` differ from those under `{1}`: memory was used before it was written; please report this"
    )]
    Differ(Strategy, Strategy),
    /// The table could not be printed.
    #[error("cannot print the table")]
    Print(#[source] io::Error),
    /// The numbers could not be turned into JSON.
    #[error("cannot turn the numbers into JSON")]
    Json(#[from] serde_json::Error),
}

impl TrainError {
    /// 2 where the input is at fault, 1 where the work could not be done.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Read { .. }
            | Self::Text { .. }
            | Self::TooLarge { .. }
            | Self::SameFile { .. }
            | Self::Config(_)
            | Self::Twice(_) => 2,
            _ => 1,
        }
    }
}

/// Trains, prints the table, writes the files.
///
/// # Errors
/// [`TrainError`]; everything that can be refused is refused before the first step, and files are written whole or not at
/// all.
pub fn run(args: &TrainArgs) -> Result<(), TrainError> {
    if let Some(twice) = args.memory.iter().enumerate().find(|(at, name)| args.memory[..*at].contains(name)) {
        return Err(TrainError::Twice(*twice.1));
    }
    all_different(args)?;
    let (name, text) = read_text(args.text.as_deref())?;
    let spec = spec(args, &name, text)?;
    let page = if args.no_report { None } else { Some(prepare(&args.report)?) };
    let json = args.json.as_deref().map(prepare).transpose()?;

    let trained = coordinator::train(&args.memory, &spec)?;
    let report = report_of(args, &spec, name, trained);
    let same = summary::same_losses(&report.strategies);
    print(&summary::text(&report)).map_err(TrainError::Print)?;
    let (json_bytes, page_bytes) = (serde_json::to_vec_pretty(&report)?, report::render(&report));
    if let Some(file) = json {
        finish(file, args.json.as_deref().unwrap_or(Path::new("")), &json_bytes)?;
    }
    if let Some(file) = page {
        finish(file, &args.report, page_bytes.as_bytes())?;
        print(&format!("\nThe curves: {}\n", args.report.display())).map_err(TrainError::Print)?;
    }
    match same {
        Some((a, b)) => Err(TrainError::Differ(args.memory[a], args.memory[b])),
        None => Ok(()),
    }
}

fn prepare(path: &Path) -> Result<WholeFile, TrainError> {
    WholeFile::prepare(path).map_err(|source| TrainError::Write { path: path.to_path_buf(), source })
}

fn finish(file: WholeFile, path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    file.finish(bytes).map_err(|source| TrainError::Write { path: path.to_path_buf(), source })
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// What the text is, and the text; `None` for the embedded one.
fn read_text(path: Option<&Path>) -> Result<(String, Option<Vec<u8>>), TrainError> {
    let Some(path) = path else { return Ok(("arenite's own sources and documents".into(), None)) };
    let fail = |source| TrainError::Read { path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        if io::stdin().is_terminal() {
            return Err(fail(io::Error::other("standard input is a terminal; pipe a text into it")));
        }
        read_bounded(&mut io::stdin().lock(), &mut bytes, path)?;
        return Ok(("standard input".into(), Some(bytes)));
    }
    read_bounded(&mut std::fs::File::open(path).map_err(fail)?, &mut bytes, path)?;
    Ok((path.display().to_string(), Some(bytes)))
}

/// The most bytes of text that are read.
const MOST_TEXT: usize = 256 << 20;

/// Reads to the end, or until the text is too large or (a device, say) no text at all.
fn read_bounded(source: &mut dyn Read, bytes: &mut Vec<u8>, path: &Path) -> Result<(), TrainError> {
    let part = 1 << 20;
    loop {
        let before = bytes.len();
        let read = source.take(part).read_to_end(bytes);
        let read = read.map_err(|source| TrainError::Read { path: path.to_path_buf(), source })?;
        // What has a NUL is no text, however long it goes on: the text's own check says so.
        if read == 0 || bytes[before..].contains(&0) {
            return Ok(());
        }
        if bytes.len() > MOST_TEXT {
            return Err(TrainError::TooLarge { path: path.to_path_buf() });
        }
    }
}

/// Checks that text, page and JSON file are three.
fn all_different(args: &TrainArgs) -> Result<(), TrainError> {
    let page = (!args.no_report).then_some(args.report.as_path());
    let named = [("--text", args.text.as_deref()), ("--report", page), ("--json", args.json.as_deref())];
    for (at, (second, path)) in named.iter().enumerate() {
        let Some(path) = path.filter(|path| path.is_file() || !path.exists()) else { continue };
        for (first, other) in &named[..at] {
            if other.is_some_and(|other| place(other) == place(path)) {
                return Err(TrainError::SameFile { path: path.to_path_buf(), first, second });
            }
        }
    }
    Ok(())
}

/// What every strategy is to do, checked.
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
        recycle: args.recycle,
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
        title: "One model, three ways to give it memory".into(),
        command: command(args),
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

/// The command line that makes the same run again.
fn command(args: &TrainArgs) -> String {
    let names: Vec<String> = args.memory.iter().map(ToString::to_string).collect();
    let mut line =
        format!("arenite train --memory {} --steps {} --seed {}", names.join(","), args.steps, args.seed);
    if let Some(text) = &args.text {
        line += &format!(" --text {}", quoted(&text.display().to_string()));
    }
    let default = Config::default();
    if args.learning_rate.to_bits() != default.learning_rate.to_bits() {
        line += &format!(" --learning-rate {}", args.learning_rate);
    }
    if let Some(limit) = args.limit {
        line += &format!(" --limit {}", limit.get());
    }
    if args.recycle != Recycle::Auto {
        line += &format!(" --recycle {}", args.recycle);
    }
    for (name, value, usual) in [
        ("batch", args.batch, default.batch),
        ("context", args.context, default.context),
        ("layers", args.layers, default.layers),
        ("width", args.width, default.width),
        ("heads", args.heads, default.heads),
    ] {
        if value != usual {
            line += &format!(" --{name} {value}");
        }
    }
    line
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,=:@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn machine() -> Machine {
    let machine = arenite_pages::machine::Machine::read();
    Machine {
        cpu: machine.cpu.model.clone().unwrap_or_else(|| "unknown".into()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: format!("{} {}", std::env::consts::OS, machine.kernel.clone().unwrap_or_default()),
        page_bytes: u64::try_from(arenite_pages::page_size()).unwrap_or(0),
        huge_pages: format!("{:?}", machine.pages.transparent).to_lowercase(),
    }
}
