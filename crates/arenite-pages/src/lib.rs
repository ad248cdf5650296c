//! Bytes from the operating system: regions of address space, the memory behind them, and what the machine offers.
//!
//! Rests on `arenite-core` for its words and on `rustix` for the calls, which stand in `os/` alone. Everything above asks
//! this room and never the operating system.
//!
//! In the order in which bytes pass: a [`Region`] reserves addresses and commits memory; [`Pages`] maps whole blocks;
//! [`HugeReport`] tells which of it lies on huge pages; [`machine`] reads what there is to be had.

mod error;
mod faults;
mod file;
mod huge;
mod large_block;
pub mod machine;
mod maps;
pub mod memory;
mod numa;
mod os;
mod pages;
mod pressure_trigger;
mod region;
mod ring;
mod scalar;
mod sync;

pub use error::{PageCall, PageCause, PageError};
pub use faults::{Faults, thread_faults};
pub use file::{
    ArrayOrder, FileError, MapMode, MappedArray, MappedFile, MemoryMappedAllocator, flush_file, map_file,
    unmap_file,
};
pub use huge::{HUGE_PAGE, HugeReport};
pub use large_block::{LargeBlock, LargeKind, large_alloc};
pub use numa::{
    NumaAllocator, NumaBlock, NumaDistribution, NumaError, NumaPolicy, bind_range, current_numa_node,
    migrate_range, numa_alloc, numa_distribution, numa_free, numa_node, numa_node_count,
};
pub use pages::Pages;
pub use pressure_trigger::{PressureError, PressureTrigger, StallKind};
pub use region::{
    Offer, PageState, Prefetch, Protection, ProtectionError, Reclaimed, Region, RegionEntry, RegionInfo,
    RegionOptions, RegionStats, WriteWatch, page_size, regions, stats,
};
pub use ring::{Consumer, Producer, Reserved, RingError, RingFile, WaitError, ring_buffer};
pub use scalar::{Scalar, ScalarType, ScalarTypeError, Scalars};
