//! `arenite rank`: PageRank of a list of edges or of this machine's packages, in one analytics context.
//!
//! Rests on `workloads::graph`. All buffers of the graph and of the ranks are the context's, whose figures are told at the end.

mod edges;
mod packages;

use crate::atomic_file::WholeFile;
use arenite_alloc::AnalyticsContext;
use arenite_core::Bytes;
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use thiserror::Error;
use workloads::graph::{Graph, GraphError, pagerank};

/// Rank the nodes of a graph by who points at them
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  arenite rank --dpkg --top 20\n  arenite rank --edges links.txt --json ranks.json\n\n\
An edge is a line of two names, from and to, with blanks between; what follows is ignored, and so are empty lines and lines that begin with #.\n\
Exit codes: 0 done, 1 it could not be done, 2 the input is wrong."
)]
pub struct RankArgs {
    /// Edges to read, a line each; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "dpkg")]
    pub edges: Option<PathBuf>,
    /// This Debian machine's packages and what they depend on, as apt knows them, else as they are installed; so without --edges
    #[arg(long)]
    pub dpkg: bool,
    /// How many to show
    #[arg(long, default_value_t = 10)]
    pub top: usize,
    /// The probability of following a link
    #[arg(long, default_value_t = 0.85, value_parser = probability)]
    pub damping: f64,
    /// Stop when all ranks together change by at most this
    #[arg(long, default_value_t = 1e-12)]
    pub tolerance: f64,
    /// Stop after so many iterations
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub iterations: u32,
    /// Also write all ranks and figures as JSON to FILE, whole or not at all
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.0..1.0).contains(&number) => Ok(number),
        _ => Err("a number from 0 to below 1".to_owned()),
    }
}

/// Why `arenite rank` failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RankError {
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A line is no edge.
    #[error("line {line} of {} has one name; an edge has two, from and to", path.display())]
    NoEdge {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// There is nothing to rank.
    #[error("{} has no edges", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// This is no Debian machine.
    #[error("no packages: neither `apt-cache` nor {} is here; give a file with --edges", path.display())]
    NoPackages {
        /// Where they would be.
        path: PathBuf,
    },
    /// No graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// No memory.
    #[error(transparent)]
    Memory(#[from] arenite_core::AllocError),
    /// The figures cannot be turned into JSON.
    #[error("cannot write the figures as JSON")]
    Json(#[from] serde_json::Error),
}

impl RankError {
    /// 2 for what the caller can mend in the command line or the file, 1 for the rest.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Memory(_) | Self::Json(_) => 1,
            _ => 2,
        }
    }
}

/// Nodes by name, and edges by their numbers.
#[derive(Debug, Default)]
struct Links {
    names: Vec<String>,
    edges: Vec<(u32, u32)>,
    source: String,
}

#[derive(Debug, Serialize)]
struct Ranked {
    name: String,
    rank: f64,
    pointed_at_by: usize,
}

#[derive(Debug, Serialize)]
struct Figures {
    source: String,
    nodes: usize,
    edges: usize,
    damping: f64,
    iterations: usize,
    change: f64,
    seconds: f64,
    context_bytes: usize,
    context_peak_bytes: usize,
    context_allocations: u64,
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

/// Ranks and prints.
///
/// # Errors
/// [`RankError`].
pub fn run(args: &RankArgs) -> Result<(), RankError> {
    let wrong = |path: &PathBuf| {
        let path = path.clone();
        move |source| RankError::File { path, source }
    };
    let json = args.json.as_ref().map(|path| WholeFile::prepare(path).map_err(wrong(path))).transpose()?;
    let bar = progress();
    bar.set_message("reading");
    let links = match &args.edges {
        Some(path) => edges::read(path)?,
        None => packages::read()?,
    };
    let figures = compute(args, links, &bar)?;
    bar.finish_and_clear();
    println!("{}", table(&figures, args.top));
    println!("{}", summary(&figures));
    if let (Some(json), Some(path)) = (json, args.json.as_ref()) {
        json.finish(&serde_json::to_vec_pretty(&figures)?).map_err(wrong(path))?;
    }
    Ok(())
}

fn compute(args: &RankArgs, links: Links, bar: &ProgressBar) -> Result<Figures, RankError> {
    let began = Instant::now();
    let context = AnalyticsContext::new("rank");
    bar.set_message(format!("{} nodes, {} edges", links.names.len(), links.edges.len()));
    let graph = Graph::new(&context, links.names.len(), &links.edges)?;
    drop(links.edges);
    let most = args.iterations as usize;
    let found = pagerank(&context, &graph, args.damping, args.tolerance, most, |iteration, change| {
        bar.set_message(format!("iteration {iteration}, change {change:.1e}"));
    })?;
    let mut ranks: Vec<Ranked> = links
        .names
        .into_iter()
        .enumerate()
        .map(|(node, name)| Ranked {
            name,
            rank: found.ranks[node],
            pointed_at_by: graph.sources(node).len(),
        })
        .collect();
    ranks.sort_by(|one, two| two.rank.total_cmp(&one.rank).then_with(|| one.name.cmp(&two.name)));
    let stats = context.stats();
    Ok(Figures {
        source: links.source,
        nodes: graph.nodes(),
        edges: graph.edges(),
        damping: args.damping,
        iterations: found.iterations,
        change: found.change,
        seconds: began.elapsed().as_secs_f64(),
        context_bytes: stats.current_bytes,
        context_peak_bytes: stats.peak_bytes,
        context_allocations: stats.allocation_count,
        ranks,
    })
}

fn table(figures: &Figures, top: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["", "node", "rank", "pointed at by"]);
    for (place, ranked) in figures.ranks.iter().take(top).enumerate() {
        table.add_row([
            (place + 1).to_string(),
            ranked.name.clone(),
            format!("{:.6}", ranked.rank),
            ranked.pointed_at_by.to_string(),
        ]);
    }
    for column in [0, 2, 3] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn summary(figures: &Figures) -> String {
    format!(
        "{}: {} nodes, {} edges; {} iterations in {:.2} s, the last changed {:.1e}\ncontext: {} in use, {} at most, {} allocations",
        figures.source,
        figures.nodes,
        figures.edges,
        figures.iterations,
        figures.seconds,
        figures.change,
        Bytes(figures.context_bytes),
        Bytes(figures.context_peak_bytes),
        figures.context_allocations
    )
}
