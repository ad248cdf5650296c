//! Files mapped as memory.
//!
//! - `mapping`: a mapped address range.
//! - `locked_file`: a file and its lock.
//! - `mapped_file`: [`MappedFile`], the bytes of a file.
//! - `header`, `atomic_file`: the header of an array's file, and a file that appears complete.
//! - `mapped_array`: [`MappedArray`], scalars of one type and a shape.
//! - `mapped_allocator`, `vec_map`: [`MemoryMappedAllocator`], blocks in a file, and its tables.
//!
//! No program can prevent changes of a mapped file by other programs; this crate detects what it
//! can. A file lock (`flock`) prevents two mappings through this crate from writing to one file.
//! Safe reads and writes check the current length of the file. A file that is truncated under a
//! slice reads as zeroes and is marked, instead of killing the process.

mod atomic_file;
mod error;
mod header;
mod locked_file;
mod mapped_allocator;
mod mapped_array;
mod mapped_file;
mod mapping;
mod vec_map;

pub(crate) use atomic_file::{UnfinishedFile, allocate_part};
pub use error::FileError;
pub(crate) use locked_file::LockedFile;
pub use mapped_allocator::MemoryMappedAllocator;
pub use mapped_array::{MappedArray, MemoryOrder};
pub use mapped_file::{MapMode, MappedFile, flush_file, map_file, unmap_file};
pub(crate) use mapping::Mapping;
