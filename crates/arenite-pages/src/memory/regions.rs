//! Regions by address: reserve, commit, protect, query, read, write, release.
//!
//! Ranges are extended to the OS pages that contain any of their bytes.
#![expect(unsafe_code, reason = "changes regions that only this module reaches")]

use super::MemoryError;
use super::table::{
    Address, Entry, OwnedRegion, find, insert, invalid_pointer, on_pages, os_pages, remove, table,
};
use crate::error::{RegionError, RegionOp};
use crate::{Protection, Region, RegionInfo, ScalarType, ScalarVec};

/// Reserves `size` bytes of address space with a label. Commits nothing.
///
/// # Errors
/// [`MemoryError::Region`] if the size is zero or overflows, or the process may map no more.
pub fn reserve(size: usize, label: &str) -> Result<Address, MemoryError> {
    let region = Region::reserve(size, label)?;
    let addr = region.as_ptr().addr().get();
    Ok(insert(addr, Entry::Region(OwnedRegion::new(region))))
}

/// Releases the region that begins at `addr`.
///
/// # Errors
/// [`MemoryError::Region`] if none begins there, as after a first release.
pub fn release(addr: usize) -> Result<(), MemoryError> {
    if let Entry::Region(owned) = remove(addr, |entry| matches!(entry, Entry::Region(_)))? {
        owned.region.release()?;
    }
    Ok(())
}

/// Commits `size` bytes at `addr` for reading and writing.
///
/// # Errors
/// [`MemoryError::Region`] if they lie in no region, or there is no memory.
pub fn commit(addr: usize, size: usize) -> Result<(), MemoryError> {
    on_pages(RegionOp::Commit, addr, size, |region, at, size| region.commit(at, size))
}

/// Drops the contents and the backing of `size` bytes at `addr`.
///
/// # Errors
/// [`MemoryError::Region`] if they lie in no region, or are offered.
pub fn decommit(addr: usize, size: usize) -> Result<(), MemoryError> {
    // SAFETY: only the calls of this module reach this region, and each checks the bytes before it
    // uses them.
    on_pages(RegionOp::Decommit, addr, size, |region, at, size| unsafe { region.decommit(at, size) })
}

/// Changes the protection of `size` committed bytes at `addr` to `none`, `read`, `read-write` or
/// `read-execute`.
///
/// # Errors
/// [`MemoryError::Protection`] for any other mode; [`MemoryError::Region`] if the bytes lie in no
/// region or are not committed.
pub fn protect(addr: usize, size: usize, mode: &str) -> Result<(), MemoryError> {
    let mode: Protection = mode.parse()?;
    // SAFETY: only the calls of this module reach this region, and each checks the bytes before it
    // uses them.
    on_pages(RegionOp::Protect, addr, size, |region, at, size| unsafe { region.protect(at, size, mode) })
}

/// Returns the range around `addr` with one state: base, size, state, protection, label, resident
/// bytes.
///
/// # Errors
/// [`MemoryError::Region`] if it lies in no region.
pub fn query(addr: usize) -> Result<RegionInfo, MemoryError> {
    let mut table = table();
    let (owned, _, _) = os_pages(&mut table, RegionOp::Query, addr, 1)?;
    let offset = addr - owned.region.as_ptr().addr().get();
    Ok(owned.region.query(offset)?)
}

/// Writes `bytes` at `addr`: to a region, a block on a node, a large block or a mapped file.
///
/// # Errors
/// [`MemoryError`] if the address is unknown, or a byte is not committed, is offered, or cannot be
/// written.
pub fn poke(addr: usize, bytes: &[u8]) -> Result<(), MemoryError> {
    let mut table = table();
    let (entry, at) = find(&mut table, RegionOp::Poke, addr, bytes.len())?;
    match entry {
        Entry::Region(owned) => {
            owned.check_not_offered(RegionOp::Poke, at, bytes.len())?;
            Ok(owned.region.poke(at, bytes)?)
        }
        Entry::Numa(block) => copy_into(block, addr, at, bytes),
        Entry::Large(block) => copy_into(block, addr, at, bytes),
        Entry::File(file) => Ok(file.write(at, bytes)?),
    }
}

fn copy_into(block: &mut [u8], addr: usize, at: usize, bytes: &[u8]) -> Result<(), MemoryError> {
    let end = at.checked_add(bytes.len());
    let to = end
        .and_then(|end| block.get_mut(at..end))
        .ok_or_else(|| invalid_pointer(RegionOp::Poke, addr, bytes.len()))?;
    to.copy_from_slice(bytes);
    Ok(())
}

/// Reads `count` bytes at `addr`.
///
/// # Errors
/// As [`poke`].
pub fn peek(addr: usize, count: usize) -> Result<Vec<u8>, MemoryError> {
    let mut table = table();
    let (entry, at) = find(&mut table, RegionOp::Peek, addr, count)?;
    let within = |block: &[u8]| {
        let from = at.checked_add(count).and_then(|end| block.get(at..end));
        from.map(<[u8]>::to_vec).ok_or_else(|| invalid_pointer(RegionOp::Peek, addr, count))
    };
    match entry {
        Entry::Region(owned) => {
            owned.check_not_offered(RegionOp::Peek, at, count)?;
            Ok(owned.region.peek(at, count)?)
        }
        Entry::Numa(block) => within(block),
        Entry::Large(block) => within(block),
        Entry::File(file) => Ok(file.read(at, count)?),
    }
}

/// Writes scalars at `addr`, which need not be aligned.
///
/// ```
/// use arenite_pages::{ScalarVec, memory};
/// let region = memory::reserve(4096, "numbers")?;
/// memory::commit(region.addr, 4096)?;
/// let numbers = ScalarVec::Float32(vec![3.14, 2.71, 1.41]);
/// memory::typed_poke(region.addr, &numbers)?;
/// assert_eq!(memory::typed_peek(region.addr, "float32", 3)?, numbers);
/// memory::release(region.addr)?;
/// # Ok::<(), memory::MemoryError>(())
/// ```
///
/// # Errors
/// As [`poke`].
pub fn typed_poke(addr: usize, numbers: &ScalarVec) -> Result<(), MemoryError> {
    poke(addr, numbers.as_bytes())
}

/// Reads `count` scalars of a type at `addr`: `float32`, `float64`, `int32`, `int64`, `uint32` and
/// the others of [`ScalarType`].
///
/// # Errors
/// As [`poke`]; [`MemoryError::ScalarType`] for any other name.
pub fn typed_peek(addr: usize, of: &str, count: usize) -> Result<ScalarVec, MemoryError> {
    let of: ScalarType = of.parse()?;
    let bytes = peek(addr, count.saturating_mul(of.size()))?;
    let mut numbers =
        ScalarVec::zeroed(of, count).ok_or(RegionError::no_memory(RegionOp::Peek, bytes.len()))?;
    numbers.as_bytes_mut().copy_from_slice(&bytes);
    Ok(numbers)
}
