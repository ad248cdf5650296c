//! Memory by address: calls for scripts, debuggers and other languages, which have numbers instead
//! of values.
//!
//! One table lists everything that these calls made, and every address is looked up in it. An
//! unknown address, a released one, and bytes that are not committed are errors, so every call
//! here is safe. Reservations of other parts of the program are not accessible. Each call takes
//! one lock; reads and writes go through the kernel.
//!
//! ```
//! use arenite_pages::memory;
//! let region = memory::reserve(1_048_576, "buffer")?; // 1 MB of addresses
//! memory::commit(region.addr, 65_536)?;
//! memory::poke(region.addr, &[72, 101, 108])?;
//! assert_eq!(memory::peek(region.addr, 3)?, [72, 101, 108]);
//! memory::release(region.addr)?;
//! assert!(memory::release(region.addr).is_err()); // once
//! # Ok::<(), memory::MemoryError>(())
//! ```

mod advice;
mod error;
mod files;
mod numa;
mod regions;
mod rings;
mod table;

pub use crate::machine::numa_info;
pub use crate::region::{regions, stats};
pub use advice::{discard, lock, offer, prefetch, reclaim, unlock, write_watch, written};
pub use error::MemoryError;
pub use files::{flush_file, map_file, unmap_file};
pub use numa::{large_alloc, large_free, numa_alloc, numa_free, numa_node};
pub use regions::{commit, decommit, peek, poke, protect, query, release, reserve, typed_peek, typed_poke};
pub use rings::{Ring, ring_buffer, ring_buffer_free, ring_read, ring_write};
pub use table::Address;
