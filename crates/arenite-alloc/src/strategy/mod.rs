//! Strategies: which allocator a request should go to, and how it should lie.
//!
//! Rests on what this machine says of itself: its caches, its nodes, its vector units and its pressure. [`AllocationStrategy`] answers the
//! questions; [`IntelligentAllocationStrategy`] routes requests by the answers; [`CacheOptimizedAllocator`] lays blocks out for caches.

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
