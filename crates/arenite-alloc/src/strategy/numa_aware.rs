//! A strategy that knows the nodes.
//!
//! Rests on `arenite_pages`, which asks the kernel; on a machine of one node everything works and there is one.

use super::AllocationStrategy;
use arenite_pages::{NumaAllocator, NumaError, NumaPolicy, current_numa_node, numa_node_count, page_size};

/// Chooses the node that memory comes from.
///
/// ```
/// use arenite_alloc::NumaAwareStrategy;
/// use arenite_core::{AllocError, Block};
/// let strategy = NumaAwareStrategy::new().with_local_node_preference(true).with_interleaving(false);
/// println!("node {} of {}", strategy.current_numa_node(), strategy.numa_node_count());
/// let node_allocator = strategy.allocator_for_node(0)?;
/// let block = Block::zeroed_in(AllocError::layout(1 << 20, 64)?, &node_allocator)?;
/// # drop(block); Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumaAwareStrategy {
    local: bool,
    interleaved: bool,
}

impl Default for NumaAwareStrategy {
    fn default() -> Self {
        Self::new()
    }
}

impl NumaAwareStrategy {
    /// Memory of the node that the thread runs on.
    #[must_use]
    pub const fn new() -> Self {
        Self { local: true, interleaved: false }
    }

    /// The same with memory of the thread's own node, or of whichever the system chooses.
    #[must_use]
    pub const fn with_local_node_preference(mut self, enabled: bool) -> Self {
        self.local = enabled;
        self
    }

    /// The same with OS pages of all nodes in turn, for what all threads read; it goes before a preference.
    #[must_use]
    pub const fn with_interleaving(mut self, enabled: bool) -> Self {
        self.interleaved = enabled;
        self
    }

    /// How many nodes have memory.
    #[must_use]
    pub fn numa_node_count(&self) -> usize {
        numa_node_count()
    }

    /// The node that the calling thread runs on now.
    #[must_use]
    pub fn current_numa_node(&self) -> usize {
        current_numa_node()
    }

    /// Blocks of one node.
    ///
    /// # Errors
    /// [`NumaError`] where there is no such node.
    pub fn allocator_for_node(&self, node: usize) -> Result<NumaAllocator, NumaError> {
        NumaAllocator::new(NumaPolicy::Bind(node))
    }

    /// Blocks as the strategy would have them.
    ///
    /// # Errors
    /// [`NumaError`] where the system places nothing.
    pub fn allocator(&self) -> Result<NumaAllocator, NumaError> {
        NumaAllocator::new(if self.interleaved {
            NumaPolicy::Interleave
        } else if self.local {
            NumaPolicy::Local
        } else {
            NumaPolicy::Preferred(self.current_numa_node())
        })
    }
}

impl AllocationStrategy for NumaAwareStrategy {
    /// Placing costs a mapping of its own: worth it from a mebibyte on.
    fn should_use_arena(&self, size: usize) -> bool {
        size >= 1 << 20
    }

    fn should_use_pool(&self, size: usize) -> bool {
        size < page_size()
    }

    /// An OS page, the least that lies on a node, in whole elements.
    fn preferred_block_size(&self, element_size: usize) -> usize {
        let element = element_size.max(1);
        (page_size() / element * element).max(element)
    }
}
