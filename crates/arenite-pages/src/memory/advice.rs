//! Advice by address: prefetch, offer and reclaim, discard, lock, and write watches.
#![expect(unsafe_code, reason = "changes regions that only this module reaches")]

use super::MemoryError;
use super::table::{invalid_pointer, on_pages, os_pages, table};
use crate::Reclaimed;
use crate::error::{RegionError, RegionOp};
use crate::region::WatchState;
use core::ops::Range;

/// Populates every OS page of `size` committed bytes at `addr` now.
///
/// # Errors
/// [`MemoryError::Region`] if they lie in no region, are not committed, or there is no memory.
pub fn prefetch(addr: usize, size: usize) -> Result<(), MemoryError> {
    on_pages(RegionOp::Prefetch, addr, size, |region, at, size| region.prefetch(at, size))
}

/// Offers `size` committed bytes at `addr` to the kernel, which may drop their contents when
/// memory is short. They cannot be used before they are reclaimed.
///
/// # Errors
/// [`MemoryError::Region`] if they lie in no region, are not committed, or are offered already.
pub fn offer(addr: usize, size: usize) -> Result<(), MemoryError> {
    let mut table = table();
    let (owned, at, size) = os_pages(&mut table, RegionOp::Offer, addr, size)?;
    owned.check_not_offered(RegionOp::Offer, at, size)?;
    owned.offers.try_reserve(1).map_err(|_| RegionError::no_memory(RegionOp::Offer, size))?;
    // SAFETY: every call of this module rejects offered bytes, and no other code reaches this
    // region.
    let offered = unsafe { owned.region.tag_pages(at, size) }?;
    owned.offers.push(offered);
    Ok(())
}

/// Reclaims the offer at `addr`, and returns the lost ranges as offsets in the region.
///
/// # Errors
/// [`MemoryError::Region`] if no offer begins there.
pub fn reclaim(addr: usize) -> Result<Reclaimed, MemoryError> {
    let mut table = table();
    let (owned, at, _) = os_pages(&mut table, RegionOp::Reclaim, addr, 1)?;
    let found = owned.offers.iter().position(|offered| offered.range.start == at);
    let index = found.ok_or_else(|| invalid_pointer(RegionOp::Reclaim, addr, 0))?;
    let offered = owned.offers.swap_remove(index);
    Ok(owned.region.restore_pages(offered))
}

/// Drops the contents of `size` bytes at `addr`; they stay committed and read as zeroes.
///
/// # Errors
/// [`MemoryError::Region`] if they lie in no region, or are offered or locked.
pub fn discard(addr: usize, size: usize) -> Result<(), MemoryError> {
    // SAFETY: only the calls of this module reach this region, and they borrow nothing of it.
    on_pages(RegionOp::Discard, addr, size, |region, at, size| unsafe { region.discard(at, size) })
}

/// Locks `size` committed bytes at `addr` in memory.
///
/// # Errors
/// [`MemoryError::Region`] if they lie in no region or are not committed, or the process may lock
/// no more.
pub fn lock(addr: usize, size: usize) -> Result<(), MemoryError> {
    on_pages(RegionOp::Lock, addr, size, |region, at, size| region.lock(at, size))
}

/// Unlocks `size` bytes at `addr`, so that they may be paged out.
///
/// # Errors
/// [`MemoryError::Region`] if they lie in no region.
pub fn unlock(addr: usize, size: usize) -> Result<(), MemoryError> {
    let mut table = table();
    let (owned, at, size) = os_pages(&mut table, RegionOp::Unlock, addr, size)?;
    Ok(owned.region.unlock(at, size)?)
}

/// Watches the writes to `size` bytes at `addr` from now on, until the region is released.
///
/// # Errors
/// [`MemoryError::Region`] if they lie in no region or are watched already, or the kernel cannot.
pub fn write_watch(addr: usize, size: usize) -> Result<(), MemoryError> {
    let mut table = table();
    let (owned, at, size) = os_pages(&mut table, RegionOp::WatchWrites, addr, size)?;
    owned.watches.try_reserve(1).map_err(|_| RegionError::no_memory(RegionOp::WatchWrites, size))?;
    let watch = WatchState::new(at..at + size, &owned.region)?;
    owned.watches.push((at..at + size, watch));
    Ok(())
}

/// Returns the addresses of the OS pages that were written since [`write_watch`] at `addr`, or
/// since the last call.
///
/// # Errors
/// [`MemoryError::Region`] if no watch begins there.
pub fn written(addr: usize) -> Result<Vec<Range<usize>>, MemoryError> {
    let mut table = table();
    let (owned, at, _) = os_pages(&mut table, RegionOp::WatchWrites, addr, 1)?;
    let found = owned.watches.iter().find(|(range, _)| range.start == at);
    let (_, watch) = found.ok_or_else(|| invalid_pointer(RegionOp::WatchWrites, addr, 0))?;
    let base = owned.region.as_ptr().addr().get();
    let mut written = watch.take_written(&owned.region)?;
    written.iter_mut().for_each(|range| *range = base + range.start..base + range.end);
    Ok(written)
}
