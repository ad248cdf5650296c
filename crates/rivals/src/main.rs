//! The command `rivals`: runs suites and prints how arenite compares.

use clap::Parser;
use clap::builder::PossibleValuesParser;
use rivals::{
    Bench, CASE, Failure, JsonFile, Machine, Progress, Report, SUITES, Settings, Suite, losses, run_isolated,
    table,
};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Side-by-side benchmarks of arenite and its peers, in one process.
#[derive(Debug, Parser)]
#[command(
    name = "rivals",
    version,
    after_help = "Example:\n  \
        cargo run --release -p rivals -- arena pool step pages ring --json rivals.json\n\n\
        A cell has the median, [its quartiles] and the ratio of arenite's value to the rival's (×0.50: half).\n\
        The case name of two threads may end with the distance of their cores: one core, near or far.\n\
        Exit status: 0; 1 if a suite or the file failed; 2 if the command line is invalid."
)]
struct Arguments {
    /// Suites to run, in this order.
    #[arg(required = true, value_name = "SUITE", value_parser = PossibleValuesParser::new(SUITES.iter().map(|suite| {
        clap::builder::PossibleValue::new(suite.name).help(suite.about)
    })))]
    suites: Vec<String>,

    /// Also write the results to FILE: one object, or an array if there are several suites.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Run fewer and shorter rounds: for a quick check, not for a record.
    #[arg(long)]
    quick: bool,

    /// Number of measured rounds [default: 61, with --quick 9].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: Option<u32>,

    /// Run one case of the first suite in this process and print its rows as JSON.
    #[arg(long = CASE, hide = true)]
    case: Option<usize>,
}

impl Arguments {
    fn settings(&self) -> Settings {
        let mut settings = if self.quick { Settings::quick() } else { Settings::full() };
        settings.rounds = self.rounds.unwrap_or(settings.rounds);
        settings
    }

    /// Returns the options for the process of a case.
    fn case_options(&self) -> Vec<String> {
        let quick = self.quick.then(|| "--quick".to_owned());
        quick.into_iter().chain(self.rounds.map(|rounds| format!("--rounds={rounds}"))).collect()
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let suites: Vec<&Suite> = arguments.suites.iter().filter_map(|name| Suite::named(name)).collect();
    let settings = arguments.settings();
    if let (Some(case), Some(suite)) = (arguments.case, suites.first()) {
        let rows = suite.run_case(case, &Bench::new(settings))?;
        print(
            &serde_json::to_string(&rows).map_err(|error| Failure::Process {
                case: suite.name.to_owned(),
                cause: error.to_string(),
            })?,
        );
        return Ok(());
    }
    let file = arguments.json.as_deref().map(JsonFile::at).transpose()?;
    let cases: usize = suites.iter().map(|suite| suite.len()).sum();
    let progress = Progress::new(u64::try_from(cases).unwrap_or(u64::MAX));
    let mut reports: Vec<Report> = Vec::new();
    for suite in suites {
        reports.push(run_isolated(suite, &arguments.case_options(), &progress)?);
    }
    progress.finish();
    print(&text(&settings, &reports));
    file.map_or(Ok(()), |file| file.write(&reports))
}

/// Returns the printed text: the machine, a table per suite, and the cases in which arenite loses.
fn text(settings: &Settings, reports: &[Report]) -> String {
    let machine = Machine::this();
    let versions: Vec<String> =
        machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let mut text = format!(
        "{}, {} cores, {}, huge pages {}, {}\n{}\nmedians of {} rounds, [quartiles], × is the median ratio of arenite's value to the rival's within a round\n",
        machine.cpu,
        machine.cores,
        machine.kernel,
        machine.huge_pages,
        machine.rustc,
        versions.join(", "),
        settings.rounds,
    );
    for name in &machine.left_out {
        text += &format!("{name} is missing: built without the feature `{name}`\n");
    }
    for report in reports {
        text += &format!("\n{}\n", table(report));
    }
    let lost_cases: Vec<String> = reports.iter().flat_map(losses).collect();
    text += if lost_cases.is_empty() { "\nno losses\n" } else { "\nlosses:\n" };
    for line in lost_cases {
        text += &format!("- {line}\n");
    }
    text
}

/// Prints to standard output; a closed pipe is no failure.
fn print(text: &str) {
    let _ignored: std::io::Result<()> = std::io::stdout().lock().write_all(text.as_bytes());
}
