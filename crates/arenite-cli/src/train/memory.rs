//! The memory strategies that `train` compares.
//!
//! Rests on the system's allocator, the pools and the arena. A strategy is a resource and what it does around a step.

use arenite_alloc::{Arena, Mark, RestoreError, SizedPools, System};
use arenite_core::{AllocError, Resource};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a training run takes its memory from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The system's malloc and free for every block
    System,
    /// One pool per block size; the matrix library's scratch blocks are recycled
    Pool,
    /// One arena, freed to a mark after every step; the matrix library's scratch blocks are recycled
    Arena,
}

/// Whether the scratch blocks that libraries take from the global allocator are kept for their next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recycle {
    /// Under pool and arena, not under system
    Auto,
    /// Under every strategy
    All,
    /// Under none
    None,
}

impl Recycle {
    /// Whether they are, for a strategy that does so by default or not.
    pub(super) const fn applies(self, by_default: bool) -> bool {
        match self {
            Self::Auto => by_default,
            Self::All => true,
            Self::None => false,
        }
    }
}

impl fmt::Display for Recycle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Auto => "auto",
            Self::All => "all",
            Self::None => "none",
        })
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::System => "system",
            Self::Pool => "pool",
            Self::Arena => "arena",
        })
    }
}

/// A resource that is told when a step begins and ends.
pub(super) trait Memory: Resource {
    /// What is remembered during a step.
    type Step;

    /// Whether the scratch blocks that libraries take from the global allocator are kept for the next call, too.
    const RECYCLES: bool;

    fn begin(&self) -> Result<Self::Step, AllocError>;

    fn end(&self, step: Self::Step) -> Result<(), RestoreError>;
}

impl Memory for System {
    type Step = ();
    const RECYCLES: bool = false;

    fn begin(&self) -> Result<(), AllocError> {
        Ok(())
    }

    fn end(&self, (): ()) -> Result<(), RestoreError> {
        Ok(())
    }
}

impl Memory for SizedPools {
    type Step = ();
    const RECYCLES: bool = true;

    fn begin(&self) -> Result<(), AllocError> {
        Ok(())
    }

    fn end(&self, (): ()) -> Result<(), RestoreError> {
        Ok(())
    }
}

impl Memory for Arena {
    type Step = Mark;
    const RECYCLES: bool = true;

    fn begin(&self) -> Result<Mark, AllocError> {
        self.mark()
    }

    fn end(&self, mark: Mark) -> Result<(), RestoreError> {
        self.restore(mark)
    }
}
