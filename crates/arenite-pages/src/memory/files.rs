//! Mapped files by address.

use super::MemoryError;
use super::table::{Address, Entry, find, insert, remove, table};
use crate::MapMode;
use crate::error::RegionOp;
use std::path::Path;

/// Maps all of a file, for reading or for both; [`peek`](super::peek) and [`poke`](super::poke)
/// access it.
///
/// # Errors
/// [`MemoryError::File`] if it cannot be opened, locked or mapped.
pub fn map_file(path: impl AsRef<Path>, writable: bool) -> Result<Address, MemoryError> {
    let mode = if writable { MapMode::ReadWrite } else { MapMode::ReadOnly };
    let file = crate::map_file(path, mode)?;
    let addr = file.as_ptr().addr().get();
    Ok(insert(addr, Entry::File(file)))
}

/// Unmaps the file that begins at `addr`.
///
/// # Errors
/// [`MemoryError::Region`] if none begins there.
pub fn unmap_file(addr: usize) -> Result<(), MemoryError> {
    remove(addr, |entry| matches!(entry, Entry::File(_))).map(drop)
}

/// Writes the changes of the file at `addr` and waits for the device.
///
/// # Errors
/// [`MemoryError`] if there is none, it became shorter, or the device fails.
pub fn flush_file(addr: usize) -> Result<(), MemoryError> {
    let mut table = table();
    let (entry, _) = find(&mut table, RegionOp::Query, addr, 0)?;
    match entry {
        Entry::File(file) => Ok(file.flush()?),
        other => Err(MemoryError::Other { address: addr, what: other.description(), call: "be flushed" }),
    }
}
