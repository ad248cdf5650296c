//! The blocks of a hardened heap: found by their tags, under one lock, in slabs that no thread owns.
//!
//! Rests on `Tags`. A heap that is not hardened never comes here: a hardened one has no slabs of threads, so that every request ends on
//! the path that finds none, and its units are marked as nobody's, so that every free ends on the path of blocks from elsewhere.
#![expect(unsafe_code, reason = "fills and looks at blocks that nobody has")]

use crate::heap::central::central::{BACK, Central, own};
use crate::heap::classes::MOST;
use crate::heap::hardened::chunk_table::{State, Tags};
use crate::heap::hardened::options::{Caller, Hardening, Misuse, MisuseReport};
use crate::heap::segment::segment::{Header, header_of, unit_of};
use crate::heap::slab::slab::{Slab, UNIT, units_for};
use arenite_core::Resource;
use arenite_pages::Pages;
use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::{NonNull, null};
use core::sync::atomic::{AtomicU16, Ordering};

/// Stands in a unit's place of an owner where the slab is one of a hardened heap.
pub(crate) const HARDENED: usize = 0x3000;
/// What fills a freed block.
const POISON: u8 = 0xdf;
/// What fills the bytes behind the size that was asked for.
const BEYOND: u8 = 0xb5;
/// The most blocks that wait at once.
const WAITING: usize = 1 << 14;

const RING: Layout = match Layout::array::<*mut u8>(WAITING) {
    Ok(layout) => layout,
    Err(_) => panic!("a constant"),
};

/// What the lock of a hardened heap guards.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Slabs with free blocks.
    partial: [*const Slab; MOST],
    /// Freed blocks in the order of their frees, in pages of their own.
    ring: Option<NonNull<*mut u8>>,
    oldest: usize,
    waiting: usize,
    waiting_bytes: usize,
    random: u64,
    calls: u32,
}

// SAFETY: what the pointers lead to is the heap's own, and is used under the lock alone.
unsafe impl Send for Guard {}

impl Guard {
    pub(crate) const NEW: Self = Self {
        partial: [null(); MOST],
        ring: None,
        oldest: 0,
        waiting: 0,
        waiting_bytes: 0,
        random: 0,
        calls: 0,
    };

    fn caller(&mut self, thread: u16) -> Caller {
        self.calls = self.calls.wrapping_add(1);
        Caller { thread, call: self.calls }
    }

    /// The next number (Vigna, "xorshift64*", 2016), from a seed of the system's.
    fn random(&mut self, below: usize) -> usize {
        if self.random == 0 {
            self.random = arenite_pages::random_seed() | 1;
        }
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let number = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(number).unwrap_or(0) % below.max(1)
    }

    fn enter(&mut self, slab: &Slab) {
        let first = &mut self.partial[usize::from(slab.class.get())];
        slab.previous.set(null());
        slab.next.set(*first);
        // SAFETY: slabs in the list are live, under the lock.
        if let Some(next) = unsafe { first.as_ref() } {
            next.previous.set(slab);
        }
        *first = slab;
    }

    fn leave(&mut self, slab: &Slab) {
        let (previous, next) = (slab.previous.replace(null()), slab.next.replace(null()));
        // SAFETY: slabs in the list are live, under the lock.
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.set(next),
            None => self.partial[usize::from(slab.class.get())] = next,
        }
        // SAFETY: as above.
        if let Some(next) = unsafe { next.as_ref() } {
            next.previous.set(previous);
        }
    }

    /// Puts a freed block behind the others that wait. False: there is no memory for the list.
    fn wait(&mut self, block: NonNull<u8>, size: usize) -> bool {
        if self.ring.is_none() {
            self.ring = Pages::new().allocate(RING).ok().map(NonNull::cast);
        }
        let Some(ring) = self.ring else { return false };
        let at = (self.oldest + self.waiting) % WAITING;
        let place = ring.as_ptr().wrapping_add(at);
        // SAFETY: a place of the ring.
        unsafe { place.write(block.as_ptr()) };
        self.waiting += 1;
        self.waiting_bytes += size;
        true
    }

    /// The block that waits longest, if there are too many.
    fn waited(&mut self, most: usize) -> Option<NonNull<u8>> {
        let ring = self.ring?;
        if self.waiting == 0 || (self.waiting_bytes <= most && self.waiting < WAITING) {
            return None;
        }
        let place = ring.as_ptr().wrapping_add(self.oldest);
        // SAFETY: a place of the ring that was written.
        let block = unsafe { place.read() };
        self.oldest = (self.oldest + 1) % WAITING;
        self.waiting -= 1;
        NonNull::new(block)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(ring) = self.ring.take() {
            // SAFETY: taken with this layout, and nobody's any more.
            unsafe { Pages::new().deallocate(ring.cast(), RING) };
        }
    }
}

