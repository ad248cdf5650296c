//! Advice by address: prefetch, offer and reclaim, discard, lock, and what was written.
//!
//! Rests on the table, which keeps what was offered and what is watched.
#![expect(unsafe_code, reason = "changes regions that nobody else can reach")]

use super::MemoryError;
use super::table::{foreign, pages, table};
use crate::Reclaimed;
use crate::error::{PageCall, PageCause, PageError};
use crate::region::Watch;
use core::ops::Range;
use rustix::io::Errno;

/// Finds every OS page of `size` committed bytes at `addr` now.
///
/// # Errors
/// [`MemoryError::Page`] if they lie in no region, are not committed, or there is no memory.
pub fn prefetch(addr: usize, size: usize) -> Result<(), MemoryError> {
    let mut table = table();
    let (held, at, size) = pages(&mut table, PageCall::Prefetch, addr, size)?;
    held.not_offered(PageCall::Prefetch, at, size)?;
    Ok(held.region.prefetch(at, size)?)
}

/// Lends `size` committed bytes at `addr` to the kernel, which may drop their contents when memory is short. They cannot be
/// used before they are reclaimed.
///
/// # Errors
/// [`MemoryError::Page`] if they lie in no region, are not committed, or are offered already.
pub fn offer(addr: usize, size: usize) -> Result<(), MemoryError> {
    let mut table = table();
    let (held, at, size) = pages(&mut table, PageCall::Offer, addr, size)?;
    held.not_offered(PageCall::Offer, at, size)?;
    let none = PageCause::Os { errno: Errno::NOMEM.raw_os_error() };
    held.offers.try_reserve(1).map_err(|_| PageError::without_region(PageCall::Offer, none, size))?;
    // SAFETY: every call of this module refuses offered bytes, and nobody else reaches this region.
    let marks = unsafe { held.region.mark(at, size) }?;
    held.offers.push(marks);
    Ok(())
}

/// Takes back what was offered at `addr` and says what of it was lost, as offsets in the region.
///
/// # Errors
/// [`MemoryError::Page`] if nothing that was offered begins there.
pub fn reclaim(addr: usize) -> Result<Reclaimed, MemoryError> {
    let mut table = table();
    let (held, at, _) = pages(&mut table, PageCall::Reclaim, addr, 1)?;
    let found = held.offers.iter().position(|marks| marks.range.start == at);
    let index = found.ok_or_else(|| foreign(PageCall::Reclaim, addr, 0))?;
    let marks = held.offers.swap_remove(index);
    Ok(held.region.unmark(marks))
}

/// Drops the contents of `size` bytes at `addr`; they stay committed and read as zeroes.
///
/// # Errors
/// [`MemoryError::Page`] if they lie in no region, or are offered or locked.
pub fn discard(addr: usize, size: usize) -> Result<(), MemoryError> {
    let mut table = table();
    let (held, at, size) = pages(&mut table, PageCall::Discard, addr, size)?;
    held.not_offered(PageCall::Discard, at, size)?;
    // SAFETY: only the calls of this module reach this region, and they borrow nothing of it.
    Ok(unsafe { held.region.discard(at, size) }?)
}

/// Keeps `size` committed bytes at `addr` in memory.
///
/// # Errors
/// [`MemoryError::Page`] if they lie in no region or are not committed, or the process may lock no more.
pub fn lock(addr: usize, size: usize) -> Result<(), MemoryError> {
    let mut table = table();
    let (held, at, size) = pages(&mut table, PageCall::Lock, addr, size)?;
    held.not_offered(PageCall::Lock, at, size)?;
    Ok(held.region.lock(at, size)?)
}

/// Lets `size` bytes at `addr` be paged out again.
///
/// # Errors
/// [`MemoryError::Page`] if they lie in no region.
pub fn unlock(addr: usize, size: usize) -> Result<(), MemoryError> {
    let mut table = table();
    let (held, at, size) = pages(&mut table, PageCall::Unlock, addr, size)?;
    Ok(held.region.unlock(at, size)?)
}

/// Watches the writes to `size` bytes at `addr` from now on, until the region is released.
///
/// # Errors
/// [`MemoryError::Page`] if they lie in no region or are watched already, or the kernel cannot.
pub fn write_watch(addr: usize, size: usize) -> Result<(), MemoryError> {
    let mut table = table();
    let (held, at, size) = pages(&mut table, PageCall::WatchWrites, addr, size)?;
    let none = PageCause::Os { errno: Errno::NOMEM.raw_os_error() };
    held.watches.try_reserve(1).map_err(|_| PageError::without_region(PageCall::WatchWrites, none, size))?;
    let watch = Watch::new(at..at + size, &held.region)?;
    held.watches.push((at..at + size, watch));
    Ok(())
}

/// The addresses of the OS pages that were written since [`write_watch`] at `addr`, or since the last call; begins afresh.
///
/// # Errors
/// [`MemoryError::Page`] if nothing that is watched begins there.
pub fn written(addr: usize) -> Result<Vec<Range<usize>>, MemoryError> {
    let mut table = table();
    let (held, at, _) = pages(&mut table, PageCall::WatchWrites, addr, 1)?;
    let found = held.watches.iter().find(|(range, _)| range.start == at);
    let (_, watch) = found.ok_or_else(|| foreign(PageCall::WatchWrites, addr, 0))?;
    let base = held.region.as_ptr().addr().get();
    let mut written = watch.look(&held.region, true)?;
    written.iter_mut().for_each(|range| *range = base + range.start..base + range.end);
    Ok(written)
}
