//! A strategy that follows the NUMA nodes of the machine. A machine with one node works as well.

use super::AllocationStrategy;
use arenite_pages::{NumaAllocator, NumaError, NumaPolicy, current_numa_node, numa_node_count, page_size};

/// A strategy that selects the node of memory.
///
/// ```
/// use arenite_alloc::NumaAwareStrategy;
/// use arenite_core::Block;
/// let strategy = NumaAwareStrategy::new().with_interleaving(false);
/// let strategy = strategy.with_local_node_preference(true);
/// println!("node {} of {}", strategy.current_numa_node(), strategy.numa_node_count());
/// let node_allocator = strategy.allocator_for_node(0)?;
/// let block = Block::zeroed_in(arenite_core::layout(1 << 20, 64)?, &node_allocator)?;
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
    /// Prefers memory of the node that the thread runs on.
    #[must_use]
    pub const fn new() -> Self {
        Self { local: true, interleaved: false }
    }

    /// Sets whether memory of the thread's own node is preferred; otherwise the system selects the
    /// node.
    #[must_use]
    pub const fn with_local_node_preference(mut self, enabled: bool) -> Self {
        self.local = enabled;
        self
    }

    /// Sets whether the OS pages of all nodes are used in turn, for data that all threads read.
    /// This precedes a preference.
    #[must_use]
    pub const fn with_interleaving(mut self, enabled: bool) -> Self {
        self.interleaved = enabled;
        self
    }

    /// Returns the number of nodes with memory.
    #[must_use]
    pub fn numa_node_count(&self) -> usize {
        numa_node_count()
    }

    /// Returns the node that the calling thread runs on now.
    #[must_use]
    pub fn current_numa_node(&self) -> usize {
        current_numa_node()
    }

    /// Returns an allocator of one node.
    ///
    /// # Errors
    /// [`NumaError`] if there is no such node.
    pub fn allocator_for_node(&self, node: usize) -> Result<NumaAllocator, NumaError> {
        NumaAllocator::new(NumaPolicy::Bind(node))
    }

    /// Returns an allocator that follows the strategy.
    ///
    /// # Errors
    /// [`NumaError`] if the system supports no placement.
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
    /// Returns whether `size` is at least 1 MiB: placement costs a mapping for each block.
    fn should_use_arena(&self, size: usize) -> bool {
        size >= 1 << 20
    }

    fn should_use_pool(&self, size: usize) -> bool {
        size < page_size()
    }

    /// Returns the size of an OS page, the unit of placement, in whole elements.
    fn preferred_block_size(&self, element_size: usize) -> usize {
        let element = element_size.max(1);
        (page_size() / element * element).max(element)
    }
}
