//! What the threads of a heap share, under one lock: arenas, slabs whose thread is gone, large blocks, idle thread heaps.
//!
//! Rests on `Header`, `Large` and `ThreadHeap`. Whoever comes here takes a whole slab or a whole span, so the lock is taken once in
//! hundreds of small blocks.
#![expect(unsafe_code, reason = "hands out slabs, and memory for thread heaps")]

use crate::heap::central::decay::Clock;
use crate::heap::central::large_block::{KEPT, Kept, Large, Lent, Lost};
use crate::heap::central::stats::Peaks;
use crate::heap::classes::{MOST, SizeClasses};
use crate::heap::hardened::hardened::{Guard, misused};
use crate::heap::hardened::options::{Hardening, Misuse, MisuseReport};
use crate::heap::segment::segment::{Header, Huge, header_of, unit_of};
use crate::heap::slab::purge;
use crate::heap::slab::refill::collect_all;
use crate::heap::slab::slab::{Slab, UNIT, units_for};
use crate::heap::thread::thread_heap::ThreadHeap;
use crate::sync::plain::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use arenite_core::Resource;
use arenite_pages::{Lock, LockGuard, Pages};
use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::{NonNull, null};
use core::time::Duration;
use std::sync::OnceLock;

/// Stands in a unit's place of an owner where the slab's thread is gone.
pub(crate) const ABANDONED: usize = 0x1000;
/// Stands there where a span of whole units begins.
pub(crate) const SPAN: usize = 0x2000;
/// The lowest bits of that place: how many units before it the slab begins.
pub(crate) const BACK: usize = 0x1f;
/// How far above them the class of the slab's blocks stands.
const CLASS: u32 = 5;
/// The bits of both.
pub(crate) const LOW: usize = 0xfff;
const _: () = assert!(MOST <= (LOW + 1) >> CLASS && align_of::<ThreadHeap>() > LOW, "they have room");

/// The class of a slab's blocks, of the low bits of what stands in its units' places of an owner.
#[inline(always)]
pub(crate) const fn class_in(low: usize) -> usize {
    low >> CLASS
}

/// The largest block that is a span; larger ones have a region of their own.
pub(crate) const LARGEST_SPAN: usize = 16 << 20;

/// By class. Threads that free for others change it, so nothing that all read stands beside it.
#[derive(Debug)]
#[repr(align(64))]
struct Came([AtomicU32; MOST]);

/// The shared part of a heap.
#[derive(Debug)]
pub(crate) struct Central {
    pub(crate) classes: SizeClasses,
    /// Which heap this is: no two ever have the same number.
    pub(crate) life: u64,
    /// The next heap that lives, under the lock of all heaps.
    pub(crate) next: Cell<Option<NonNull<Central>>>,
    state: Lock<State>,
    /// What a hardened heap does; set before it lends a block.
    pub(crate) hardening: OnceLock<Hardening>,
    /// The blocks of a hardened heap; taken before `state`.
    pub(crate) guard: Lock<Guard>,
    pub(crate) peak: AtomicUsize,
    /// How often memory was called for, see [`Central::call`].
    calls: AtomicU32,
    /// How often, by class, a first block of a slab came back from another thread than its owner.
    came: Came,
}

// SAFETY: `next` is used under the lock of all heaps, the rest is locked or atomic.
unsafe impl Sync for Central {}
// SAFETY: as for `Sync`.
unsafe impl Send for Central {}

#[derive(Debug)]
pub(crate) struct State {
    arenas: Option<NonNull<Header>>,
    abandoned: [*const Slab; MOST],
    idle: Option<NonNull<ThreadHeap>>,
    /// The thread heap made last, to give the memory of all of them back.
    made: Option<NonNull<ThreadHeap>>,
    pub(crate) kept: Kept,
    pub(crate) lent: Lent,
    pub(crate) large_blocks: usize,
    pub(crate) large_bytes: usize,
    /// Of them, those of spans, whose units the arenas count.
    pub(crate) span_bytes: usize,
    /// Whether to ask for huge pages.
    pub(crate) huge: bool,
    pub(crate) clock: Clock,
    pub(crate) peaks: Peaks,
}

// SAFETY: what the pointers lead to is the heap's own, and is used under the lock alone.
unsafe impl Send for State {}

const THREAD: Layout = Layout::new::<ThreadHeap>();