/// The number of the calling thread. Not under a lock: where this is a library, its first use in a thread may allocate.
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

/// A slab of a hardened heap, a block of it, and its tags.
struct Place<'a> {
    slab: &'a Slab,
    tags: Tags,
    block: usize,
    start: NonNull<u8>,
}

impl Place<'_> {
    /// The block that an address lies in.
    ///
    /// # Safety
    /// The address lies in an arena, in a unit that is marked as a hardened heap's.
    unsafe fn find(address: NonNull<u8>, owner: usize, guards: usize) -> Option<Self> {
        // SAFETY: the caller's promise.
        let header: &Header = unsafe { header_of(address).as_ref() };
        let slab = header.slabs.get(unit_of(address).checked_sub(owner & BACK)?)?;
        let (size, start) = (slab.block.get() as usize, NonNull::new(slab.start())?);
        let block = (address.addr().get() - start.addr().get()) / size.max(1);
        // SAFETY: a slab of a hardened heap has its tags behind it.
        let tags = unsafe { Tags::of(slab, guards) }?;
        let start = start.map_addr(|start| start.saturating_add(block * size));
        (block < slab.capacity() as usize).then_some(Self { slab, tags, block, start })
    }

    fn report(&self, misuse: Misuse, address: usize) -> MisuseReport {
        let tag = self.tags.tag(self.block);
        let (start, size) = (self.start.addr().get(), tag.size());
        let block = (tag.state() != State::Fresh).then_some((start, size));
        MisuseReport { misuse, address, block, taken_by: tag.taken_by(), freed_by: tag.freed_by() }
    }

    /// The bytes of the block from `from` on, which nobody has.
    fn bytes(&self, from: usize) -> &[u8] {
        let len = (self.slab.block.get() as usize).saturating_sub(from);
        let start = self.start.as_ptr().wrapping_add(from);
        // SAFETY: bytes of the block that no user has: all of a free one, of a lent one those beyond its size. What a program that
        // misuses them writes at this moment is what is looked for; a byte is a byte whichever write it shows.
        unsafe { core::slice::from_raw_parts(start, len) }
    }

    fn fill(&self, from: usize, byte: u8) {
        let len = (self.slab.block.get() as usize).saturating_sub(from);
        let start = self.start.as_ptr().wrapping_add(from);
        // SAFETY: as for `bytes`.
        unsafe { start.write_bytes(byte, len) };
    }

    /// Whether the bytes from `from` on are as they were filled.
    fn untouched(&self, from: usize, byte: u8, misuse: Misuse) -> Result<(), MisuseReport> {
        match self.bytes(from).iter().position(|&found| found != byte) {
            None => Ok(()),
            Some(at) => Err(self.report(misuse, self.start.addr().get() + from + at)),
        }
    }
}

impl Central {
    /// Units of guard behind a slab.
    fn guards(hardening: Hardening) -> usize {
        usize::from(hardening.guards)
    }

    /// A block of a class, with its tag.
    pub(crate) fn take_guarded(
        &self,
        hardening: Hardening,
        class: usize,
        size: usize,
    ) -> Result<Option<NonNull<u8>>, MisuseReport> {
        let thread = this_thread();
        let mut guard = self.guard.lock();
        // SAFETY: slabs in the list are live, under the lock.
        let slab = match unsafe { guard.partial[class].as_ref() } {
            Some(slab) => slab,
            None => match self.begin_guarded(&mut guard, hardening, class) {
                Some(slab) => slab,
                None => return Ok(None),
            },
        };
        // SAFETY: a slab of a hardened heap has its tags behind it.
        let Some(tags) = (unsafe { Tags::of(slab, Self::guards(hardening)) }) else { return Ok(None) };
        let at = if hardening.random { guard.random(tags.free()) } else { 0 };
        let Some(block) = tags.pop(at) else { return Ok(None) };
        if tags.free() == 0 {
            guard.leave(slab);
        }
        let offset = block * slab.block.get() as usize;
        let Some(start) = NonNull::new(slab.start().wrapping_add(offset)) else { return Ok(None) };
        let place = Place { slab, tags, block, start };
        let tag = tags.tag(block);
        if tag.state() == State::Free {
            Self::still_filled(hardening, &place)?;
        }
        let caller = guard.caller(thread);
        tag.take(size, caller);
        slab.set_used(slab.used() + 1);
        if hardening.bounds {
            place.fill(size, BEYOND);
        }
        Ok(Some(start))
    }

