//! Allocation and deallocation of a hardened heap, under one lock, in slabs that no thread owns.
//!
//! Other heaps never reach this code. A hardened heap has no slabs of threads, so every allocation
//! ends on the slow path. Its units have a holder of their own, so every free does too.
#![expect(unsafe_code, reason = "fills and reads blocks that no user has")]

use crate::heap::central::central::Central;
use crate::heap::geometry::UNIT;
use crate::heap::hardened::chunk_table::{ChunkState, ChunkTable};
use crate::heap::hardened::misuse::{Misuse, MisuseReport};
use crate::heap::hardened::options::Hardening;
use crate::heap::hardened::state::HardenedState;
use crate::heap::owner::{HARDENED, NO_HOLDER, OwnerWord};
use crate::heap::segment::segment::{Segment, owner_of, segment_of, set_slab_owner, unit_of};
use crate::heap::slab::slab::{Slab, units_for};
use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, Ordering};

/// Fill of a freed block.
const POISON: u8 = 0xdf;
/// Fill of the bytes behind the requested size.
const CANARY: u8 = 0xb5;

/// Returns the number of the calling thread. Called without a lock: in a library, the first use of
/// a thread-local may allocate.
fn this_thread() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    thread_local! {
        static NUMBER: Cell<u16> = const { Cell::new(0) };
    }
    if NUMBER.get() == 0 {
        NUMBER.set(NEXT.fetch_add(1, Ordering::Relaxed).max(1));
    }
    NUMBER.get()
}

/// A block of a hardened heap, with its slab and chunk table.
struct BlockRef<'a> {
    slab: &'a Slab,
    table: ChunkTable,
    block: usize,
    start: NonNull<u8>,
}

impl BlockRef<'_> {
    /// Returns the block that an address lies in.
    ///
    /// # Safety
    /// The address lies in a segment, in a unit whose owner word is that of a hardened heap.
    unsafe fn find(address: NonNull<u8>, owner: OwnerWord, guard_units: usize) -> Option<Self> {
        // SAFETY: the caller guarantees a segment.
        let segment: &Segment = unsafe { segment_of(address).as_ref() };
        let slab = segment.slabs.get(unit_of(address).checked_sub(owner.tag().slab_offset())?)?;
        let (size, start) = (slab.block.get() as usize, NonNull::new(slab.start())?);
        let block = (address.addr().get() - start.addr().get()) / size.max(1);
        // SAFETY: a slab of a hardened heap has a chunk table behind it.
        let table = unsafe { ChunkTable::of_slab(slab, guard_units) }?;
        let start = start.map_addr(|start| start.saturating_add(block * size));
        (block < slab.capacity() as usize).then_some(Self { slab, table, block, start })
    }

    fn report(&self, misuse: Misuse, address: usize) -> MisuseReport {
        let chunk = self.table.chunk(self.block);
        let (start, size) = (self.start.addr().get(), chunk.size());
        let block = (chunk.state() != ChunkState::NeverAllocated).then_some((start, size));
        MisuseReport {
            misuse,
            address,
            block,
            allocated_by: chunk.allocated_by(),
            freed_by: chunk.freed_by(),
        }
    }

    /// Returns the bytes of the block from `from` on, which no user has.
    fn bytes(&self, from: usize) -> &[u8] {
        let len = (self.slab.block.get() as usize).saturating_sub(from);
        let start = self.start.as_ptr().wrapping_add(from);
        // SAFETY: bytes of the block that no user has: all of a free one, those behind the
        // requested size of an allocated one. A program that misuses them may write meanwhile,
        // which is what is searched for; any byte value is valid.
        unsafe { core::slice::from_raw_parts(start, len) }
    }

    fn fill(&self, from: usize, byte: u8) {
        let len = (self.slab.block.get() as usize).saturating_sub(from);
        let start = self.start.as_ptr().wrapping_add(from);
        // SAFETY: bytes of the block that no user has: all of a free one, those behind the
        // requested size of an allocated one.
        unsafe { start.write_bytes(byte, len) };
    }

    /// Checks that the bytes from `from` on still have their fill.
    fn check_fill(&self, from: usize, byte: u8, misuse: Misuse) -> Result<(), MisuseReport> {
        match self.bytes(from).iter().position(|&found| found != byte) {
            None => Ok(()),
            Some(at) => Err(self.report(misuse, self.start.addr().get() + from + at)),
        }
    }
}

impl Central {
    /// Returns the number of guard units behind a slab.
    fn guard_units(hardening: Hardening) -> usize {
        usize::from(hardening.guard_pages)
    }

