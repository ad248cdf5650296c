//! Files as memory.
//!
//! Rests on `os`. In the order of what they know: `mapping` an address; [`MappedFile`] the bytes of a file; `header` what
//! an array's file begins with; [`MappedArray`] numbers of one type and a shape in a file; [`MemoryMappedAllocator`]
//! blocks in a file.
//!
//! What somebody else does to a mapped file nobody can prevent; what of it this crate can notice it does. It locks the
//! file (`flock`), so that two mappings through this crate never write to one file. Safe reads and writes look at the
//! length that the file has now. A file that becomes shorter under a slice gives zeroes and a mark instead of death.

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