impl Central {
    pub(crate) fn new(
        classes: SizeClasses,
        decay: Option<Duration>,
        huge: bool,
        hardening: Option<Hardening>,
    ) -> Self {
        static LIVES: AtomicU64 = AtomicU64::new(1);
        let life = LIVES.fetch_add(1, Ordering::Relaxed);
        let hardening = hardening.map_or_else(OnceLock::new, OnceLock::from);
        let state = State {
            arenas: None,
            abandoned: [null(); MOST],
            idle: None,
            made: None,
            kept: Kept::EMPTY,
            lent: Lent::EMPTY,
            large_blocks: 0,
            large_bytes: 0,
            span_bytes: 0,
            huge,
            clock: Clock::new(decay),
            peaks: Peaks::NONE,
        };
        Self {
            classes,
            life,
            next: Cell::new(None),
            state: Lock::new(state),
            hardening,
            guard: Lock::new(Guard::NEW),
            peak: AtomicUsize::new(0),
            calls: AtomicU32::new(0),
            came: Came([const { AtomicU32::new(0) }; MOST]),
        }
    }

    /// To some slab of a class, of whichever thread, blocks came back from another: told after their bits are set.
    pub(crate) fn tell_of(&self, class: usize) {
        self.came.0[class].fetch_add(1, Ordering::Release);
    }

    /// How often that was told. What was told before is seen by who looks for bits after this.
    pub(crate) fn told_of(&self, class: usize) -> u32 {
        self.came.0[class].load(Ordering::Acquire)
    }

