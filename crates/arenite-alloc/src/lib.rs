//! Blocks: allocators for every pattern of use, one trait over them all.
//!
//! Rests on `arenite-pages` for its bytes and on `allocator-api2` for the containers that live in its blocks.

mod adaptor;
mod arena;
mod checked;
mod containers;
mod fibonacci;
mod fit;
mod front;
mod global;
mod heap;
#[cfg(shuttle)]
mod interleaved;
mod pool;
mod sync;
mod tally;

pub use adaptor::{Aligned, Failing, Fallback, Limit, LoggingAllocator, Traced};
pub use arena::{
    Arena, ArenaAllocator, ArenaBox, ArenaOptions, ArenaScope, Chunk, Chunked, HugePages, Mark, Reserved,
    RestoreError, ScopeGuard, SharedArena, SharedChunkedArena, Span, Store,
};
pub use checked::{Checked, Locked, System, SystemAllocator, ThreadSafeAllocator};
pub use containers::{LocalHandle, SharedHandle};
pub use fit::BoundedHeap;
pub use front::{Front, FrontCounts, Recycling};
pub use global::Global;
pub use heap::{Caller, ClassStats, Hardening, Heap, HeapStats, Misuse, MisuseReport, SizeClasses};
pub use pool::{Pool, PoolAllocator, SharedPool, SizedPools};
