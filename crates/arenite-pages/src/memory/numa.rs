//! Blocks on nodes and on large pages, by address.
//!
//! Rests on the table and on [`crate::numa_alloc`], [`crate::large_alloc`].

use super::MemoryError;
use super::table::{Address, Entry, Table, insert, invalid_pointer, table};
use crate::error::RegionOp;

/// `size` zeroed bytes bound to a node.
///
/// # Errors
/// [`MemoryError::Numa`] if there is no such node, or no memory there.
pub fn numa_alloc(size: usize, node: usize) -> Result<Address, MemoryError> {
    let block = crate::numa_alloc(size, node)?;
    let addr = block.as_ptr().addr();
    Ok(insert(addr, Entry::Numa(block)))
}

/// Gives the block that begins at `addr` back.
///
/// # Errors
/// [`MemoryError::Page`] if none begins there.
pub fn numa_free(addr: usize) -> Result<(), MemoryError> {
    remove(addr, |entry| matches!(entry, Entry::Numa(_)))
}

/// The node on which the OS page at `addr` lies; `None` where it is in no memory.
///
/// # Errors
/// [`MemoryError::Numa`] where the kernel does not tell.
pub fn numa_node(addr: usize) -> Result<Option<usize>, MemoryError> {
    Ok(crate::numa_node(core::ptr::without_provenance(addr))?)
}

/// `size` zeroed bytes on the largest pages that can be had.
///
/// # Errors
/// [`MemoryError::Page`] if the size cannot be, or there is no memory.
pub fn large_alloc(size: usize) -> Result<Address, MemoryError> {
    let block = crate::large_alloc(size)?;
    let addr = block.as_ptr().addr();
    Ok(insert(addr, Entry::Large(block)))
}

/// Gives the large block that begins at `addr` back.
///
/// # Errors
/// [`MemoryError::Page`] if none begins there.
pub fn large_free(addr: usize) -> Result<(), MemoryError> {
    remove(addr, |entry| matches!(entry, Entry::Large(_)))
}

fn remove(addr: usize, is: impl Fn(&Entry) -> bool) -> Result<(), MemoryError> {
    let mut table = table();
    let table: &mut Table = &mut table;
    if !table.get(&addr).is_some_and(is) {
        return Err(invalid_pointer(RegionOp::Release, addr, 0));
    }
    drop(table.remove(&addr));
    Ok(())
}