    /// Allocates a block of a class for a request of `size` bytes.
    pub(crate) fn alloc_hardened(
        &self,
        hardening: Hardening,
        class: usize,
        size: usize,
    ) -> Result<Option<NonNull<u8>>, MisuseReport> {
        let thread = this_thread();
        let mut hardened = self.hardened.lock();
        // SAFETY: slabs in the list are live, under the lock.
        let slab = match unsafe { hardened.partial[class].as_ref() } {
            Some(slab) => slab,
            None => match self.init_hardened_slab(&mut hardened, hardening, class) {
                Some(slab) => slab,
                None => return Ok(None),
            },
        };
        // SAFETY: a slab of a hardened heap has a chunk table behind it.
        let Some(table) = (unsafe { ChunkTable::of_slab(slab, Self::guard_units(hardening)) }) else {
            return Ok(None);
        };
        let at = if hardening.random { hardened.random(table.available()) } else { 0 };
        let Some(block) = table.pop(at) else { return Ok(None) };
        if table.available() == 0 {
            hardened.unregister_slab(slab);
        }
        let offset = block * slab.block.get() as usize;
        let Some(start) = NonNull::new(slab.start().wrapping_add(offset)) else { return Ok(None) };
        let block_ref = BlockRef { slab, table, block, start };
        let chunk = table.chunk(block);
        if chunk.state() == ChunkState::Available {
            Self::check_freed_fill(hardening, &block_ref)?;
        }
        let caller = hardened.caller(thread);
        chunk.set_allocated(size, caller);
        slab.set_used(slab.used() + 1);
        if hardening.bounds {
            block_ref.fill(size, CANARY);
        }
        Ok(Some(start))
    }

    fn check_freed_fill(hardening: Hardening, block_ref: &BlockRef<'_>) -> Result<(), MisuseReport> {
        match hardening {
            Hardening { poison: true, .. } => block_ref.check_fill(0, POISON, Misuse::WriteAfterFree),
            Hardening { zero: true, .. } => block_ref.check_fill(0, 0, Misuse::WriteAfterFree),
            _ => Ok(()),
        }
    }

    /// Makes a slab with a guard and a chunk table behind it.
    fn init_hardened_slab(
        &self,
        hardened: &mut HardenedState,
        hardening: Hardening,
        class: usize,
    ) -> Option<&Slab> {
        let block = self.classes.size_of(class);
        let units = units_for(block);
        let capacity = units * UNIT / block;
        let all = units + Self::guard_units(hardening) + ChunkTable::units_for(capacity);
        let mut state = self.lock();
        let (segment, first) = state.alloc_units(all, 1)?;
        // SAFETY: segments live as long as their heap.
        let segment: &Segment = unsafe { segment.as_ref() };
        if hardening.guard_pages {
            // without another mapping the guard stays accessible
            let _protected: bool = segment.protect_unit(first + units);
        }
        let slab = &segment.slabs[first];
        slab.init(segment.unit_start(first), units, class, block, false);
        slab.set_fully_carved();
        set_slab_owner(slab, HARDENED);
        let behind = segment.unit_start(first + units + Self::guard_units(hardening));
        // SAFETY: the units just allocated, which are committed, aligned to a unit and not shared.
        let _table = unsafe { ChunkTable::init(behind, capacity) };
        self.note_held(&mut state);
        drop(state);
        hardened.register_slab(slab);
        // SAFETY: metadata of a segment, which lives as long as the heap.
        Some(unsafe { NonNull::from(slab).as_ref() })
    }

    /// Frees a block of a hardened heap.
    ///
    /// # Safety
    /// The address lies in a unit whose owner word is `owner`, that of a hardened heap. If it is an
    /// allocated block, it is not used afterwards.
    pub(crate) unsafe fn free_hardened(
        &self,
        hardening: Hardening,
        address: NonNull<u8>,
        owner: OwnerWord,
    ) -> Result<(), MisuseReport> {
        let (number, thread) = (address.addr().get(), this_thread());
        let mut hardened = self.hardened.lock();
        // SAFETY: the caller guarantees such a unit.
        let block_ref = unsafe { BlockRef::find(address, owner, Self::guard_units(hardening)) }
            .ok_or(MisuseReport::new(Misuse::InvalidPointer, number))?;
        let chunk = block_ref.table.chunk(block_ref.block);
        match chunk.state() {
            ChunkState::NeverAllocated => return Err(block_ref.report(Misuse::InvalidPointer, number)),
            ChunkState::Quarantined | ChunkState::Available => {
                return Err(block_ref.report(Misuse::DoubleFree, number));
            }
            ChunkState::Allocated if block_ref.start != address => {
                return Err(block_ref.report(Misuse::InteriorPointer, number));
            }
            ChunkState::Allocated => {}
        }
        if hardening.bounds {
            block_ref.check_fill(chunk.size(), CANARY, Misuse::BufferOverflow)?;
        }
        let caller = hardened.caller(thread);
        chunk.set_freed(caller);
        if hardening.poison {
            block_ref.fill(0, POISON);
        } else if hardening.zero {
            block_ref.fill(0, 0);
        }
        block_ref.slab.set_used(block_ref.slab.used() - 1);
        let size = block_ref.slab.block.get() as usize;
        chunk.set_state(ChunkState::Quarantined);
        if hardening.quarantine == 0 || !hardened.quarantine_push(address, size) {
            return self.make_available(&mut hardened, hardening, &block_ref);
        }
        while let Some(oldest) = hardened.quarantine_pop(hardening.quarantine) {
            // SAFETY: a quarantined block of this heap, in a unit of a hardened heap.
            let owner = unsafe { owner_of(oldest) };
            // SAFETY: as above.
            let Some(block_ref) = (unsafe { BlockRef::find(oldest, owner, Self::guard_units(hardening)) })
            else {
                break;
            };
            hardened.quarantined_bytes -= block_ref.slab.block.get() as usize;
            self.make_available(&mut hardened, hardening, &block_ref)?;
        }
        Ok(())
    }