    fn still_filled(hardening: Hardening, place: &Place<'_>) -> Result<(), MisuseReport> {
        match hardening {
            Hardening { poison: true, .. } => place.untouched(0, POISON, Misuse::WrittenAfterFree),
            Hardening { zero: true, .. } => place.untouched(0, 0, Misuse::WrittenAfterFree),
            _ => Ok(()),
        }
    }

    /// A new slab with a guard and tags behind it.
    fn begin_guarded(&self, guard: &mut Guard, hardening: Hardening, class: usize) -> Option<&Slab> {
        let block = self.classes.size_of(class);
        let units = units_for(block);
        let capacity = units * UNIT / block;
        let all = units + Self::guards(hardening) + Tags::units(capacity);
        let mut state = self.lock();
        let (header, first) = state.units(all, 1)?;
        // SAFETY: arenas live as long as their heap.
        let header: &Header = unsafe { header.as_ref() };
        if hardening.guards {
            // a system that refuses to close one more range leaves it open
            let _closed: bool = header.close(first + units);
        }
        let slab = &header.slabs[first];
        slab.begin(header.unit(first), units, class, block, false);
        slab.all_carved();
        own(slab, HARDENED);
        let behind = header.unit(first + units + Self::guards(hardening));
        // SAFETY: the units just taken, which are committed and nobody's.
        let _tags = unsafe { Tags::begin(behind, capacity) };
        self.note_held(&mut state);
        drop(state);
        guard.enter(slab);
        // SAFETY: it lies in an arena's tables, which live as long as the heap.
        Some(unsafe { NonNull::from(slab).as_ref() })
    }

    /// Takes a block of a hardened heap back.
    ///
    /// # Safety
    /// The address lies in a unit that is marked as a hardened heap's, by `owner`. If it is a lent block nobody uses it afterwards.
    pub(crate) unsafe fn give_guarded(
        &self,
        hardening: Hardening,
        address: NonNull<u8>,
        owner: usize,
    ) -> Result<(), MisuseReport> {
        let (number, thread) = (address.addr().get(), this_thread());
        let mut guard = self.guard.lock();
        // SAFETY: the caller's promise.
        let place = unsafe { Place::find(address, owner, Self::guards(hardening)) }
            .ok_or(MisuseReport::of(Misuse::NotABlock, number))?;
        let tag = place.tags.tag(place.block);
        match tag.state() {
            State::Fresh => return Err(place.report(Misuse::NotABlock, number)),
            State::Waiting | State::Free => return Err(place.report(Misuse::DoubleFree, number)),
            State::Lent if place.start != address => return Err(place.report(Misuse::Interior, number)),
            State::Lent => {}
        }
        if hardening.bounds {
            place.untouched(tag.size(), BEYOND, Misuse::WrittenBeyond)?;
        }
        let caller = guard.caller(thread);
        tag.free(caller);
        if hardening.poison {
            place.fill(0, POISON);
        } else if hardening.zero {
            place.fill(0, 0);
        }
        place.slab.set_used(place.slab.used() - 1);
        let size = place.slab.block.get() as usize;
        tag.set_state(State::Waiting);
        if hardening.quarantine == 0 || !guard.wait(address, size) {
            return self.release_guarded(&mut guard, hardening, &place);
        }
        while let Some(oldest) = guard.waited(hardening.quarantine) {
            // SAFETY: a block of this heap that waits; its unit is marked.
            let owner = unsafe { crate::heap::segment::segment::owner_of(oldest) };
            // SAFETY: as above.
            let Some(place) = (unsafe { Place::find(oldest, owner, Self::guards(hardening)) }) else { break };
            guard.waiting_bytes -= place.slab.block.get() as usize;
            self.release_guarded(&mut guard, hardening, &place)?;
        }
        Ok(())
    }

