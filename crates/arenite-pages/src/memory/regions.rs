//! Regions by address: reserve, commit, protect, query, read, write, release.
//!
//! Rests on the table. Ranges are widened to the whole OS pages that hold any of their bytes.
#![expect(unsafe_code, reason = "changes regions that nobody else can reach")]

use super::MemoryError;
use super::table::{At, Entry, Held, enter, find, foreign, pages, table};
use crate::error::{PageCall, PageCause, PageError};
use crate::{Protection, Region, RegionInfo, ScalarType, Scalars};

/// Reserves `size` bytes of address space under a label. Commits nothing.
///
/// # Errors
/// [`MemoryError::Page`] if the size is zero or overflows, or the process may map no more.
pub fn reserve(size: usize, label: &str) -> Result<At, MemoryError> {
    let region = Region::reserve(size, label)?;
    let addr = region.as_ptr().addr().get();
    Ok(enter(addr, Entry::Region(Held::new(region))))
}

/// Gives the region that begins at `addr` back.
///
/// # Errors
/// [`MemoryError::Page`] if none begins there, as after a first release.
pub fn release(addr: usize) -> Result<(), MemoryError> {
    let mut table = table();
    match table.remove(&addr) {
        Some(Entry::Region(held)) => {
            drop(table);
            Ok(held.region.release()?)
        }
        other => {
            other.and_then(|entry| table.insert(addr, entry));
            Err(foreign(PageCall::Release, addr, 0))
        }
    }
}

/// Backs `size` bytes at `addr` for reading and writing.
///
/// # Errors
/// [`MemoryError::Page`] if they lie in no region, or there is no memory.
pub fn commit(addr: usize, size: usize) -> Result<(), MemoryError> {
    let mut table = table();
    let (held, at, size) = pages(&mut table, PageCall::Commit, addr, size)?;
    held.not_offered(PageCall::Commit, at, size)?;
    Ok(held.region.commit(at, size)?)
}

/// Drops the contents and the backing of `size` bytes at `addr`.
///
/// # Errors
/// [`MemoryError::Page`] if they lie in no region, or are offered.
pub fn decommit(addr: usize, size: usize) -> Result<(), MemoryError> {
    let mut table = table();
    let (held, at, size) = pages(&mut table, PageCall::Decommit, addr, size)?;
    held.not_offered(PageCall::Decommit, at, size)?;
    // SAFETY: only the calls of this module reach this region, and they look before they use it.
    Ok(unsafe { held.region.decommit(at, size) }?)
}

/// Changes what `size` committed bytes at `addr` may be used for: `none`, `read`, `read-write` or `read-execute`.
///
/// # Errors
/// [`MemoryError::Protection`] for any other mode; [`MemoryError::Page`] if the bytes lie in no region or are not committed.
pub fn protect(addr: usize, size: usize, mode: &str) -> Result<(), MemoryError> {
    let mode: Protection = mode.parse()?;
    let mut table = table();
    let (held, at, size) = pages(&mut table, PageCall::Protect, addr, size)?;
    held.not_offered(PageCall::Protect, at, size)?;
    // SAFETY: only the calls of this module reach this region, and they look before they use it.
    Ok(unsafe { held.region.protect(at, size, mode) }?)
}

/// The stretch around `addr`: base, size, state, protection, label, resident bytes.
///
/// # Errors
/// [`MemoryError::Page`] if it lies in no region.
pub fn query(addr: usize) -> Result<RegionInfo, MemoryError> {
    let mut table = table();
    let (held, _, _) = pages(&mut table, PageCall::Query, addr, 1)?;
    let offset = addr - held.region.as_ptr().addr().get();
    Ok(held.region.query(offset)?)
}

/// Writes `bytes` at `addr`: into a region, a block on a node, a large block or a mapped file.
///
/// # Errors
/// [`MemoryError`] if a byte lies nowhere, is not committed, is offered, or may not be written.
pub fn poke(addr: usize, bytes: &[u8]) -> Result<(), MemoryError> {
    let mut table = table();
    let (entry, at) = find(&mut table, PageCall::Poke, addr, bytes.len())?;
    match entry {
        Entry::Region(held) => {
            held.not_offered(PageCall::Poke, at, bytes.len())?;
            Ok(held.region.poke(at, bytes)?)
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
        .ok_or_else(|| foreign(PageCall::Poke, addr, bytes.len()))?;
    to.copy_from_slice(bytes);
    Ok(())
}

/// The `count` bytes at `addr`.
///
/// # Errors
/// As [`poke`].
pub fn peek(addr: usize, count: usize) -> Result<Vec<u8>, MemoryError> {
    let mut table = table();
    let (entry, at) = find(&mut table, PageCall::Peek, addr, count)?;
    let within = |block: &[u8]| {
        let from = at.checked_add(count).and_then(|end| block.get(at..end));
        from.map(<[u8]>::to_vec).ok_or_else(|| foreign(PageCall::Peek, addr, count))
    };
    match entry {
        Entry::Region(held) => {
            held.not_offered(PageCall::Peek, at, count)?;
            Ok(held.region.peek(at, count)?)
        }
        Entry::Numa(block) => within(block),
        Entry::Large(block) => within(block),
        Entry::File(file) => Ok(file.read(at, count)?),
    }
}

/// Writes numbers at `addr`, which need not be aligned.
///
/// ```
/// use arenite_pages::{Scalars, memory};
/// let region = memory::reserve(4096, "numbers")?;
/// memory::commit(region.addr, 4096)?;
/// memory::typed_poke(region.addr, &Scalars::Float32(vec![3.14, 2.71, 1.41]))?;
/// assert_eq!(memory::typed_peek(region.addr, "float32", 3)?, Scalars::Float32(vec![3.14, 2.71, 1.41]));
/// memory::release(region.addr)?;
/// # Ok::<(), memory::MemoryError>(())
/// ```
///
/// # Errors
/// As [`poke`].
pub fn typed_poke(addr: usize, numbers: &Scalars) -> Result<(), MemoryError> {
    poke(addr, numbers.as_bytes())
}

/// The `count` numbers of a type at `addr`: `float32`, `float64`, `int32`, `int64`, `uint32` and the others of
/// [`ScalarType`].
///
/// # Errors
/// As [`poke`]; [`MemoryError::ScalarType`] for any other name.
pub fn typed_peek(addr: usize, of: &str, count: usize) -> Result<Scalars, MemoryError> {
    let of: ScalarType = of.parse()?;
    let bytes = peek(addr, count.saturating_mul(of.size()))?;
    let no_memory = PageCause::Os { errno: rustix::io::Errno::NOMEM.raw_os_error() };
    let mut numbers = Scalars::zeroes(of, count).ok_or(PageError::without_region(
        PageCall::Peek,
        no_memory,
        bytes.len(),
    ))?;
    numbers.as_bytes_mut().copy_from_slice(&bytes);
    Ok(numbers)
}
