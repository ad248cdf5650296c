//! A context that has its buffers before it asks for them.
//!
//! Rests on [`AnalyticsContext`].

use super::AnalyticsContext;
use super::analytics_context::global_pool;
use crate::stratified::StratifiedMemoryPool;
use arenite_core::{AllocError, Label};

/// What a context will need.
///
/// ```
/// use arenite_alloc::AnalyticsContextBuilder;
/// let (num_nodes, num_edges) = (1000, 5000);
/// let context = AnalyticsContextBuilder::new("pagerank")
///     .with_expected_allocations(5)
///     .with_preallocation(num_nodes * 4) // ranks
///     .with_preallocation(num_nodes * 4) // the ranks before
///     .with_preallocation(num_edges * 8) // weights
///     .build()?;
/// assert_eq!(context.preallocated_bytes(), 48_000);
/// let ranks = context.allocate_typed::<f32>(num_nodes)?; // one of the first two
/// assert_eq!((context.preallocated_bytes(), ranks.len()), (44_000, num_nodes));
/// # Ok::<(), arenite_core::AllocError>(())
/// ```
#[derive(Debug)]
#[must_use = "builds nothing before `build`"]
pub struct AnalyticsContextBuilder<'p> {
    pool: Option<&'p StratifiedMemoryPool>,
    label: Label,
    expected: usize,
    sizes: Vec<usize>,
}

impl<'p> AnalyticsContextBuilder<'p> {
    /// A context of that name.
    pub fn new(name: impl Into<Label>) -> Self {
        Self { pool: None, label: name.into(), expected: 0, sizes: Vec::new() }
    }

    /// The same over a pool, and not that of the program.
    pub const fn with_pool(mut self, pool: &'p StratifiedMemoryPool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// How many buffers it will ask for: room for their list is made at once.
    pub const fn with_expected_allocations(mut self, count: usize) -> Self {
        self.expected = count;
        self
    }

    /// A buffer of `size` bytes is taken at once; the next request for that many bytes gets it.
    pub fn with_preallocation(mut self, size: usize) -> Self {
        self.sizes.push(size);
        self
    }

    /// Makes the context and takes its buffers.
    ///
    /// # Errors
    /// What the pool refuses; nothing is kept then.
    pub fn build(self) -> Result<AnalyticsContext<'p>, AllocError> {
        let context = AnalyticsContext::with_pool(self.label, self.pool.unwrap_or_else(|| global_pool()));
        context.reserve_for(self.expected, self.sizes.len());
        for size in self.sizes {
            context.prepare(size)?;
        }
        Ok(context)
    }
}
