//! The state of each block of a hardened heap's slab, kept behind the slab and not in its blocks
//! (Scudo: chunk headers).
//!
//! A table has a count, a header of 16 bytes per block, and the numbers of the available blocks.
#![expect(unsafe_code, reason = "keeps a table at an address that it computes")]

use crate::heap::geometry::UNIT;
use crate::heap::hardened::misuse::Caller;
use crate::heap::slab::slab::Slab;
use core::cell::Cell;
use core::ptr::NonNull;

/// The state of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkState {
    /// Never allocated.
    NeverAllocated,
    Allocated,
    /// Freed, and not available yet.
    Quarantined,
    Available,
}

/// The state and history of a block. Zero: never allocated.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct ChunkHeader {
    /// The state in the highest byte, the requested size below.
    word: Cell<u32>,
    allocated_by: Cell<u16>,
    freed_by: Cell<u16>,
    allocated_in: Cell<u32>,
    freed_in: Cell<u32>,
}

impl ChunkHeader {
    pub(crate) fn state(&self) -> ChunkState {
        match self.word.get() >> 24 {
            0 => ChunkState::NeverAllocated,
            1 => ChunkState::Allocated,
            2 => ChunkState::Quarantined,
            _ => ChunkState::Available,
        }
    }

    pub(crate) fn size(&self) -> usize {
        (self.word.get() & 0xff_ffff) as usize
    }

    pub(crate) fn set_state(&self, state: ChunkState) {
        self.word.set(self.word.get() & 0xff_ffff | (state as u32) << 24);
    }

    pub(crate) fn set_allocated(&self, size: usize, caller: Caller) {
        self.word.set(u32::try_from(size).unwrap_or(0) & 0xff_ffff | (ChunkState::Allocated as u32) << 24);
        self.allocated_by.set(caller.thread);
        self.allocated_in.set(caller.call);
    }

    pub(crate) fn set_freed(&self, caller: Caller) {
        self.freed_by.set(caller.thread);
        self.freed_in.set(caller.call);
    }

    pub(crate) fn allocated_by(&self) -> Option<Caller> {
        let (thread, call) = (self.allocated_by.get(), self.allocated_in.get());
        (thread > 0).then_some(Caller { thread, call })
    }

    pub(crate) fn freed_by(&self) -> Option<Caller> {
        let (thread, call) = (self.freed_by.get(), self.freed_in.get());
        (thread > 0).then_some(Caller { thread, call })
    }
}

/// The table of one slab.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkTable {
    /// Count of available blocks, then the headers, then the numbers of the available blocks.
    start: NonNull<u8>,
    capacity: usize,
}

const HEADER_BYTES: usize = 16;

impl ChunkTable {
    /// Returns the number of units of a table for `capacity` blocks.
    pub(crate) const fn units_for(capacity: usize) -> usize {
        (HEADER_BYTES + capacity * (size_of::<ChunkHeader>() + size_of::<u16>())).div_ceil(UNIT)
    }

    /// Returns the table of a slab.
    ///
    /// # Safety
    /// [`ChunkTable::init`] was called at the first unit behind the slab and its `guard_units`
    /// guard units, and the slab is still in use.
    pub(crate) unsafe fn of_slab(slab: &Slab, guard_units: usize) -> Option<Self> {
        let behind = (usize::from(slab.units.get()) + guard_units) * UNIT;
        let start = NonNull::new(slab.start().wrapping_add(behind))?;
        Some(Self { start, capacity: slab.capacity() as usize })
    }

    /// Initializes a table: every block is available.
    ///
    /// # Safety
    /// `start` is valid for reads and writes of [`ChunkTable::units_for`] units, aligned to 16, and
    /// not shared.
    pub(crate) unsafe fn init(start: NonNull<u8>, capacity: usize) -> Self {
        let table = Self { start, capacity };
        // SAFETY: the caller's guarantees; zeroes are headers of blocks that were never allocated.
        unsafe { start.write_bytes(0, HEADER_BYTES + capacity * size_of::<ChunkHeader>()) };
        for block in 0..capacity {
            table.push(block);
        }
        table
    }

    fn count(&self) -> &Cell<u32> {
        // SAFETY: the start of the table, written by `init`, used under the lock of the hardened
        // state alone.
        unsafe { self.start.cast::<Cell<u32>>().as_ref() }
    }

    /// Returns the number of available blocks.
    pub(crate) fn available(&self) -> usize {
        self.count().get() as usize
    }

    pub(crate) fn chunk(&self, block: usize) -> &ChunkHeader {
        debug_assert!(block < self.capacity);
        let at = self
            .start
            .map_addr(|start| start.saturating_add(HEADER_BYTES + block * size_of::<ChunkHeader>()));
        // SAFETY: one of the headers, zeroed by `init`.
        unsafe { at.cast::<ChunkHeader>().as_ref() }
    }

    fn available_slot(&self, at: usize) -> &Cell<u16> {
        let offset = HEADER_BYTES + self.capacity * size_of::<ChunkHeader>() + at * size_of::<u16>();
        let slot = self.start.map_addr(|start| start.saturating_add(offset));
        // SAFETY: `at` is below the count of available blocks or becomes its last; fresh memory of
        // the system is zero.
        unsafe { slot.cast::<Cell<u16>>().as_ref() }
    }

    /// Makes a block available.
    pub(crate) fn push(&self, block: usize) {
        let count = self.available();
        self.count().set(u32::try_from(count + 1).unwrap_or(0));
        self.available_slot(count).set(u16::try_from(block).unwrap_or(0));
    }

    /// Removes the available block at a position of the list, and moves the last one there.
    pub(crate) fn pop(&self, at: usize) -> Option<usize> {
        let last = self.available().checked_sub(1)?;
        let slot = self.available_slot(at.min(last));
        let block = usize::from(slot.replace(self.available_slot(last).get()));
        self.count().set(u32::try_from(last).unwrap_or(0));
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_table_pops_each_block_once_in_any_order() {
        let mut memory = vec![0_u128; 4096];
        let start = NonNull::new(memory.as_mut_ptr()).unwrap().cast();
        // SAFETY: the vector is large enough for a hundred blocks, aligned, and used by this test
        // alone.
        let table = unsafe { ChunkTable::init(start, 100) };
        let mut taken: Vec<usize> =
            (0..100).map(|turn| table.pop(turn * 7 % (100 - turn)).unwrap()).collect();
        assert_eq!((table.available(), table.pop(0)), (0, None));
        taken.sort_unstable();
        assert!(taken.iter().copied().eq(0..100));
        let caller = Caller { thread: 3, call: 9 };
        assert_eq!(
            (table.chunk(7).state(), table.chunk(7).allocated_by()),
            (ChunkState::NeverAllocated, None)
        );
        table.chunk(7).set_allocated(65_536, caller);
        assert_eq!(
            (table.chunk(7).state(), table.chunk(7).size(), table.chunk(7).allocated_by()),
            (ChunkState::Allocated, 65_536, Some(caller))
        );
        table.chunk(7).set_state(ChunkState::Quarantined);
        table.chunk(7).set_freed(caller);
        assert_eq!(
            (table.chunk(7).state(), table.chunk(7).freed_by()),
            (ChunkState::Quarantined, Some(caller))
        );
        table.push(7);
        assert_eq!(table.pop(0), Some(7));
    }
}