    pub(crate) fn lock(&self) -> LockGuard<'_, State> {
        self.state.lock()
    }

    /// Takes the lock for a fork.
    pub(crate) fn hold(&self) {
        self.guard.hold();
        self.state.hold();
    }

    /// Gives it back.
    ///
    /// # Safety
    /// The calling thread, or the one it was forked from, took it by [`Central::hold`].
    pub(crate) unsafe fn release(&self) {
        // SAFETY: the caller's promise.
        drop(unsafe { self.state.held() });
        // SAFETY: as above.
        drop(unsafe { self.guard.held() });
    }

    /// Calls for memory so far: each thread answers at its next look, by what [`ThreadHeap`] keeps. In the low half those of the
    /// clock, in the high half those for all that can go.
    #[inline]
    pub(crate) fn call(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Calls for all that can go.
    pub(crate) fn call_for_all(&self) -> u32 {
        self.calls.fetch_add(1 << 16, Ordering::Relaxed).wrapping_add(1 << 16)
    }

    /// Calls for empty slabs.
    pub(crate) fn call_for_empty(&self) {
        // in the low half alone, whatever it was
        let _before = self.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |calls| {
            Some(calls & !0xffff | calls.wrapping_add(1) & 0xffff)
        });
    }

    /// A thread heap that nobody has.
    pub(crate) fn take_thread(&self) -> Option<NonNull<ThreadHeap>> {
        let mut state = self.lock();
        if let Some(idle) = state.idle {
            // SAFETY: thread heaps live as long as their heap; idle ones are the lock's.
            state.idle = unsafe { idle.as_ref() }.next.take();
            return Some(idle);
        }
        let memory: NonNull<ThreadHeap> = Pages::new().allocate(THREAD).ok()?.cast();
        // SAFETY: fresh memory of that layout, which comes from the system as zeroes.
        unsafe { ThreadHeap::begin(memory, self) };
        // SAFETY: just written.
        unsafe { memory.as_ref() }.older.set(state.made);
        state.made = Some(memory);
        Some(memory)
    }

    /// Takes the thread heap of a thread that is gone, whose slabs were given up.
    pub(crate) fn give_thread(&self, thread: NonNull<ThreadHeap>) {
        let mut state = self.lock();
        // SAFETY: thread heaps live as long as their heap.
        unsafe { thread.as_ref() }.next.set(state.idle);
        state.idle = Some(thread);
    }

    /// A slab of a class for `owner`: one whose thread is gone, or a fresh one.
    pub(crate) fn take_slab(&self, class: usize, owner: usize) -> Option<NonNull<Slab>> {
        if self.hardening.get().is_some() {
            return None; // no thread has slabs of a hardened heap
        }
        let mut state = self.lock();
        self.look_at_clock(&mut state, false);
        // SAFETY: abandoned slabs are live and the lock's.
        if let Some(slab) = unsafe { state.abandoned[class].as_ref() } {
            state.abandoned[class] = slab.next.replace(null());
            own(slab, owner);
            return Some(NonNull::from(slab));
        }
        let block = self.classes.size_of(class);
        let units = units_for(block);
        let (header, first) = state.units(units, 1)?;
        // SAFETY: arenas live as long as their heap.
        let header = unsafe { header.as_ref() };
        let slab = header.begin_slab(first, units, class, block, self.classes.is_wide(class));
        own(slab, owner);
        self.note_held(&mut state);
        drop(state);
        Some(NonNull::from(slab))
    }

    /// Takes an empty slab back.
    pub(crate) fn give_slab(&self, slab: &Slab) {
        let mut state = self.lock();
        give_units(slab);
        self.look_at_clock(&mut state, false);
    }

    /// Takes a slab whose thread goes. What came back is collected under the lock, so that `state` counts it once.
    pub(crate) fn abandon(&self, slab: &Slab) {
        let mut state = self.lock();
        if let Err(address) = collect_all(slab) {
            drop(state);
            misused(Misuse::DoubleFree, address);
        }
        if slab.used() == 0 {
            return give_units(slab);
        }
        own(slab, ABANDONED);
        let class = usize::from(slab.class.get());
        slab.next.set(state.abandoned[class]);
        state.abandoned[class] = slab;
    }

    /// A block of whole units, or one with a region of its own. Zeroed where `zeroed` asks for it.
    pub(crate) fn take_large(&self, size: usize, align: usize, zeroed: bool) -> Option<NonNull<u8>> {
        let mut state = self.lock();
        let hardened = self.hardening.get().is_some();
        if !hardened && size <= LARGEST_SPAN && align <= crate::heap::central::large_block::OFFSET {
            let units = size.div_ceil(UNIT);
            let (header, first) = state.units(units, align.div_ceil(UNIT))?;
            // SAFETY: arenas live as long as their heap.
            let header = unsafe { header.as_ref() };
            header.begin_slab(first, units, 0, UNIT, false);
            header.owners[first].store(SPAN, Ordering::Relaxed);
            state.large_blocks += 1;
            state.large_bytes += units * UNIT;
            state.span_bytes += units * UNIT;
            let block = header.unit(first);
            self.note_held(&mut state);
            self.look_at_clock(&mut state, false);
            drop(state);
            if zeroed {
                // SAFETY: the span is this call's alone.
                unsafe { block.write_bytes(0, size) };
            }
            return Some(block);
        }
        if align > crate::heap::central::large_block::OFFSET {
            return None;
        }
        let (kept, huge) = (state.kept.take(size), state.huge);
        self.look_at_clock(&mut state, true);
        drop(state);
        let fresh = || {
            Large::reserve(size, huge).or_else(|| {
                // what is kept may be what is missing
                let gone = self.lock().kept.trim(0);
                if gone > 0 { Large::reserve(size, huge) } else { None }
            })
        };
        let mut large = match kept {
            Some(kept) => kept,
            None => fresh()?,
        };
        // SAFETY: the block is this call's alone.
        if kept.is_none() && !zeroed && unsafe { self.take_pages(large, 0) }.is_err() {
            // SAFETY: nobody knows of it.
            unsafe { Large::release(large) };
            large = fresh()?;
        }
        // SAFETY: a live head that nobody else has.
        let bytes = unsafe { large.as_ref() }.committed();
        let mut state = self.lock();
        state.lent.enter(large);
        state.large_blocks += 1;
        state.large_bytes += bytes;
        self.note_held(&mut state);
        drop(state);
        let block = Large::block(large);
        if zeroed && kept.is_some() {
            // SAFETY: the block is this call's alone.
            unsafe { block.write_bytes(0, size) };
        }
        Some(block)
    }

    /// Takes a span back.
    pub(crate) fn give_span(&self, block: NonNull<u8>) {
        let mut state = self.lock();
        // SAFETY: a span lies in an arena of this heap.
        let header = unsafe { header_of(block).as_ref() };
        let (first, units) = (unit_of(block), usize::from(header.slabs[unit_of(block)].units.get()));
        header.owners[first].store(0, Ordering::Relaxed);
        header.give(first, units);
        state.large_blocks -= 1;
        state.large_bytes -= units * UNIT;
        state.span_bytes -= units * UNIT;
    }

    /// Makes a span at least `size` bytes by the free units behind it. False: they are not free, or it would be too large for one.
    pub(crate) fn grow_span(&self, block: NonNull<u8>, size: usize) -> bool {
        if size > LARGEST_SPAN {
            return false;
        }
        let mut state = self.lock();
        // SAFETY: a span lies in an arena of this heap.
        let header = unsafe { header_of(block).as_ref() };
        let slab = &header.slabs[unit_of(block)];
        let (first, units, wanted) = (unit_of(block), usize::from(slab.units.get()), size.div_ceil(UNIT));
        if wanted > units && header.take_at(first + units, wanted - units).is_none() {
            return false;
        }
        let more = wanted.saturating_sub(units);
        slab.units.set(u16::try_from(units + more).unwrap_or(u16::MAX));
        state.large_bytes += more * UNIT;
        state.span_bytes += more * UNIT;
        self.note_held(&mut state);
        true
    }

    /// Takes a block with a region of its own back, and keeps it as far as the bound allows.
    ///
    /// # Errors
    /// Where it was given back before.
    pub(crate) fn give_large(&self, large: NonNull<Large>) -> Result<(), MisuseReport> {
        let mut state = self.lock();
        // SAFETY: a head, of a block that is lent or kept.
        let head = unsafe { large.as_ref() };
        if head.is_kept() {
            return Err(MisuseReport::of(Misuse::DoubleFree, Large::block(large).addr().get()));
        }
        let bytes = head.committed();
        state.large_blocks -= 1;
        state.large_bytes -= bytes;
        state.lent.leave(large);
        let tick = state.clock.tick();
        state.kept.put(large, tick);
        // a freed block of a hardened heap shall fault
        let most = if self.hardening.get().is_some() { 0 } else { KEPT };
        state.kept.trim(most);
        self.look_at_clock(&mut state, true);
        Ok(())
    }

    /// Makes the block of `large` at least `size` bytes, where it is or by moving its OS pages.
    pub(crate) fn grow_large(&self, large: NonNull<Large>, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: a live head; its block is the caller's alone.
        let head = unsafe { large.as_ref() };
        // under the lock, as figures of all blocks are read there
        let mut state = self.lock();
        let before = head.committed();
        if head.widen(size) {
            state.large_bytes += head.committed() - before;
            self.note_held(&mut state);
            drop(state);
            // SAFETY: what is new of the block is nobody's yet.
            if unsafe { self.take_pages(large, before) }.is_err() {
                let mut state = self.lock();
                state.large_bytes -= head.committed() - before;
                head.lose(before);
                return None;
            }
            return Some(Large::block(large));
        }
        let huge = state.huge;
        drop(state);
        let wider = Large::reserve(size, huge)?;
        // SAFETY: a live head that nobody else has.
        let target = unsafe { wider.as_ref() };
        // SAFETY: the block is this call's alone; what it will take over is not there yet.
        let pages = unsafe { self.take_pages_behind(wider, head, before) };
        // SAFETY: the caller has the one block, this call the other.
        if pages.and_then(|()| unsafe { target.take_over(head) }).is_err() {
            // SAFETY: nobody has its block.
            unsafe { Large::release(wider) };
            return None;
        }
        let bytes = target.committed();
        let mut state = self.lock();
        state.large_bytes = state.large_bytes + bytes - before;
        state.lent.leave(large);
        state.lent.enter(wider);
        self.note_held(&mut state);
        drop(state);
        // SAFETY: its contents moved, and the caller gets the new block in its stead.
        unsafe { Large::release(large) };
        Some(Large::block(wider))
    }

    /// Has the bytes of a block from `at` on, which are fresh, lie in OS pages of a kept block that is not of use itself.
    ///
    /// # Errors
    /// The block has no memory there any more.
    ///
    /// # Safety
    /// A live head; nobody else uses those bytes.
    unsafe fn take_pages(&self, large: NonNull<Large>, at: usize) -> Result<(), Lost> {
        // SAFETY: the caller's promise.
        let target = unsafe { large.as_ref() };
        let Some(kept) = self.lock().kept.take_for(target, at) else { return Ok(()) };
        // SAFETY: a live head that was taken off the list.
        let source = unsafe { kept.as_ref() };
        // SAFETY: the caller's promise; nobody else has the kept one. Where nothing moves, the fresh bytes do.
        let taken = unsafe { target.take_pages(source, at) };
        self.lock().kept.give_back(kept);
        taken
    }

    /// The same for a block that takes `head` over afterwards: the pages continue those.
    ///
    /// # Safety
    /// As [`Central::take_pages`].
    unsafe fn take_pages_behind(&self, wider: NonNull<Large>, head: &Large, at: usize) -> Result<(), Lost> {
        // SAFETY: the caller's promise.
        unsafe { wider.as_ref() }.continues(head);
        // SAFETY: as above.
        unsafe { self.take_pages(wider, at) }
    }

    /// Gives kept large blocks back as far as more than `target` bytes are held; how many bytes.
    pub(crate) fn trim_kept(&self, target: usize) -> usize {
        let mut state = self.lock();
        let excess = state.held().saturating_sub(target);
        let keep = state.kept.bytes.saturating_sub(excess);
        state.kept.trim(keep)
    }

    /// Gives the memory behind free units back, and that inside the free blocks of slabs whose thread is gone; how many bytes.
    pub(crate) fn trim_free(&self) -> usize {
        let mut state = self.lock();
        let mut gone = match state.give_abandoned() {
            Ok(gone) => gone,
            Err(address) => {
                drop(state);
                misused(Misuse::DoubleFree, address);
            }
        };
        state.each_arena(|header| gone += header.decommit_free(false));
        gone
    }
}

