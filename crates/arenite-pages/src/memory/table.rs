//! The table of everything that the calls by address made, by its first address.

use super::MemoryError;
use crate::error::{RegionError, RegionErrorKind, RegionOp};
use crate::region::{OfferedPages, WatchState};
use crate::{LargeBlock, MappedFile, NumaBlock, Region, page_size};
use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Start of an object in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The first address.
    pub addr: usize,
}

/// A region with its offers and watches.
#[derive(Debug)]
pub(super) struct OwnedRegion {
    pub(super) region: Region,
    pub(super) offers: Vec<OfferedPages>,
    pub(super) watches: Vec<(Range<usize>, WatchState)>,
}

#[derive(Debug)]
pub(super) enum Entry {
    Region(OwnedRegion),
    Numa(NumaBlock),
    Large(LargeBlock),
    File(MappedFile),
}

impl Entry {
    fn len(&self) -> usize {
        match self {
            Self::Region(owned) => owned.region.len(),
            Self::Numa(block) => block.len(),
            Self::Large(block) => block.len(),
            Self::File(file) => file.len(),
        }
    }

    pub(super) const fn description(&self) -> &'static str {
        match self {
            Self::Region(_) => "a region",
            Self::Numa(_) => "a block on a node",
            Self::Large(_) => "a large block",
            Self::File(_) => "a mapped file",
        }
    }
}

/// Every object by its first address.
pub(super) type Table = BTreeMap<usize, Entry>;

static TABLE: Mutex<Table> = Mutex::new(BTreeMap::new());

pub(super) fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Inserts the object that begins at `addr`.
pub(super) fn insert(addr: usize, entry: Entry) -> Address {
    let before = table().insert(addr, entry);
    debug_assert!(before.is_none(), "two things at one address");
    Address { addr }
}

/// Removes the object of a kind that begins at `addr`.
pub(super) fn remove(addr: usize, is: impl Fn(&Entry) -> bool) -> Result<Entry, MemoryError> {
    let mut table = table();
    let found = table.get(&addr).is_some_and(is).then(|| table.remove(&addr)).flatten();
    found.ok_or_else(|| invalid_pointer(RegionOp::Release, addr, 0))
}

pub(super) fn invalid_pointer(op: RegionOp, address: usize, size: usize) -> MemoryError {
    RegionError::without_region(op, RegionErrorKind::InvalidPointer { address }, size).into()
}

/// Finds the entry that `address` lies in, and the offset there.
pub(super) fn find(
    table: &mut Table,
    op: RegionOp,
    address: usize,
    size: usize,
) -> Result<(&mut Entry, usize), MemoryError> {
    let found = table.range_mut(..=address).next_back();
    let (start, entry) = found.ok_or_else(|| invalid_pointer(op, address, size))?;
    let offset = address - start;
    if offset < entry.len() { Ok((entry, offset)) } else { Err(invalid_pointer(op, address, size)) }
}

/// Finds the region that `address` lies in, and the OS pages that cover `size` bytes from it.
pub(super) fn os_pages(
    table: &mut Table,
    op: RegionOp,
    address: usize,
    size: usize,
) -> Result<(&mut OwnedRegion, usize, usize), MemoryError> {
    let (entry, offset) = find(table, op, address, size)?;
    let what = entry.description();
    let Entry::Region(owned) = entry else {
        return Err(MemoryError::Other { address, what, call: "be changed page by page" });
    };
    if size == 0 {
        return Err(owned.region.error(op, offset, size, RegionErrorKind::BadSize).into());
    }
    let first = offset & !(page_size() - 1);
    let end = offset.checked_add(size).and_then(|end| end.checked_next_multiple_of(page_size()));
    let end = end.filter(|&end| end <= owned.region.len());
    let end = end.ok_or_else(|| owned.region.error(op, offset, size, RegionErrorKind::OutOfRange))?;
    Ok((owned, first, end - first))
}

/// Runs `call` on the OS pages that cover `size` bytes at `addr`, unless a part of them is
/// offered.
pub(super) fn on_pages<T>(
    op: RegionOp,
    addr: usize,
    size: usize,
    call: impl FnOnce(&mut Region, usize, usize) -> Result<T, RegionError>,
) -> Result<T, MemoryError> {
    let mut table = table();
    let (owned, at, size) = os_pages(&mut table, op, addr, size)?;
    owned.check_not_offered(op, at, size)?;
    Ok(call(&mut owned.region, at, size)?)
}

impl OwnedRegion {
    pub(super) const fn new(region: Region) -> Self {
        Self { region, offers: Vec::new(), watches: Vec::new() }
    }

    /// Rejects a range that overlaps an offer: it must not be used.
    pub(super) fn check_not_offered(
        &self,
        op: RegionOp,
        offset: usize,
        size: usize,
    ) -> Result<(), MemoryError> {
        let range = offset..offset.saturating_add(size);
        let offered =
            self.offers.iter().any(|offer| offer.range.start < range.end && range.start < offer.range.end);
        if offered {
            return Err(self.region.error(op, offset, size, RegionErrorKind::Offered).into());
        }
        Ok(())
    }
}
