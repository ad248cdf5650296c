//! A job to squeeze: tables in plain vectors, or in a spill that a pressure handler shrinks.
//!
//! The tests of the command run it, and it shows how a program uses both.

use crate::renamed;
use arenite_alloc::{Spill, SpillBuffer, SpillError};
use arenite_core::{Bytes, PressureLevel};
use arenite_observe::{PressureHandler, PressureReaction};
use clap::Args;
use std::convert::Infallible;
use std::path::PathBuf;
use workloads::caches::{self, Caches};

/// Run a job whose caches are larger than its memory
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  arenite squeeze --limit 512M -- arenite caches --spill --dir /var/tmp")]
pub struct JobArgs {
    /// Keep the tables in a spill instead of vectors
    #[arg(long)]
    pub spill: bool,
    /// Directory for the tables that leave memory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    #[arg(long = "folder", hide = true, num_args = 0..=1, default_missing_value = "", value_parser = renamed::refuse("--dir"))]
    _folder: Option<Infallible>,
    /// Number of tables
    #[arg(long, default_value_t = 32)]
    pub tables: usize,
    /// Size of each table
    #[arg(long, value_name = "BYTES", default_value = "20M")]
    pub size: Bytes,
    /// Number of changes of each table
    #[arg(long, default_value_t = 1)]
    pub passes: usize,
}

struct SpilledTables<'s> {
    spill: &'s Spill,
    handler: PressureHandler,
    buffers: Vec<SpillBuffer<'s, u64>>,
    reclaimed_bytes: usize,
}

impl SpilledTables<'_> {
    /// Checks the pressure between two tables, when no buffer is borrowed and all may leave memory.
    fn check_pressure(&mut self) {
        let before = self.spill.stats().resident;
        let _level: PressureLevel = self.handler.check_pressure(self.spill);
        self.reclaimed_bytes += before.saturating_sub(self.spill.stats().resident);
    }
}

impl Caches for SpilledTables<'_> {
    type Error = SpillError;

    fn make(&mut self, len: usize) -> Result<(), SpillError> {
        self.check_pressure();
        self.buffers.push(self.spill.allocate_buffer(len)?);
        Ok(())
    }

    fn with_table(&mut self, at: usize, change: impl FnOnce(&mut [u64])) -> Result<(), SpillError> {
        self.check_pressure();
        if let Some(buffer) = self.buffers.get_mut(at) {
            change(&mut buffer.write()?);
        }
        Ok(())
    }
}

/// Runs the job and prints its checksum.
///
/// # Errors
/// [`SpillError`].
pub fn run(args: &JobArgs) -> Result<(), SpillError> {
    let len = args.size.0 / size_of::<u64>();
    if !args.spill {
        let Ok(sum) = caches::run(&mut Vec::new(), args.tables, len, args.passes, |_, _| {});
        println!("{sum:016x}");
        return Ok(());
    }
    let mut spill = Spill::new("tables");
    if let Some(dir) = &args.dir {
        spill = spill.with_dir(dir);
    }
    let handler = PressureHandler::new()
        .on_elevated(PressureReaction::Shrink { target_utilization: 0.8 })
        .on_critical(PressureReaction::Shrink { target_utilization: 0.5 });
    let mut caches = SpilledTables { spill: &spill, handler, buffers: Vec::new(), reclaimed_bytes: 0 };
    let sum = caches::run(&mut caches, args.tables, len, args.passes, |_, _| {})?;
    println!("{sum:016x}");
    if let Some(path) = std::env::var_os("ARENITE_RECLAIMED_FILE") {
        // the file is optional for the job, so an error is ignored
        let _written: std::io::Result<()> = std::fs::write(path, caches.reclaimed_bytes.to_string());
    }
    Ok(())
}
