//! Memory from the operating system, behind safe functions, and facts about the machine.
//!
//! Only `os/` calls the operating system, through `rustix` and `libc`.
//!
//! - Reserve addresses, commit memory, protect and query it: [`Region`], [`RegionOptions`],
//!   [`Protection`], [`RegionInfo`], [`regions`], [`stats`].
//! - Populate memory before its use, with many threads: [`Region::prefetch`], [`Prefetch`].
//! - Offer memory to the kernel, and reclaim it OS page by OS page: [`Region::offer`],
//!   [`Reclaimed`].
//! - Move memory without a copy; find the OS pages written since: [`Region::remap`],
//!   [`WriteWatch`].
//! - Allocate blocks of OS pages; use the largest OS pages: [`PageAllocator`], [`large_alloc`],
//!   [`HugePageUsage`].
//! - NUMA: set the policy, query the nodes, migrate: [`NumaAllocator`], [`numa_alloc`],
//!   [`numa_distribution`], [`migrate_range`].
//! - Map files that survive a crash and a truncation: [`map_file`], [`MappedArray`],
//!   [`MemoryMappedAllocator`].
//! - Queues with contiguous slices, between threads or processes: [`ring_buffer`], [`RingFile`].
//! - Prefetch cache lines: [`prefetch_write`], [`prefetch_read_line`].
//! - Wait for memory pressure: [`PressureTrigger`].
//! - Parts of an allocator (a fork-safe mutex, fork handlers, thread exit): [`ForkSafeMutex`],
//!   [`at_fork`], [`ThreadExitHook`].
//! - All of the above by address, for scripts and other languages: [`memory`].
//! - Hardware facts and limits of this process: [`machine`].
//!
//! Linux is the first platform; a facility that a kernel lacks returns a typed error. Each
//! facility has an example of under 80 lines in this crate's `examples/`.

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
pub use util::stderr::{MessageBuffer, write_stderr_raw};
#[cfg(shuttle)]
pub use util::yield_point::yield_point;
