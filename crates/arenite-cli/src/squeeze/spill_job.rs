//! A job to squeeze: caches in plain vectors, or in a spill that a pressure handler shrinks.
//!
//! Rests on `workloads::caches`. The command's own tests run it; it is how a program of yours would do it.

use arenite_alloc::{Spill, SpillBuffer, SpillError};
use arenite_core::{Bytes, PressureLevel};
use arenite_observe::{PressureHandler, PressureReaction};
use clap::Args;
use std::path::PathBuf;
use workloads::caches::{Caches, job};

/// Caches that are larger than their memory
#[derive(Debug, Clone, Args)]
pub struct JobArgs {
    /// Keep them in a spill, and not in vectors
    #[arg(long)]
    pub spill: bool,
    /// Where those go that leave memory
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// How many tables
    #[arg(long, default_value_t = 32)]
    pub tables: usize,
    /// How large each is
    #[arg(long, default_value = "20M")]
    pub size: Bytes,
    /// How often each is changed
    #[arg(long, default_value_t = 1)]
    pub passes: usize,
}

struct Spilling<'s> {
    spill: &'s Spill,
    handler: PressureHandler,
    buffers: Vec<SpillBuffer<'s, u64>>,
    gave_back: usize,
}

impl Spilling<'_> {
    /// Between two tables: here nothing is in use, so everything may go.
    fn check(&mut self) {
        let before = self.spill.stats().resident;
        let _level: PressureLevel = self.handler.check_pressure(self.spill);
        self.gave_back += before.saturating_sub(self.spill.stats().resident);
    }
}

impl Caches for Spilling<'_> {
    type Error = SpillError;

    fn make(&mut self, len: usize) -> Result<(), SpillError> {
        self.check();
        self.buffers.push(self.spill.buffer(len)?);
        Ok(())
    }

    fn with(&mut self, at: usize, change: impl FnOnce(&mut [u64])) -> Result<(), SpillError> {
        self.check();
        if let Some(buffer) = self.buffers.get_mut(at) {
            change(&mut buffer.write()?);
        }
        Ok(())
    }
}

/// Does the job and prints its sum.
///
/// # Errors
/// [`SpillError`].
pub fn run(args: &JobArgs) -> Result<(), SpillError> {
    let len = args.size.0 / size_of::<u64>();
    if !args.spill {
        let Ok(sum) = job(&mut Vec::new(), args.tables, len, args.passes, |_, _| {});
        println!("{sum:016x}");
        return Ok(());
    }
    let mut spill = Spill::new("tables");
    if let Some(folder) = &args.folder {
        spill = spill.with_folder(folder);
    }
    let handler = PressureHandler::new()
        .on_elevated(PressureReaction::Shrink { target_utilization: 0.8 })
        .on_critical(PressureReaction::Shrink { target_utilization: 0.5 });
    let mut caches = Spilling { spill: &spill, handler, buffers: Vec::new(), gave_back: 0 };
    let sum = job(&mut caches, args.tables, len, args.passes, |_, _| {})?;
    println!("{sum:016x}");
    if let Some(path) = std::env::var_os("ARENITE_GAVE_BACK") {
        // nobody may be there who wants to know
        let _told: std::io::Result<()> = std::fs::write(path, caches.gave_back.to_string());
    }
    Ok(())
}
