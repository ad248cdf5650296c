//! Memory blocks: allocators for every pattern of use, with one trait for all of them.
//!
//! The bytes come from `arenite-pages`; `allocator-api2` provides the containers.

mod adaptor;
mod arena;
mod budget;
mod checked;
mod containers;
mod context;
mod global;
mod heap;
mod pool;
mod spill;
mod strategy;
mod stratified;
mod tlsf;
mod util;

pub use adaptor::{Aligned, Failing, Fallback, Limit, LoggingAllocator, Traced};
pub use arena::{
    Arena, ArenaAllocator, ArenaBox, ArenaOptions, ArenaScope, BumpRange, Chunk, ChunkSource, Chunked,
    HugePages, Mark, ReservedRange, RestoreError, ScopeGuard, SharedArena, SharedChunkedArena,
};
pub use budget::{Budget, BudgetError, BudgetStats, Budgeted, Reservation};
pub use checked::{Checked, Locked, SystemAllocator, ThreadSafeAllocator};
pub use containers::{LocalHandle, SharedHandle};
pub use context::{AnalyticsContext, AnalyticsContextBuilder, ContextSlice, ContextStats, TypeStats};
pub use global::{AllocCounts, CountedGlobal, Global, RecycleGuard, StatsAllocator};
pub use heap::{Caller, ClassStats, Hardening, Heap, HeapStats, Misuse, MisuseReport, SizeClasses};
pub use pool::{BinnedPools, Pool, PoolAllocator, SharedPool};
pub use spill::{Spill, SpillBuffer, SpillError, SpillRead, SpillStats, SpillWrite};
pub use strategy::{
    AllocationStrategy, CacheAwareStrategy, CacheLineAligned, CacheOptimizedAllocator, ControlBlock,
    IntelligentAllocationStrategy, NumaAwareStrategy, SpecializedAllocator, TelemetryBuffer,
};
pub use stratified::{
    AtomicPoolStats, LocalStratifiedPool, SizeBucket, StratifiedBuffer, StratifiedMemoryPool,
    StratifiedPoolStats,
};
pub use tlsf::{BoundedHeap, GpuUnsupported, MemoryPool, PoolPtr, SharedMemoryPool};
