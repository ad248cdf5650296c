//! A charge that a budget refused.
//!
//! Rests on [`Label`].

use arenite_core::{Bytes, Label};
use core::fmt;

/// Which node refused, and which of its children have the most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetError {
    /// The node whose limit would be passed.
    pub node: Label,
    /// From the root to the node that requested, by their names. Empty where there was no memory for it.
    pub path: String,
    /// The bytes requested for.
    pub requested: usize,
    /// The bytes that the refusing node has.
    pub used: usize,
    /// Its limit.
    pub limit: usize,
    /// Its children that have the most, the largest first, five at most; none where there was no memory for them.
    pub largest: Vec<(Label, usize)>,
}

impl fmt::Display for BudgetError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = if self.path.is_empty() { "" } else { " " };
        write!(
            out,
            "{}{between}requested {}: `{}` has {} of its {}",
            self.path,
            Bytes(self.requested),
            self.node,
            Bytes(self.used),
            Bytes(self.limit)
        )?;
        for (number, (child, bytes)) in self.largest.iter().enumerate() {
            let before = if number == 0 { "; the most have " } else { ", " };
            write!(out, "{before}`{child}` {}", Bytes(*bytes))?;
        }
        out.write_str("; free or spill some, or raise the limit")
    }
}

impl core::error::Error for BudgetError {}