    /// Makes a block available after its quarantine. Releases the slab if that was its last block.
    fn make_available(
        &self,
        hardened: &mut HardenedState,
        hardening: Hardening,
        block_ref: &BlockRef<'_>,
    ) -> Result<(), MisuseReport> {
        Self::check_freed_fill(hardening, block_ref)?;
        block_ref.table.chunk(block_ref.block).set_state(ChunkState::Available);
        let before = block_ref.table.available();
        block_ref.table.push(block_ref.block);
        if before == 0 {
            hardened.register_slab(block_ref.slab);
        }
        // one empty slab of a class stays
        let alone = block_ref.slab.next.get().is_null() && block_ref.slab.previous.get().is_null();
        if before + 1 == block_ref.slab.capacity() as usize && !alone {
            hardened.unregister_slab(block_ref.slab);
            self.release_hardened_slab(hardening, block_ref.slab);
        }
        Ok(())
    }

    fn release_hardened_slab(&self, hardening: Hardening, slab: &Slab) {
        let (units, capacity) = (usize::from(slab.units.get()), slab.capacity() as usize);
        let Some(start) = NonNull::new(slab.start()) else { return };
        let state = self.lock();
        // SAFETY: a slab lies in a segment of a live heap.
        let segment: &Segment = unsafe { segment_of(start).as_ref() };
        let (first, guard_units) = (unit_of(start), Self::guard_units(hardening));
        set_slab_owner(slab, NO_HOLDER);
        // a guard that stays inaccessible is not reused
        let open =
            if hardening.guard_pages && !segment.unprotect_unit(first + units) { 0 } else { guard_units };
        segment.free_units(first, units + open);
        segment.free_units(first + units + guard_units, ChunkTable::units_for(capacity));
        drop(state);
    }

    /// Checks that a block of a hardened heap is allocated.
    ///
    /// # Safety
    /// The address lies in a unit whose owner word is `owner`, that of a hardened heap.
    pub(crate) unsafe fn check_hardened(
        &self,
        hardening: Hardening,
        address: NonNull<u8>,
        owner: OwnerWord,
    ) -> Result<(), MisuseReport> {
        let number = address.addr().get();
        let _guard = self.hardened.lock();
        // SAFETY: the caller guarantees such a unit.
        let block_ref = unsafe { BlockRef::find(address, owner, Self::guard_units(hardening)) }
            .ok_or(MisuseReport::new(Misuse::InvalidPointer, number))?;
        match block_ref.table.chunk(block_ref.block).state() {
            ChunkState::NeverAllocated => Err(block_ref.report(Misuse::InvalidPointer, number)),
            ChunkState::Quarantined | ChunkState::Available => {
                Err(block_ref.report(Misuse::DoubleFree, number))
            }
            ChunkState::Allocated if block_ref.start != address => {
                Err(block_ref.report(Misuse::InteriorPointer, number))
            }
            ChunkState::Allocated => Ok(()),
        }
    }

    /// Returns the requested size of an allocated block of a hardened heap.
    ///
    /// # Safety
    /// A live block of a hardened heap, whose unit has the owner word `owner`.
    pub(crate) unsafe fn hardened_size(hardening: Hardening, block: NonNull<u8>, owner: OwnerWord) -> usize {
        // SAFETY: the caller guarantees such a unit.
        let block_ref = unsafe { BlockRef::find(block, owner, Self::guard_units(hardening)) };
        block_ref.map_or(0, |block_ref| block_ref.table.chunk(block_ref.block).size())
    }
}
