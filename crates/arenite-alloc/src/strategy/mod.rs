//! Strategies: which allocator serves a request, and how its block is laid out.
//!
//! - `allocation_strategy`: [`AllocationStrategy`], the interface.
//! - `cache_aware`, `numa_aware`: strategies for the machine's caches and nodes.
//! - `intelligent`: [`IntelligentAllocationStrategy`], an allocator that routes requests by size.
//! - `cache_optimized`: [`CacheOptimizedAllocator`], blocks that are laid out for caches.
//! - `specialized`: [`SpecializedAllocator`], blocks for values of a type.
//! - `cache_line`, `control_block`, `telemetry`: values on their own cache lines.

mod allocation_strategy;
mod cache_aware;
mod cache_line;
mod cache_optimized;
mod control_block;
mod intelligent;
mod numa_aware;
mod specialized;
mod telemetry;

pub use allocation_strategy::AllocationStrategy;
pub use cache_aware::CacheAwareStrategy;
pub use cache_line::CacheLineAligned;
pub use cache_optimized::CacheOptimizedAllocator;
pub use control_block::ControlBlock;
pub use intelligent::IntelligentAllocationStrategy;
pub use numa_aware::NumaAwareStrategy;
pub use specialized::SpecializedAllocator;
pub use telemetry::TelemetryBuffer;
