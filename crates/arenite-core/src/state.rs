//! The state of a resource: what it has lent, what it holds, and what it could still lend.
//!
//! Rests on [`Bytes`](crate::Bytes) for its text. It stands in the `Resource` trait, so that every out-of-memory error of every resource
//! can name the same numbers.

use crate::Bytes;
use core::fmt;

/// What a resource knows of itself. All sizes in bytes.
///
/// `in_use` and `held` are different numbers: `in_use` counts what is lent and not yet given back (with the padding that
/// alignment costs), `held` counts what the resource took from its upstream and has not returned.
///
/// ```
/// use arenite_core::ResourceState;
/// let state = ResourceState { in_use: 100, held: 4096, ..ResourceState::default() };
/// assert!(state.to_string().starts_with("in use 100 B, held 4 KiB"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceState {
    /// Lent and not yet given back.
    pub in_use: usize,
    /// Taken from upstream and not yet returned; never below `in_use`.
    pub held: usize,
    /// The largest `in_use` so far.
    pub peak: usize,
    /// Blocks lent and not yet given back.
    pub live_blocks: usize,
    /// The largest block that could be lent without asking upstream; `None` where that cannot be known.
    pub largest_free: Option<usize>,
    /// The largest `in_use` that this resource allows; `None` where only upstream limits it.
    pub limit: Option<usize>,
}

impl fmt::Display for ResourceState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "in use {}, held {}, peak {}, ", Bytes(self.in_use), Bytes(self.held), Bytes(self.peak))?;
        write!(out, "live blocks {}, largest free ", self.live_blocks)?;
        match self.largest_free {
            Some(free) => write!(out, "{}", Bytes(free))?,
            None => out.write_str("unknown")?,
        }
        match self.limit {
            Some(limit) => write!(out, ", limit {}", Bytes(limit)),
            None => out.write_str(", no limit"),
        }
    }
}
