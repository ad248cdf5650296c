//! A builder of contexts that allocates buffers in advance.

use super::AnalyticsContext;
use super::analytics_context::global_pool;
use crate::stratified::StratifiedMemoryPool;
use arenite_core::{AllocError, Label};

/// The expected allocations of a context.
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
    /// Starts a context with a label.
    pub fn new(name: impl Into<Label>) -> Self {
        Self { pool: None, label: name.into(), expected: 0, sizes: Vec::new() }
    }

    /// Uses `pool` instead of the program's pool.
    pub const fn with_pool(mut self, pool: &'p StratifiedMemoryPool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Sets the number of expected allocations; their list is allocated in advance.
    pub const fn with_expected_allocations(mut self, count: usize) -> Self {
        self.expected = count;
        self
    }

    /// Allocates a buffer of `size` bytes in advance, for the next request of that size.
    pub fn with_preallocation(mut self, size: usize) -> Self {
        self.sizes.push(size);
        self
    }

    /// Makes the context and allocates its buffers.
    ///
    /// # Errors
    /// The pool's error; all buffers are freed then.
    pub fn build(self) -> Result<AnalyticsContext<'p>, AllocError> {
        let context = AnalyticsContext::with_pool(self.label, self.pool.unwrap_or_else(|| global_pool()));
        context.reserve_for(self.expected, self.sizes.len());
        for size in self.sizes {
            context.prepare(size)?;
        }
        Ok(context)
    }
}
