//! The error of a charge that exceeds a limit.

use arenite_core::{Bytes, Label};
use core::fmt;

/// The node whose limit was reached, and its largest children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetError {
    /// The node whose limit would be exceeded.
    pub node: Label,
    /// Names from the root to the node that requested the bytes. Empty if there was no memory for
    /// it.
    pub path: String,
    /// Bytes requested.
    pub requested: usize,
    /// Bytes that the exhausted node has in use.
    pub used: usize,
    /// Limit of the exhausted node, in bytes.
    pub limit: usize,
    /// At most five of its largest children, the largest first. Empty if there was no memory for
    /// them.
    pub largest: Vec<(Label, usize)>,
}

impl fmt::Display for BudgetError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "requested {}", Bytes(self.requested))?;
        if !self.path.is_empty() {
            write!(out, " from `{}`", self.path)?;
        }
        write!(out, ": `{}` has {} of {} in use", self.node, Bytes(self.used), Bytes(self.limit))?;
        for (number, (child, bytes)) in self.largest.iter().enumerate() {
            let before = if number == 0 { "; largest: " } else { ", " };
            write!(out, "{before}`{child}` {}", Bytes(*bytes))?;
        }
        out.write_str("; free or spill some, or raise the limit")
    }
}

impl core::error::Error for BudgetError {}
