//! What the calls by address have made, by its first address.
//!
//! Rests on the values themselves: the table owns them, and an address is as good as the entry it is found in.

use super::MemoryError;
use crate::error::{PageCall, PageCause, PageError};
use crate::region::{Marks, Watch};
use crate::{LargeBlock, MappedFile, NumaBlock, Region, page_size};
use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where something begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct At {
    /// The first address.
    pub addr: usize,
}

/// A region with what is offered and watched of it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) region: Region,
    pub(super) offers: Vec<Marks>,
    pub(super) watches: Vec<(Range<usize>, Watch)>,
}

#[derive(Debug)]
pub(super) enum Entry {
    Region(Held),
    Numa(NumaBlock),
    Large(LargeBlock),
    File(MappedFile),
}

impl Entry {
    fn len(&self) -> usize {
        match self {
            Self::Region(held) => held.region.len(),
            Self::Numa(block) => block.len(),
            Self::Large(block) => block.len(),
            Self::File(file) => file.len(),
        }
    }

    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::Region(_) => "a region",
            Self::Numa(_) => "a block on a node",
            Self::Large(_) => "a large block",
            Self::File(_) => "a mapped file",
        }
    }
}

/// Everything by its first address.
pub(super) type Table = BTreeMap<usize, Entry>;

static TABLE: Mutex<Table> = Mutex::new(BTreeMap::new());

pub(super) fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Enters what begins at `addr`.
pub(super) fn enter(addr: usize, entry: Entry) -> At {
    let before = table().insert(addr, entry);
    debug_assert!(before.is_none(), "two things at one address");
    At { addr }
}

pub(super) fn foreign(call: PageCall, address: usize, size: usize) -> MemoryError {
    PageError::without_region(call, PageCause::Foreign { address }, size).into()
}

/// The entry that `address` lies in, and the offset there.
pub(super) fn find(
    table: &mut Table,
    call: PageCall,
    address: usize,
    size: usize,
) -> Result<(&mut Entry, usize), MemoryError> {
    let found = table.range_mut(..=address).next_back();
    let (start, entry) = found.ok_or_else(|| foreign(call, address, size))?;
    let offset = address - start;
    if offset < entry.len() { Ok((entry, offset)) } else { Err(foreign(call, address, size)) }
}

/// The region that `address` lies in, and the whole OS pages around `size` bytes from it.
pub(super) fn pages(
    table: &mut Table,
    call: PageCall,
    address: usize,
    size: usize,
) -> Result<(&mut Held, usize, usize), MemoryError> {
    let (entry, offset) = find(table, call, address, size)?;
    let what = entry.what();
    let Entry::Region(held) = entry else {
        return Err(MemoryError::Other { address, what, call: "be changed page by page" });
    };
    if size == 0 {
        return Err(held.region.error(call, offset, size, PageCause::BadSize).into());
    }
    let first = offset & !(page_size() - 1);
    let end = offset.checked_add(size).and_then(|end| end.checked_next_multiple_of(page_size()));
    let end = end.filter(|&end| end <= held.region.len());
    let end = end.ok_or_else(|| held.region.error(call, offset, size, PageCause::OutOfRange))?;
    Ok((held, first, end - first))
}

impl Held {
    pub(super) const fn new(region: Region) -> Self {
        Self { region, offers: Vec::new(), watches: Vec::new() }
    }

    /// Refuses a range of which a part is offered: nobody may use it.
    pub(super) fn not_offered(&self, call: PageCall, offset: usize, size: usize) -> Result<(), MemoryError> {
        let range = offset..offset.saturating_add(size);
        let offered =
            self.offers.iter().any(|marks| marks.range.start < range.end && range.start < marks.range.end);
        if offered {
            return Err(self.region.error(call, offset, size, PageCause::Offered).into());
        }
        Ok(())
    }
}
