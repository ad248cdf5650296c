//! The list of all regions of this process, by address.
//!
//! Allocators reserve regions, so the list must not allocate. It is one sorted table in OS pages
//! of its own. New regions mostly lie below older ones, so the order is descending and most
//! inserts go to the end. Fork handlers hold its lock across `fork` once one is registered
//! (`at_fork`), as a heap does at its first use.
#![expect(unsafe_code, reason = "stores a table in OS pages of its own")]

use super::residency::residency;
use crate::machine::procfs::maps;
use crate::os;
use crate::util::fork_safe_mutex::{ForkSafeMutex, ForkSafeMutexGuard};
use arenite_core::Label;
use core::ops::ControlFlow;
use core::ptr::NonNull;
use rustix::io::Errno;

/// One region of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionEntry {
    /// The first address.
    pub base: usize,
    /// The size in bytes, without guards.
    pub len: usize,
    /// The label.
    pub label: Label,
}

/// Totals of all regions of this process. Sizes are in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegionStats {
    /// Number of regions.
    pub regions: usize,
    /// Address space reserved.
    pub reserved: usize,
    /// Bytes of it that are committed and readable.
    pub committed: usize,
    /// Bytes of those in memory.
    pub resident: usize,
    /// Bytes of those on huge pages.
    pub huge: usize,
}

/// Returns every region of this process, ascending by address, also those inside arenas and pools.
/// O(n); takes the lock of the list at least twice.
///
/// ```
/// use arenite_pages::{Region, regions};
/// let region = Region::reserve(1 << 20, "cache")?;
/// let found = regions().into_iter().find(|entry| entry.label.as_str() == "cache").unwrap();
/// assert_eq!((found.base, found.len), (region.as_ptr().addr().get(), 1 << 20));
/// # Ok::<(), arenite_pages::RegionError>(())
/// ```
#[must_use]
pub fn regions() -> Vec<RegionEntry> {
    let mut entries = Vec::new();
    loop {
        // The lock is released before the allocator is called, which may reserve a region.
        let len = table().len;
        entries.reserve(len + 16);
        let table = table();
        if table.len <= entries.capacity() {
            entries.extend_from_slice(table.entries());
            break;
        }
    }
    entries.reverse();
    entries
}

/// Sums all regions of this process, as the kernel counts them. Reads the process's mappings and
/// page tables: microseconds to milliseconds.
///
/// # Errors
/// [`std::io::Error`] if the kernel does not report them.
///
/// ```
/// let before = arenite_pages::stats()?;
/// let region = arenite_pages::Region::reserve(1 << 30, "idle")?;
/// assert!(arenite_pages::stats()?.reserved >= before.reserved + (1 << 30));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn stats() -> std::io::Result<RegionStats> {
    let entries = regions();
    let mut stats = RegionStats { regions: entries.len(), ..RegionStats::default() };
    stats.reserved = entries.iter().map(|entry| entry.len).sum();
    let broken = maps::for_each_mapping(0..usize::MAX, |mapped| {
        if !mapped.letters.starts_with('r') {
            return ControlFlow::Continue(());
        }
        let first = entries.partition_point(|entry| entry.base + entry.len <= mapped.range.start);
        for entry in entries[first..].iter().take_while(|entry| entry.base < mapped.range.end) {
            let part = entry.base.max(mapped.range.start)..(entry.base + entry.len).min(mapped.range.end);
            stats.committed += part.len();
            match residency(part) {
                Ok(found) => {
                    stats.resident += found.resident;
                    stats.huge += found.huge;
                }
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    })?;
    if let ControlFlow::Break(error) = broken {
        return Err(error);
    }
    Ok(stats)
}

/// Registers a region.
pub(super) fn register(base: NonNull<u8>, len: usize, label: Label) -> Result<(), Errno> {
    table().insert(RegionEntry { base: base.addr().get(), len, label })
}

/// Unregisters the region at `base`.
pub(super) fn unregister(base: NonNull<u8>) {
    table().remove(base.addr().get());
}

static TABLE: ForkSafeMutex<Table> =
    ForkSafeMutex::new(Table { start: NonNull::dangling(), capacity: 0, len: 0 });

fn table() -> ForkSafeMutexGuard<'static, Table> {
    TABLE.lock()
}

/// Locks the table before a fork.
pub(crate) fn lock_for_fork() {
    TABLE.lock_raw();
}

/// Unlocks the table after a fork.
///
/// # Safety
/// The calling thread, or the one it was forked from, locked it by [`lock_for_fork`].
pub(crate) unsafe fn unlock_after_fork() {
    // SAFETY: the caller's guarantees are the same.
    drop(unsafe { TABLE.guard_from_raw() });
}

/// Entries in OS pages of their own, descending by address.
struct Table {
    start: NonNull<RegionEntry>,
    capacity: usize,
    len: usize,
}

// SAFETY: the OS pages are this value's own.
unsafe impl Send for Table {}

impl Table {
    fn entries(&self) -> &[RegionEntry] {
        // SAFETY: the first `len` entries are written; dangling, aligned and empty before the
        // first.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    fn entries_mut(&mut self) -> &mut [RegionEntry] {
        // SAFETY: the first `len` entries are written; dangling, aligned and empty before the
        // first. This value is borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    fn insert(&mut self, entry: RegionEntry) -> Result<(), Errno> {
        if self.len == self.capacity {
            self.grow()?;
        }
        let end = self.start.as_ptr().wrapping_add(self.len);
        // SAFETY: there is capacity for one more entry in OS pages of this value's own.
        unsafe { end.write(entry) };
        self.len += 1;
        let at = self.entries().partition_point(|other| other.base > entry.base);
        self.entries_mut()[at..].rotate_right(1);
        Ok(())
    }

    fn remove(&mut self, base: usize) {
        let at = self.entries().partition_point(|other| other.base > base);
        if self.entries().get(at).is_some_and(|entry| entry.base == base) {
            self.entries_mut()[at..].rotate_left(1);
            self.len -= 1;
        }
    }

    /// Doubles the capacity, in new OS pages.
    fn grow(&mut self) -> Result<(), Errno> {
        let old = self.capacity * size_of::<RegionEntry>();
        let bytes = (2 * old).max(os::page_size()).next_multiple_of(os::page_size());
        let pages = os::map(bytes)?;
        let grown = pages.cast::<RegionEntry>();
        // SAFETY: the entries are written, the new OS pages hold more, are aligned to OS pages, and
        // are not the old ones.
        unsafe { core::ptr::copy_nonoverlapping(self.start.as_ptr(), grown.as_ptr(), self.len) };
        if self.capacity > 0 {
            let mapped = old.next_multiple_of(os::page_size());
            // SAFETY: the old OS pages, a full mapping of this value's own, whose entries were
            // copied.
            let released = unsafe { os::release(self.start.cast(), mapped) };
            debug_assert!(released.is_ok(), "entire mappings can be released");
        }
        (self.start, self.capacity) = (grown, bytes / size_of::<RegionEntry>());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Region;

    #[test]
    fn regions_are_listed_in_order_and_leave_no_trace() {
        let ours = |entries: Vec<RegionEntry>| {
            entries.into_iter().filter(|entry| entry.label.as_str() == "listed").collect::<Vec<_>>()
        };
        let many: Vec<Region> = (0..300).map(|_| Region::reserve(4096, "listed").unwrap()).collect();
        let listed = ours(regions());
        assert!(listed.len() == 300 && listed.is_sorted_by(|a, b| a.base < b.base));
        drop(many);
        assert_eq!(ours(regions()), []);
    }
}
