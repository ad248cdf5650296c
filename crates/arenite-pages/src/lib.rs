//! Bytes from the operating system: everything that it can do with memory, safely, and what the machine offers.
//!
//! Rests on `arenite-core` for its words and on `rustix` and `libc` for the calls, which stand in `os/` alone. Everything
//! above asks this room and never the operating system.
//!
//! | you want | take |
//! |---|---|
//! | addresses now and memory later; access rights; guards; a look at what is there | [`Region`], [`RegionOptions`], [`Protection`], [`RegionInfo`], [`regions`], [`stats`] |
//! | memory found before it is used, by many threads | [`Region::prefetch`], [`Prefetch`] |
//! | memory lent to the kernel and taken back, page by page known to be kept or lost | [`Region::offer`], [`Reclaimed`] |
//! | memory moved without a copy; what was written since | [`Region::remap`], [`WriteWatch`] |
//! | whole blocks; the largest pages that can be had | [`PageAllocator`], [`large_alloc`], [`HugePageUsage`] |
//! | NUMA: place, verify, move | [`NumaAllocator`], [`numa_alloc`], [`numa_distribution`], [`migrate_range`] |
//! | files as memory that outlive a crash and a truncation | [`map_file`], [`MappedArray`], [`MemoryMappedAllocator`] |
//! | queues whose slices never split, between threads or processes | [`ring_buffer`], [`RingFile`] |
//! | cache lines that will be used, asked for before they are | [`prefetch_write`], [`prefetch_read_line`] |
//! | a wait for memory pressure | [`PressureTrigger`] |
//! | what an allocator needs of the system besides: a lock that `fork` respects, the end of a thread | [`ForkSafeMutex`], [`at_fork`], [`ThreadExitHook`] |
//! | all of it by address, for scripts and other languages | [`memory`] |
//! | what this machine has and what binds this process | [`machine`] |
//!
//! Linux is the first platform; what a kernel lacks is a typed error that says so. Each facility has an example of under 80
//! lines in this crate's `examples/`.

mod cache_lines;
mod child;
mod error;
mod file;
mod fork_handlers;
mod huge_pages;
mod large_block;
pub mod machine;
pub mod memory;
mod numa;
mod os;
mod page_allocator;
mod page_faults;
mod pressure_trigger;
mod region;
mod ring;
mod scalar;
mod util;

pub use cache_lines::{prefetch_read_line, prefetch_write};
pub use child::wait_with_usage;
pub use error::{RegionError, RegionErrorKind, RegionOp};
pub use file::{
    FileError, MapMode, MappedArray, MappedFile, MemoryMappedAllocator, MemoryOrder, flush_file, map_file,
    unmap_file,
};
pub use fork_handlers::{ForkHandlers, at_fork};
pub use huge_pages::{HUGE_PAGE, HugePageUsage};
pub use large_block::{LargeBlock, LargeKind, large_alloc};
pub use numa::{
    NumaAllocator, NumaBlock, NumaDistribution, NumaError, NumaPolicy, bind_range, current_numa_node,
    migrate_range, numa_alloc, numa_distribution, numa_free, numa_node, numa_node_count,
};
pub use os::{ResourceUsage, ThreadExitHook};
pub use page_allocator::PageAllocator;
pub use page_faults::{PageFaults, thread_page_faults};
pub use pressure_trigger::{CgroupV1Level, PressureError, PressureTrigger, StallKind};
pub use region::{
    Offer, PageStatus, Prefetch, Protection, ProtectionError, Reclaimed, Region, RegionEntry, RegionInfo,
    RegionOptions, RegionStats, WriteWatch, page_size, regions, resident_bytes, stats,
};
pub use ring::{Consumer, Producer, RingCache, RingError, RingFile, WaitError, WriteSlots, ring_buffer};
pub use scalar::{Scalar, ScalarType, ScalarTypeError, ScalarVec};
pub use util::fork_safe_mutex::{ForkSafeMutex, ForkSafeMutexGuard};
pub use util::seed::random_seed;
pub use util::stderr::write_stderr_raw;
#[cfg(shuttle)]
pub use util::yield_point::yield_point;
