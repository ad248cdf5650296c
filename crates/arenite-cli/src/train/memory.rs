//! The memory strategies that `train` compares.
//!
//! A strategy is a resource with an action before and after each step.

use arenite_alloc::{Arena, BinnedPools, CountedGlobal, Mark, RestoreError};
use arenite_core::{AllocError, Resource};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The source of memory of a training run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The system's malloc and free for every block
    System,
    /// One pool per block size; the matrix library's scratch blocks are cached
    Pool,
    /// One arena, restored to a mark after every step; the matrix library's scratch blocks are
    /// cached
    Arena,
}

/// The strategies under which scratch blocks of the global allocator are cached between calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheScratch {
    /// Pool and arena, not system
    Auto,
    /// Every strategy
    All,
    /// No strategy
    None,
}

impl CacheScratch {
    /// Returns whether scratch blocks are cached under a strategy with this default.
    pub(super) const fn applies(self, by_default: bool) -> bool {
        match self {
            Self::Auto => by_default,
            Self::All => true,
            Self::None => false,
        }
    }
}

impl fmt::Display for CacheScratch {
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

/// A resource with an action before and after a training step.
pub(super) trait Memory: Resource {
    /// The state between the two actions.
    type Step;

    /// The meaning of [`CacheScratch::Auto`] for the strategy.
    const CACHES_SCRATCH: bool;

    fn before_step(&self) -> Result<Self::Step, AllocError>;

    fn after_step(&self, step: Self::Step) -> Result<(), RestoreError>;
}

impl Memory for CountedGlobal {
    type Step = ();
    const CACHES_SCRATCH: bool = false;

    fn before_step(&self) -> Result<(), AllocError> {
        Ok(())
    }

    fn after_step(&self, (): ()) -> Result<(), RestoreError> {
        Ok(())
    }
}

impl Memory for BinnedPools {
    type Step = ();
    const CACHES_SCRATCH: bool = true;

    fn before_step(&self) -> Result<(), AllocError> {
        Ok(())
    }

    fn after_step(&self, (): ()) -> Result<(), RestoreError> {
        Ok(())
    }
}

impl Memory for Arena {
    type Step = Mark;
    const CACHES_SCRATCH: bool = true;

    fn before_step(&self) -> Result<Mark, AllocError> {
        self.mark()
    }

    fn after_step(&self, mark: Mark) -> Result<(), RestoreError> {
        self.restore(mark)
    }
}
