//! The state of a resource: the bytes in use, held, and still available.
//!
//! The state belongs to the trait `Resource`, so every out-of-memory error names the same numbers.

use crate::Bytes;
use core::fmt;

/// The counters of a resource. All sizes in bytes.
///
/// `in_use` and `held` are different numbers. `in_use` counts live blocks, including alignment
/// padding. `held` counts memory acquired from the upstream and not yet released.
///
/// ```
/// use arenite_core::ResourceState;
/// let state = ResourceState { in_use: 100, held: 4096, ..ResourceState::default() };
/// assert!(state.to_string().starts_with("in use 100 B, held 4 KiB"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceState {
    /// Bytes in live blocks.
    pub in_use: usize,
    /// Bytes acquired from upstream and not yet released; never below `in_use`.
    pub held: usize,
    /// The largest `in_use` so far.
    pub peak: usize,
    /// The number of live blocks.
    pub live_blocks: usize,
    /// The largest block that can be allocated without the upstream, or `None` if unknown.
    pub largest_free: Option<usize>,
    /// The largest `in_use` that this resource allows, or `None` if only the upstream limits it.
    pub limit: Option<usize>,
}

impl ResourceState {
    /// The state of a resource that allocated nothing.
    pub(crate) const EMPTY: Self =
        Self { in_use: 0, held: 0, peak: 0, live_blocks: 0, largest_free: None, limit: None };
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
