//! Memory allocators for numerical and AI programs: arenas, pools, heaps and typed arrays, with
//! the numbers that show what each allocation costs.
//!
//! This crate re-exports the library crates of arenite; depend on it alone. The default build
//! needs no C library and no device. Every arenite type in the examples comes from [`prelude`].
//!
//! # Which allocator?
//!
//! - Everything is freed at the end of a step, request or frame: [`Arena`](alloc::Arena), or
//!   [`SharedArena`](alloc::SharedArena) between threads.
//! - Many blocks of one size: [`Pool`](alloc::Pool), or [`SharedPool`](alloc::SharedPool) between
//!   threads.
//! - Any size in any order: [`Heap`](alloc::Heap), also as the global allocator.
//! - Buffers of a few sizes, used again and again:
//!   [`StratifiedMemoryPool`](alloc::StratifiedMemoryPool).
//! - A limit, events or injected failures for another allocator: the adaptors
//!   [`Limit`](alloc::Limit), [`Traced`](alloc::Traced) and [`Failing`](alloc::Failing).
//! - A byte budget shared by several components: [`Budget`](alloc::Budget).
//! - More buffers than memory: [`Spill`](alloc::Spill) moves idle buffers to disk.
//!
//! # Arenas
//!
//! An arena frees everything at once. Take a mark at the start of a step and restore it at the
//! end: the next step reuses the same memory and causes no page faults.
//!
//! ```
//! use arenite::prelude::*;
//! let arena = Arena::new(); // reserves addresses; commits memory as it grows
//! let weights = Array::<f32>::with_allocator(&arena).ones([64, 64])?;
//! for _step in 0..3 {
//!     let mark = arena.mark()?;
//!     let activations = weights.matmul(&weights)?; // allocated from the same arena
//!     assert_eq!(activations[[0, 0]], 64.0);
//!     drop(activations); // `restore` fails while a block above the mark is alive
//!     arena.restore(mark)?;
//! }
//! assert_eq!(arena.in_use(), weights.memory_usage());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Scopes are marks that the compiler checks. A value allocated inside a scope cannot leave it.
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
//! # Pools
//!
//! A pool allocates blocks of one size in O(1) and accepts them back in any order. It detects
//! double frees and pointers that are not its own.
//!
//! ```
//! use arenite::prelude::*;
//! let pool = Pool::new(1024, 100)?;
//! let block = pool.allocate_block()?;
//! pool.deallocate_block(block)?;
//! let error = pool.deallocate_block(block).unwrap_err();
//! assert_eq!(error.kind, AllocErrorKind::DoubleFree);
//! # Ok::<(), AllocError>(())
//! ```
//!
//! # Containers
//!
//! Containers live in any allocator, on stable Rust, through the crate `allocator-api2` 0.2.
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
//! # Adaptors
//!
//! Adaptors wrap any allocator: [`Limit`](alloc::Limit), [`Traced`](alloc::Traced),
//! [`Fallback`](alloc::Fallback), [`Aligned`](alloc::Aligned), [`Failing`](alloc::Failing),
//! [`Checked`](alloc::Checked). An error names the allocator, the request, and what to do.
//!
//! ```
//! use arenite::prelude::*;
//! let tracker = MemoryTracker::new();
//! let limited = Limit::new(Arena::new(), 1 << 20).with_label("cache");
//! let cache = Traced::new(limited, &tracker, "cache");
//! let rows = Array::<f64>::with_allocator(&cache).zeros([100, 100])?;
//! let error = Array::<f64>::with_allocator(&cache).zeros([1000, 1000]).unwrap_err().to_string();
//! assert!(error.contains("requested 7.6 MiB (align 64) from `cache`: limit reached"));
//! assert_eq!(tracker.current_usage(), rows.memory_usage());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Two APIs
//!
//! Every allocator has the **unchecked API** ([`Resource`](core::Resource)): deallocation is
//! `unsafe` and costs no checks. Arrays, containers and [`Block`](core::Block) use it for you.
//!
//! The **checked API** ([`MemoryAllocator`](core::MemoryAllocator)) takes plain pointers and
//! checks each of them. Allocators with this API can be chosen at run time:
//!
//! ```
//! use arenite::prelude::*;
//! type AnyAllocator = Box<dyn MemoryAllocator<Error = AllocError>>;
//! fn choose(operation: &str, size: usize) -> Result<AnyAllocator, AllocError> {
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
//! # The crates
//!
//! - [`core`]: the shared traits and types, such as resources, errors, labels and events.
//! - [`pages`]: memory from the operating system, such as regions, files, NUMA and rings.
//! - [`alloc`]: the allocators and adaptors.
//! - [`tensor`]: arrays (feature `tensor`, on by default).
//! - [`observe`]: trackers, timelines and pressure monitors (feature `observe`, on by default).
//! - `device`: GPU devices (feature `device`).

pub use arenite_alloc as alloc;
pub use arenite_core as core;
#[cfg(feature = "device")]
pub use arenite_device as device;
#[cfg(feature = "observe")]
pub use arenite_observe as observe;
pub use arenite_pages as pages;
#[cfg(feature = "tensor")]
pub use arenite_tensor as tensor;

/// The types that most programs use.
pub mod prelude {
    pub use arenite_alloc::{
        Aligned, AllocationStrategy, AnalyticsContext, AnalyticsContextBuilder, Arena, ArenaAllocator,
        ArenaBox, ArenaOptions, ArenaScope, BinnedPools, Budget, Budgeted, CacheAwareStrategy,
        CacheOptimizedAllocator, Checked, CountedGlobal, Fallback, Global, Heap, HugePages,
        IntelligentAllocationStrategy, Limit, LocalHandle, LocalStratifiedPool, Mark, MemoryPool,
        NumaAwareStrategy, Pool, PoolAllocator, PoolPtr, RestoreError, SharedArena, SharedChunkedArena,
        SharedHandle, SharedMemoryPool, SharedPool, SizeBucket, SpecializedAllocator, Spill,
        StratifiedBuffer, StratifiedMemoryPool, StratifiedPoolStats, SystemAllocator, ThreadSafeAllocator,
        Traced,
    };
    pub use arenite_core::{
        Alignment, AllocError, AllocErrorKind, Block, Bytes, Label, MemoryAllocator, MemoryPressure,
        PressureLevel, Resource, ResourceState, Sink, Trim, layout,
    };
    #[cfg(feature = "observe")]
    pub use arenite_observe::{MemoryMonitor, MemoryTracker, PressureHandler, PressureReaction, Timeline};
    pub use arenite_pages::{
        MapMode, MappedArray, MemoryMappedAllocator, NumaAllocator, NumaPolicy, PageAllocator, Region,
        ring_buffer,
    };
    #[cfg(feature = "tensor")]
    pub use arenite_tensor::{Array, ArrayError, ArrayView, ArrayViewMut};
}

/// The examples of the README, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The examples of the guide to the allocators, run as tests.
#[cfg(all(doctest, feature = "tensor"))]
#[doc = include_str!("../../../docs/choosing.md")]
struct Choosing;

/// The examples of the guide to observability, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/observability.md")]
struct Observability;