    /// Makes a block free that waited long enough, and gives up its slab where that was the last one.
    fn release_guarded(
        &self,
        guard: &mut Guard,
        hardening: Hardening,
        place: &Place<'_>,
    ) -> Result<(), MisuseReport> {
        Self::still_filled(hardening, place)?;
        place.tags.tag(place.block).set_state(State::Free);
        let before = place.tags.free();
        place.tags.push(place.block);
        if before == 0 {
            guard.enter(place.slab);
        }
        // one empty slab of a class stays
        let alone = place.slab.next.get().is_null() && place.slab.previous.get().is_null();
        if before + 1 == place.slab.capacity() as usize && !alone {
            guard.leave(place.slab);
            self.end_guarded(hardening, place.slab);
        }
        Ok(())
    }

    fn end_guarded(&self, hardening: Hardening, slab: &Slab) {
        let (units, capacity) = (usize::from(slab.units.get()), slab.capacity() as usize);
        let Some(start) = NonNull::new(slab.start()) else { return };
        let state = self.lock();
        // SAFETY: a slab lies in an arena of a live heap.
        let header: &Header = unsafe { header_of(start).as_ref() };
        let (first, guards) = (unit_of(start), Self::guards(hardening));
        own(slab, 0);
        // a guard that cannot be opened again stays taken
        let open = if hardening.guards && !header.open(first + units) { 0 } else { guards };
        header.give(first, units + open);
        header.give(first + units + guards, Tags::units(capacity));
        drop(state);
    }

    /// Whether a block of a hardened heap is one that is lent.
    ///
    /// # Safety
    /// The address lies in a unit that is marked as a hardened heap's, by `owner`.
    pub(crate) unsafe fn look_at_guarded(
        &self,
        hardening: Hardening,
        address: NonNull<u8>,
        owner: usize,
    ) -> Result<(), MisuseReport> {
        let number = address.addr().get();
        let _guard = self.guard.lock();
        // SAFETY: the caller's promise.
        let place = unsafe { Place::find(address, owner, Self::guards(hardening)) }
            .ok_or(MisuseReport::of(Misuse::NotABlock, number))?;
        match place.tags.tag(place.block).state() {
            State::Fresh => Err(place.report(Misuse::NotABlock, number)),
            State::Waiting | State::Free => Err(place.report(Misuse::DoubleFree, number)),
            State::Lent if place.start != address => Err(place.report(Misuse::Interior, number)),
            State::Lent => Ok(()),
        }
    }

    /// The size that a lent block of a hardened heap was asked with.
    ///
    /// # Safety
    /// A live block of a hardened heap, whose unit is marked by `owner`.
    pub(crate) unsafe fn size_guarded(hardening: Hardening, block: NonNull<u8>, owner: usize) -> usize {
        // SAFETY: the caller's promise.
        let place = unsafe { Place::find(block, owner, Self::guards(hardening)) };
        place.map_or(0, |place| place.tags.tag(place.block).size())
    }
}

/// A line of text without an allocation.
struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl core::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let text = text.as_bytes();
        let room = self.bytes.len() - self.len;
        let taken = text.len().min(room);
        self.bytes[self.len..self.len + taken].copy_from_slice(&text[..taken]);
        self.len += taken;
        Ok(())
    }
}

/// Ends the program: it misused a heap through the fast door, which has no other answer. Takes no lock of a heap's and holds
/// none: whoever handles the signal may allocate. (Where a thread that ends finds the misuse, it holds the list of heaps that live.)
#[cold]
pub(crate) fn end(report: &MisuseReport) -> ! {
    use core::fmt::Write;
    let mut line = Line { bytes: [0; 512], len: 0 };
    let _written = writeln!(line, "arenite: heap misused: {report}");
    arenite_pages::say(&line.bytes[..line.len]);
    std::process::abort()
}

/// Ends the program: it gave a block back wrongly through the fast door.
#[cold]
pub(crate) fn misused(misuse: Misuse, address: usize) -> ! {
    end(&MisuseReport::of(misuse, address))
}