impl State {
    /// Units in a row, of an arena that has them or of a new one.
    pub(crate) fn units(&mut self, count: usize, step: usize) -> Option<(NonNull<Header>, usize)> {
        let mut at = self.arenas;
        while let Some(header) = at {
            // SAFETY: arenas live as long as their heap.
            let arena = unsafe { header.as_ref() };
            if let Some(first) = arena.take(count, step) {
                return Some((header, first));
            }
            at = arena.next.get();
        }
        let header = Header::reserve(match self.arenas {
            _ if !self.huge => Huge::Never,
            Some(_) => Huge::AtOnce,
            None => Huge::Later,
        })?;
        // SAFETY: just made.
        let arena = unsafe { header.as_ref() };
        arena.next.set(self.arenas);
        self.arenas = Some(header);
        arena.take(count, step).map(|first| (header, first))
    }

    /// Gives up the units of abandoned slabs all of whose blocks came back, and the memory inside the free blocks of others; how
    /// many bytes of these.
    ///
    /// # Errors
    /// The address of a block that was given back twice.
    fn give_abandoned(&mut self) -> Result<usize, usize> {
        let mut gone = 0;
        for first in &mut self.abandoned {
            let (mut at, mut kept) = (*first, null());
            // SAFETY: abandoned slabs are live and the lock's.
            while let Some(slab) = unsafe { at.as_ref() } {
                at = slab.next.replace(null());
                collect_all(slab)?;
                if slab.used() == 0 {
                    give_units(slab);
                } else {
                    gone += purge::drain(slab);
                    slab.next.set(kept);
                    kept = slab;
                }
            }
            *first = kept;
        }
        Ok(gone)
    }

