//! Memory for numerical and AI programs: arenas with safe marks, pools with all checks on, arrays in any of them, and the
//! numbers that say what each cost.
//!
//! This crate re-exports the rooms; depend on it alone. The default build needs no C library and no device.
//!
//! # A tour
//!
//! **An arena** frees everything at once. A step of a simulation, a request, a training step: allocate freely, go back to a
//! mark, and the next step touches no fresh page.
//!
//! ```
//! use arenite::prelude::*;
//! let arena = Arena::new(); // reserves addresses; commits memory as it grows
//! let weights = Array::<f32>::with_allocator(&arena).ones([64, 64])?;
//! for _step in 0..3 {
//!     let mark = arena.mark()?;
//!     let activations = weights.matmul(&weights)?; // lies in the same arena
//!     assert_eq!(activations[[0, 0]], 64.0);
//!     drop(activations); // counted: `restore` refuses while a block above the mark is alive
//!     arena.restore(mark)?;
//! }
//! assert_eq!(arena.in_use(), weights.memory_usage());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Scopes** do the same with the compiler's help: what was allocated outside stays usable, what is allocated inside cannot
//! leave.
//!
//! ```
//! use arenite::prelude::*;
//! let mut arena = Arena::new();
//! let longest = arena.scope(|scope| -> Result<usize, AllocError> {
//!     let names = scope.alloc_slice_copy(&["ab", "abc"])?;
//!     Ok(names.iter().map(|name| name.len()).max().unwrap_or(0))
//! })?;
//! assert_eq!((longest, arena.in_use()), (3, 0));
//! # Ok::<(), AllocError>(())
//! ```
//!
//! **A pool** lends equal blocks and takes them back in any order, checked.
//!
//! ```
//! use arenite::prelude::*;
//! let pool = Pool::new(1024, 100)?;
//! let block = pool.allocate_block()?;
//! pool.deallocate_block(block)?;
//! let refused = pool.deallocate_block(block).unwrap_err();
//! assert_eq!(refused.cause, AllocCause::NotLive);
//! # Ok::<(), AllocError>(())
//! ```
//!
//! **Containers** live in any of them, on stable Rust, through `allocator-api2` 0.2.
//!
//! ```
//! use allocator_api2::vec::Vec;
//! use arenite::prelude::*;
//! let arena = Arena::new();
//! let mut edges = Vec::new_in(&arena);
//! edges.extend([(0, 1), (1, 2)]);
//! let mut degree = hashbrown::HashMap::with_hasher_in(std::hash::RandomState::new(), &arena);
//! for (from, _) in &edges {
//!     *degree.entry(*from).or_insert(0) += 1;
//! }
//! assert_eq!(degree[&1], 1);
//! ```
//!
//! **Adaptors** wrap any resource: [`Limit`](alloc::Limit), [`Traced`](alloc::Traced), [`Fallback`](alloc::Fallback),
//! [`Aligned`](alloc::Aligned), [`Failing`](alloc::Failing), [`Checked`](alloc::Checked).
//!
//! ```
//! use arenite::prelude::*;
//! let tracker = MemoryTracker::new();
//! let cache = Traced::new(Limit::new(Arena::new(), 1 << 20).labelled("cache"), &tracker, "cache");
//! let rows = Array::<f64>::with_allocator(&cache).zeros([100, 100])?;
//! let error = Array::<f64>::with_allocator(&cache).zeros([1000, 1000]).unwrap_err();
//! assert!(error.to_string().contains("asked 7.6 MiB (align 64) of `cache`: limit reached"), "{error}");
//! assert_eq!(tracker.current_usage(), rows.memory_usage());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **The checked door** takes and gives plain pointers, for those who must, and can be chosen at run time.
//!
//! ```
//! use arenite::prelude::*;
//! fn choose(operation: &str, size: usize) -> Result<Box<dyn MemoryAllocator<Error = AllocError>>, AllocError> {
//!     Ok(match operation {
//!         "temporary" => Box::new(ArenaAllocator::new(size * 2)),
//!         "streaming" => Box::new(PoolAllocator::new(4096, 1000)?),
//!         _ => Box::new(SystemAllocator::new()),
//!     })
//! }
//! let allocator = choose("streaming", 0)?;
//! let block = allocator.allocate(4096, 64)?;
//! allocator.deallocate(block, 4096, 64)?;
//! # Ok::<(), AllocError>(())
//! ```
//!
//! # Rooms
//! [`core`] words · [`pages`] bytes from the operating system · [`alloc`] blocks · [`tensor`] arrays · [`observe`] what
//! happened · `device` (feature) what devices there are.

pub use arenite_alloc as alloc;
pub use arenite_core as core;
#[cfg(feature = "device")]
pub use arenite_device as device;
#[cfg(feature = "observe")]
pub use arenite_observe as observe;
pub use arenite_pages as pages;
#[cfg(feature = "tensor")]
pub use arenite_tensor as tensor;

/// What most programs use.
pub mod prelude {
    pub use arenite_alloc::{
        Aligned, AllocationStrategy, AnalyticsContext, AnalyticsContextBuilder, Arena, ArenaAllocator,
        ArenaBox, ArenaOptions, ArenaScope, Budget, Budgeted, CacheAwareStrategy, CacheOptimizedAllocator,
        Checked, Fallback, Global, Heap, HugePages, IntelligentAllocationStrategy, Limit, LocalHandle,
        LocalStratifiedPool, Mark, MemoryPool, NumaAwareStrategy, Pool, PoolAllocator, PoolPtr, RestoreError,
        SharedArena, SharedChunkedArena, SharedHandle, SharedMemoryPool, SharedPool, SizeBucket, SizedPools,
        SpecializedAllocator, Spill, StratifiedBuffer, StratifiedMemoryPool, StratifiedPoolStats, System,
        SystemAllocator, ThreadSafeAllocator, Traced,
    };
    pub use arenite_core::{
        Alignment, AllocCause, AllocError, Block, Bytes, Label, MemoryAllocator, MemoryPressure,
        PressureLevel, Resource, ResourceState, Sink, Trim,
    };
    #[cfg(feature = "observe")]
    pub use arenite_observe::{MemoryMonitor, MemoryTracker, PressureHandler, PressureReaction, Timeline};
    pub use arenite_pages::{
        MapMode, MappedArray, MemoryMappedAllocator, NumaAllocator, NumaPolicy, Pages, Region, ring_buffer,
    };
    #[cfg(feature = "tensor")]
    pub use arenite_tensor::{Array, ArrayError, ArrayView, ArrayViewMut};
}

/// The README's examples, run with the others.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
