//! Blocks on NUMA nodes and on large OS pages, by address.

use super::MemoryError;
use super::table::{Address, Entry, insert, remove};

/// Allocates `size` zeroed bytes bound to a node.
///
/// # Errors
/// [`MemoryError::Numa`] if there is no such node, or no memory there.
pub fn numa_alloc(size: usize, node: usize) -> Result<Address, MemoryError> {
    let block = crate::numa_alloc(size, node)?;
    let addr = block.as_ptr().addr();
    Ok(insert(addr, Entry::Numa(block)))
}

/// Frees the block that begins at `addr`.
///
/// # Errors
/// [`MemoryError::Region`] if none begins there.
pub fn numa_free(addr: usize) -> Result<(), MemoryError> {
    remove(addr, |entry| matches!(entry, Entry::Numa(_))).map(drop)
}

/// Returns the node of the OS page at `addr`, or `None` if it is not in memory.
///
/// # Errors
/// [`MemoryError::Numa`] if the kernel does not report it.
pub fn numa_node(addr: usize) -> Result<Option<usize>, MemoryError> {
    Ok(crate::numa_node(core::ptr::without_provenance(addr))?)
}

/// Allocates `size` zeroed bytes on the largest OS pages available.
///
/// # Errors
/// [`MemoryError::Region`] if the size is invalid, or there is no memory.
pub fn large_alloc(size: usize) -> Result<Address, MemoryError> {
    let block = crate::large_alloc(size)?;
    let addr = block.as_ptr().addr();
    Ok(insert(addr, Entry::Large(block)))
}

/// Frees the large block that begins at `addr`.
///
/// # Errors
/// [`MemoryError::Region`] if none begins there.
pub fn large_free(addr: usize) -> Result<(), MemoryError> {
    remove(addr, |entry| matches!(entry, Entry::Large(_))).map(drop)
}