    /// Every thread heap that was made.
    pub(crate) fn each_thread(&self, mut visit: impl FnMut(&ThreadHeap)) {
        let mut at = self.made;
        while let Some(thread) = at {
            // SAFETY: thread heaps live as long as their heap; what is read of others' is atomic or the lock's.
            let thread = unsafe { thread.as_ref() };
            visit(thread);
            at = thread.older.get();
        }
    }

    pub(crate) fn each_arena(&self, mut visit: impl FnMut(&Header)) {
        let mut at = self.arenas;
        while let Some(header) = at {
            // SAFETY: arenas live as long as their heap.
            let header = unsafe { header.as_ref() };
            visit(header);
            at = header.next.get();
        }
    }
}

/// Says for every unit of a slab whose it is.
pub(crate) fn own(slab: &Slab, owner: usize) {
    let Some(start) = NonNull::new(slab.start()) else { return };
    // SAFETY: a slab lies in an arena of a live heap.
    let header = unsafe { header_of(start).as_ref() };
    let (first, class) = (unit_of(start), usize::from(slab.class.get()) << CLASS);
    for back in 0..usize::from(slab.units.get()) {
        debug_assert!(back <= BACK);
        let whose = if owner == 0 { 0 } else { owner | class | back };
        header.owners[first + back].store(whose, Ordering::Release);
    }
}

/// Makes the units of an empty slab free; under the heap's lock.
fn give_units(slab: &Slab) {
    purge::forget(slab);
    own(slab, 0);
    let Some(start) = NonNull::new(slab.start()) else { return };
    // SAFETY: a slab lies in an arena of a live heap.
    unsafe { header_of(start).as_ref() }.give(unit_of(start), usize::from(slab.units.get()));
}

impl Drop for Central {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        state.kept.trim(0);
        // SAFETY: the heap goes, and with it everyone who has a block.
        unsafe { state.lent.release_all() };
        while let Some(header) = state.arenas {
            // SAFETY: arenas live until here.
            state.arenas = unsafe { header.as_ref() }.next.get();
            // SAFETY: the heap goes, and with it everyone who has a block.
            unsafe { Header::release(header) };
        }
        while let Some(thread) = state.made {
            // SAFETY: thread heaps live until here.
            state.made = unsafe { thread.as_ref() }.older.get();
            // SAFETY: of that layout, from `Pages`, and nobody's any more.
            unsafe { Pages::new().deallocate(thread.cast(), THREAD) };
        }
    }
}
