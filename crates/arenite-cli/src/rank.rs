//! `arenite rank`: PageRank of a list of edges or of this machine's packages.
//!
//! All buffers of the graph and of the ranks belong to one analytics context, whose statistics are
//! printed at the end.

mod edge_list;
mod edges;
mod error;
mod packages;

pub use error::RankError;

use crate::format;
use crate::option_file::JsonTarget;
use arenite_alloc::AnalyticsContext;
use arenite_core::Bytes;
use clap::Args;
use comfy_table::Table;
use edge_list::EdgeList;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use workloads::graph::{Graph, pagerank};

/// Rank the nodes of a graph with PageRank
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  arenite rank --dpkg --top 20\n  arenite rank --edges edges.txt --json ranks.json\n\n\
An edge is a line with two names, source and target, separated by blanks. The rest of the line, empty lines and lines that start with # are ignored.\n\
Exit codes: 0 done, 1 failed, 2 invalid input."
)]
pub struct RankArgs {
    /// File of edges, one per line; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "dpkg")]
    pub edges: Option<PathBuf>,
    /// Rank the packages of this Debian machine by their dependencies; the default without --edges
    #[arg(long)]
    pub dpkg: bool,
    /// Number of nodes to show
    #[arg(long, default_value_t = 10)]
    pub top: usize,
    /// Probability of following a link
    #[arg(long, default_value_t = 0.85, value_parser = probability)]
    pub damping: f64,
    /// Stop when the residual, the sum of all changes of rank, is at most this
    #[arg(long, default_value = "1e-12")]
    pub tolerance: f64,
    /// Maximum number of iterations
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub iterations: u32,
    /// Also write all ranks and numbers as JSON to FILE; `-` prints them instead of the text
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.0..1.0).contains(&number) => Ok(number),
        _ => Err("must be a number from 0 to below 1".to_owned()),
    }
}

#[derive(Debug, Serialize)]
struct Ranked {
    name: String,
    rank: f64,
    in_degree: usize,
}

/// The result of a run.
#[derive(Debug, Serialize)]
struct Report {
    source: String,
    nodes: usize,
    edges: usize,
    damping: f64,
    iterations: usize,
    /// The sum of all changes of rank in the last iteration.
    residual: f64,
    tolerance: f64,
    /// `true` if the residual is at most the tolerance.
    converged: bool,
    wall_s: f64,
    in_use_bytes: usize,
    peak_in_use_bytes: usize,
    allocations: u64,
    ranks: Vec<Ranked>,
}

fn progress() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Ranks the nodes and prints the table.
///
/// # Errors
/// [`RankError`].
pub fn run(args: &RankArgs) -> Result<(), RankError> {
    let json = JsonTarget::create(args.json.as_deref())?;
    let bar = progress();
    bar.set_message("reading the edges");
    let edges = match &args.edges {
        Some(path) => edges::read(path)?,
        None => packages::read()?,
    };
    let report = compute(args, edges, &bar)?;
    bar.finish_and_clear();
    if !report.converged {
        eprintln!(
            "warning: not converged: the residual {:.1e} exceeds the tolerance {:.1e}; raise --iterations",
            report.residual, report.tolerance
        );
    }
    if !matches!(json, Some(JsonTarget::Stdout)) {
        println!("{}", table(&report, args.top));
        println!("{}", summary(&report));
    }
    if let Some(json) = json {
        json.write(&report)?;
    }
    Ok(())
}

fn compute(args: &RankArgs, list: EdgeList, bar: &ProgressBar) -> Result<Report, RankError> {
    let start = Instant::now();
    let context = AnalyticsContext::new("rank");
    bar.set_message(format!("{} nodes, {} edges", list.names.len(), list.edges.len()));
    let graph = Graph::new(&context, list.names.len(), &list.edges)?;
    drop(list.edges);
    let max_iterations = args.iterations as usize;
    let found =
        pagerank(&context, &graph, args.damping, args.tolerance, max_iterations, |iteration, residual| {
            bar.set_message(format!("iteration {iteration}, residual {residual:.1e}"));
        })?;
    let mut ranks: Vec<Ranked> = list
        .names
        .into_iter()
        .enumerate()
        .map(|(node, name)| Ranked { name, rank: found.ranks[node], in_degree: graph.sources(node).len() })
        .collect();
    ranks.sort_by(|one, two| two.rank.total_cmp(&one.rank).then_with(|| one.name.cmp(&two.name)));
    let stats = context.stats();
    Ok(Report {
        source: list.source,
        nodes: graph.nodes(),
        edges: graph.edges(),
        damping: args.damping,
        iterations: found.iterations,
        residual: found.change,
        tolerance: args.tolerance,
        converged: found.change <= args.tolerance,
        wall_s: start.elapsed().as_secs_f64(),
        in_use_bytes: stats.current_bytes,
        peak_in_use_bytes: stats.peak_bytes,
        allocations: stats.allocation_count,
        ranks,
    })
}

fn table(report: &Report, top: usize) -> Table {
    let mut table = format::table(["", "node", "rank", "in-degree"]);
    for (index, ranked) in report.ranks.iter().take(top).enumerate() {
        table.add_row([
            (index + 1).to_string(),
            ranked.name.clone(),
            format!("{:.6}", ranked.rank),
            ranked.in_degree.to_string(),
        ]);
    }
    format::align_right(&mut table, [0, 2, 3]);
    table
}

fn summary(report: &Report) -> String {
    format!(
        "{}: {}, {}; {} in {}, residual {:.1e}\ncontext: in use {}, peak in use {}, {} allocations",
        report.source,
        format::counted(report.nodes, "node"),
        format::counted(report.edges, "edge"),
        format::counted(report.iterations, "iteration"),
        format::duration(report.wall_s),
        report.residual,
        Bytes(report.in_use_bytes),
        Bytes(report.peak_in_use_bytes),
        report.allocations
    )
}
