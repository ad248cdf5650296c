//! One thread's part of a heap: the slabs that it allocates from, without a lock.
//!
//! Rests on `Recent`, on `Slab`, and on `Central` for more slabs. A block of a class is one that was just given back; where none was,
//! it comes from the class's one current slab. Others with free blocks wait in `partial`, those without in `full`. What other
//! threads give back is collected when the thread runs out, so the fast path is two loads, a test and a store.
#![expect(unsafe_code, reason = "walks slabs and lists that this thread owns")]

use crate::heap::central::central::{BACK, Central, class_in};
use crate::heap::classes::MOST;
use crate::heap::hardened::hardened::misused;
use crate::heap::hardened::options::Misuse;
use crate::heap::segment::segment::{Header, UNITS, base_of, header_of, owner_of, unit_of};
use crate::heap::slab::free_batch::Run;
use crate::heap::slab::purge;
use crate::heap::slab::refill::{collect, collect_all, refill};
use crate::heap::slab::slab::{Node, Place, Slab, pop, pop_any};
use crate::heap::slab::slab_list::List;
use crate::heap::thread::full_scan::Looking;
use crate::heap::thread::remote_cache::Away;
use crate::heap::thread::thread_cache::{CLASSES, Recent, Top};
use core::cell::Cell;
use core::ptr::NonNull;

/// After how many slabs that became empty and were kept the thread looks at the time.
const LOOK: u32 = 16;
/// How many units of empty slabs a thread keeps: 2 MiB.
const EMPTY: u32 = 32;

/// A slab of no blocks, which every class begins with.
struct Nothing(Slab);

// SAFETY: never written: it is in no list and has no block to give back.
unsafe impl Sync for Nothing {}

static NOTHING: Nothing = Nothing(Slab::none());

fn nothing() -> *const Slab {
    &raw const NOTHING.0
}

/// The slabs of one thread. Its address is what marks a slab as its own, so it lies at a multiple of 4096.
#[repr(C, align(4096))]
#[derive(Debug)]
pub(crate) struct ThreadHeap {
    /// Blocks that were given back last, by class; for their slabs they are lent.
    recent: Recent,
    current: [Cell<*const Slab>; CLASSES],
    partial: [List; MOST],
    full: [List; MOST],
    looking: [Looking; MOST],
    /// Units of empty slabs in `partial`, by class, and in all.
    empty: [Cell<u32>; MOST],
    empty_in_all: Cell<u32>,
    /// How often a slab became empty and was kept.
    emptied: Cell<u32>,
    /// Blocks of other threads that it gave back and has not told of, by class.
    pub(crate) away: [Away; MOST],
    /// The top of the class that was asked for last.
    hot: Cell<*const Top>,
    pub(crate) central: Cell<*const Central>,
    /// The last call for memory that it answered.
    answered: Cell<u32>,
    /// The next one that is idle, under the heap's lock.
    pub(crate) next: Cell<Option<NonNull<ThreadHeap>>>,
    /// The one made before, under the heap's lock.
    pub(crate) older: Cell<Option<NonNull<ThreadHeap>>>,
}

impl ThreadHeap {
    /// Makes fresh memory the slabs of a thread, where it lies: a thread's stack may be smaller than two of these.
    ///
    /// # Safety
    /// `memory` is valid for one, aligned, all zeroes, and nobody else's.
    pub(crate) unsafe fn begin(memory: NonNull<Self>, central: *const Central) {
        // SAFETY: the caller's promise; zeroes are null, nothing and none, a value of each field.
        let fresh = unsafe { memory.as_ref() };
        fresh.current.iter().for_each(|slab| slab.set(nothing()));
        fresh.central.set(central);
        fresh.recent.begin();
    }

    /// How many blocks of a class wait in `recent`. Anybody may ask.
    pub(crate) fn waiting(&self, class: usize) -> usize {
        self.recent.count(class)
    }

    /// Whether it is the owner that an arena's table tells of.
    #[inline(always)]
    pub(crate) fn is(&self, owner: usize) -> bool {
        core::ptr::from_ref(self).addr() == owner
    }

    pub(crate) fn central(&self) -> &Central {
        // SAFETY: a heap outlives the slabs of its threads.
        unsafe { &*self.central.get() }
    }

    /// A block of a class that was just given back, or one from its slab, if that has one.
    #[inline(always)]
    pub(crate) fn pop(&self, class: usize) -> Option<NonNull<u8>> {
        let top = self.recent.top(class);
        self.hot.set(top);
        let recent = top.pop();
        if recent.is_some() {
            return recent;
        }
        let slab = self.current[class % CLASSES].get();
        // SAFETY: the slab is this thread's, or the one of no blocks.
        let listed = unsafe { pop(slab) };
        // SAFETY: as above.
        listed.or_else(|| unsafe { &*slab }.lend_bit())
    }

    /// As [`ThreadHeap::pop`], with more slabs where that one has nothing.
    pub(crate) fn allocate(&self, class: usize) -> Option<NonNull<u8>> {
        self.pop(class).or_else(|| self.more(class))
    }

    /// Takes a block of one of this thread's slabs back; it waits for the next request of its class. `low`: the low bits of what stands
    /// in the place of an owner of the unit that the block lies in.
    ///
    /// # Safety
    /// `block` is a live block of this thread's, and `low` is what stands there.
    #[inline(always)]
    pub(crate) unsafe fn give(&self, low: usize, block: NonNull<u8>) {
        let (top, hot) = (self.recent.top(class_in(low)), self.hot.get());
        let predicted = unfolded(hot);
        // Where a block of the same class was asked for last, that is predicted, and the next request of the class does not wait for the
        // table that this one's class stands in: half of a pair's time.
        let waits = if core::ptr::eq(top, hot) {
            // SAFETY: it was set from a reference to a top of this value, and is equal to `top`, so it is that one.
            unsafe { &*predicted }.push(block)
        } else {
            top.push(block)
        };
        if waits {
            return;
        }
        // SAFETY: a block with an owner lies in an arena whose tables are whole.
        let header = unsafe { &*base_of(block) };
        let slab = &header.slabs[(unit_of(block) - (low & BACK)) % UNITS];
        if slab.is_wide() {
            return self.settle(slab, block);
        }
        // SAFETY: the caller's promise.
        unsafe { put(slab, block) };
        self.back::<true>(slab, 1);
    }

    /// Answers the heap's call for memory, if there was one.
    pub(crate) fn listen(&self) {
        let call = self.central().call();
        if call != self.answered.get() {
            self.hear(call);
        }
    }

    /// A block of a wide slab finds no room among those that wait: it gets more, or the older half of the others go to theirs.
    #[inline(never)]
    fn settle(&self, slab: &Slab, block: NonNull<u8>) {
        let (class, size) = (usize::from(slab.class.get()), slab.block.get() as usize);
        if !self.recent.widen(class, size) {
            self.settle_oldest(class, self.recent.room(class).div_ceil(2));
        }
        if !self.recent.top(class).push(block) {
            ended(self.settle_one(slab, block));
        }
    }

    /// Gives so many blocks of a class that wait to their slabs, the oldest. One that cannot go ends the program.
    fn settle_oldest(&self, class: usize, number: usize) {
        ended(self.settle_class::<true>(class, number));
    }

    /// The same for one block of a wide slab.
    #[cold]
    fn settle_one(&self, slab: &Slab, block: NonNull<u8>) -> Result<(), Wrong> {
        let mut run = Run::begin(slab);
        if !run.add(block) {
            return Err((run.misuse(block), block.addr().get()));
        }
        self.end_run::<true>(&run)
    }

    /// Gives all blocks that wait to their slabs.
    fn settle_all(&self) {
        (0..MOST).for_each(|class| self.settle_oldest(class, self.recent.count(class)));
        self.recent.narrow(|class| self.central().classes.size_of(class));
    }

    /// The same for a thread that leaves, under the heap's lock: who sums up what is lent meanwhile counts each block once. Slabs stay in
    /// the lists that they are in.
    fn settle_to_leave(&self) {
        let lock = self.central().lock();
        let settled =
            (0..MOST).try_for_each(|class| self.settle_class::<false>(class, self.recent.count(class)));
        drop(lock);
        ended(settled);
        self.recent.narrow(|class| self.central().classes.size_of(class));
    }

    fn settle_class<const PLACES: bool>(&self, class: usize, number: usize) -> Result<(), Wrong> {
        let (mut run, mut result) = (Run::default(), Ok(()));
        self.recent.pop_oldest(class, number, |block| {
            // most lie in the slab of the one before
            if !run.add(block) {
                result = result.and(self.to_slab::<PLACES>(&mut run, block));
            }
        });
        result.and(self.end_run::<PLACES>(&run))
    }

    /// Gives a block that waited to its slab, or has it wait in a new `run` for others of the same slab. `PLACES`: whether a slab goes to the
    /// list that it belongs in afterwards.
    #[inline(never)]
    fn to_slab<'a, const PLACES: bool>(&self, run: &mut Run<'a>, block: NonNull<u8>) -> Result<(), Wrong> {
        self.end_run::<PLACES>(run)?;
        // SAFETY: a live block of a slab of this thread, in an arena whose tables are whole, and live as long as the heap.
        let header: &'a Header = unsafe { header_of(block).as_ref() };
        // SAFETY: as above.
        let owner = unsafe { owner_of(block) };
        let slab = &header.slabs[unit_of(block) - (owner & BACK)];
        if slab.is_wide() {
            *run = Run::begin(slab);
            return if run.add(block) { Ok(()) } else { Err((run.misuse(block), block.addr().get())) };
        }
        *run = Run::default();
        // SAFETY: the block was given up, and has left the ones that wait.
        unsafe { put(slab, block) };
        self.back::<PLACES>(slab, 1);
        Ok(())
    }

    /// Makes the blocks of a run free.
    ///
    /// # Errors
    /// One of them is free already.
    #[inline]
    fn end_run<const PLACES: bool>(&self, run: &Run<'_>) -> Result<(), Wrong> {
        let Some(slab) = run.slab else { return Ok(()) };
        let count = run.bits.count_ones();
        if let Some(address) = slab.given_twice(run.bits) {
            return Err((Misuse::DoubleFree, address));
        }
        if count > slab.used() {
            let address = slab.address_of(run.bits.trailing_zeros() as usize);
            return Err((Misuse::DoubleFree, address));
        }
        slab.add_free_bits(run.bits);
        self.back::<PLACES>(slab, count);
        Ok(())
    }

    /// So many blocks of a slab are back.
    #[inline(always)]
    fn back<const PLACES: bool>(&self, slab: &Slab, count: u32) {
        let used = slab.used() - count;
        slab.set_used(used);
        if PLACES && slab.place.get().is_left_at(used) {
            self.given(slab);
        }
    }

    /// Blocks of a class, as many as `out` has room for, a slab at a time. How many: fewer where there is no memory.
    pub(crate) fn allocate_many(&self, class: usize, out: &mut [NonNull<u8>]) -> usize {
        let mut done = 0;
        while done < out.len() {
            let current = self.current[class].get();
            if current != nothing() {
                // SAFETY: a slab of this thread.
                let slab = unsafe { &*current };
                // what was lent before first, then what never was
                while let Some(slot) = out.get_mut(done) {
                    // SAFETY: as above.
                    let Some(block) = (unsafe { pop_any(current) }) else { break };
                    *slot = block;
                    done += 1;
                }
                done += slab.lend_fresh(&mut out[done..]);
                if done == out.len() {
                    break;
                }
            }
            match self.more(class) {
                Some(block) => out[done] = block,
                None => break,
            }
            done += 1;
        }
        done
    }

    /// Takes blocks of one of this thread's slabs back.
    ///
    /// # Safety
    /// Live blocks of that slab, each once, which the caller gives up.
    pub(crate) unsafe fn give_run(&self, slab: &Slab, run: &[NonNull<u8>]) {
        if slab.is_wide() {
            let mut bits = Run::begin(slab);
            for &block in run {
                if !bits.add(block) {
                    misused(bits.misuse(block), block.addr().get());
                }
            }
            return ended(self.end_run::<true>(&bits));
        }
        if !run.is_empty() && slab.used() as usize == run.len() {
            // all that were lent: the slab begins again, and no block needs to be on the list, nor touched
            purge::forget(slab);
            slab.begin_again();
            if slab.place.get() != Place::None {
                self.given(slab);
            }
            return;
        }
        let nodes = run.iter().map(|block| block.cast::<Node>());
        let next = nodes.clone().skip(1).map(NonNull::as_ptr).chain([slab.free.get()]);
        for (node, next) in nodes.zip(next) {
            // SAFETY: a live block that the caller gives up, at least 8 bytes and aligned to 8.
            unsafe { node.write(Node { next: Cell::new(next) }) };
        }
        if let Some(first) = run.first() {
            slab.free.set(first.cast().as_ptr());
            self.back::<true>(slab, u32::try_from(run.len()).unwrap_or(u32::MAX));
        }
    }

    /// A block was given back to a slab in a list.
    #[inline(never)]
    fn given(&self, slab: &Slab) {
        let class = usize::from(slab.class.get());
        if slab.place.get() == Place::Full {
            self.full[class].remove(slab);
            self.partial[class].push_front(slab, Place::Partial);
        }
        if slab.used() == 0 {
            let units = u32::from(slab.units.get());
            if self.empty_in_all.get() + units > EMPTY {
                self.partial[class].remove(slab);
                self.central().give_slab(slab);
            } else {
                self.empty[class].set(self.empty[class].get() + units);
                self.empty_in_all.set(self.empty_in_all.get() + units);
                purge::forget(slab);
                slab.begin_again();
                // who never comes to the heap's lock for slabs comes for the time
                self.emptied.set(self.emptied.get().wrapping_add(1));
                if self.emptied.get().is_multiple_of(LOOK) {
                    self.central().tick();
                }
            }
        }
    }

    /// A block of a class whose slab has none on its list.
    #[inline(never)]
    fn more(&self, class: usize) -> Option<NonNull<u8>> {
        self.listen();
        self.recent.miss(class);
        let current = self.current[class].get();
        if current != nothing() {
            // SAFETY: a slab of this thread.
            let slab = unsafe { &*current };
            if slab.has_free() || refill(slab) {
                // SAFETY: as above.
                return unsafe { pop_any(current) };
            }
            self.full[class].push_back(slab, Place::Full);
        }
        let slab = self.partly_free(class).or_else(|| self.came_back(class)).or_else(|| self.fresh(class));
        let Some(slab) = slab else {
            self.set_current(class, nothing());
            return None;
        };
        self.set_current(class, slab);
        // SAFETY: a slab of this thread.
        let chosen = unsafe { &*slab };
        if !chosen.has_free() {
            let refilled = refill(chosen);
            debug_assert!(refilled, "a slab with nothing to give");
        }
        // SAFETY: as above.
        unsafe { pop_any(slab) }
    }

    fn partly_free(&self, class: usize) -> Option<*const Slab> {
        // SAFETY: slabs in the list are this thread's.
        let slab = unsafe { self.partial[class].first.get().as_ref() }?;
        self.partial[class].remove(slab);
        if slab.used() == 0 {
            let units = u32::from(slab.units.get()).min(self.empty[class].get());
            self.empty[class].set(self.empty[class].get() - units);
            self.empty_in_all.set(self.empty_in_all.get() - units);
        }
        Some(slab)
    }

    /// A slab among the full ones to which another thread has given blocks back. Where nobody told of any since all of them were looked
    /// at, few are looked at, now and then: see [`Looking`].
    fn came_back(&self, class: usize) -> Option<*const Slab> {
        let (full, looking) = (&self.full[class], &self.looking[class]);
        for _ in 0..looking.looks(self.central().told_of(class), full.len()) {
            looking.looked();
            // SAFETY: slabs in the list are this thread's.
            let slab = unsafe { full.first.get().as_ref() }?;
            full.remove(slab);
            if collect(slab) > 0 {
                return Some(slab);
            }
            full.push_back(slab, Place::Full);
        }
        None
    }

    /// A slab of the heap's. Of those whose thread is gone, the ones without a free block come along: somebody must have them.
    fn fresh(&self, class: usize) -> Option<*const Slab> {
        self.recent.begin_class(class, self.central().classes.size_of(class));
        loop {
            let slab = self.central().take_slab(class, core::ptr::from_ref(self).addr())?;
            // SAFETY: a slab that the heap has just made this thread's.
            let slab = unsafe { slab.as_ref() };
            if slab.has_free() || refill(slab) {
                return Some(slab);
            }
            self.full[class].push_back(slab, Place::Full);
        }
    }

    fn set_current(&self, class: usize, slab: *const Slab) {
        self.current[class].set(slab);
    }

    /// None of a class are empty any more.
    fn no_empty(&self, class: usize) {
        self.empty_in_all.set(self.empty_in_all.get() - self.empty[class].replace(0));
    }

    /// Gives up every slab: empty ones to the heap, others for the next thread that needs their class.
    pub(crate) fn leave(&self) {
        self.tell();
        self.settle_to_leave();
        for class in 0..MOST {
            let current = self.current[class].replace(nothing());
            if current != nothing() {
                // SAFETY: a slab of this thread.
                self.central().abandon(unsafe { &*current });
            }
            for list in [&self.partial[class], &self.full[class]] {
                // SAFETY: slabs in the list are this thread's.
                while let Some(slab) = unsafe { list.first.get().as_ref() } {
                    list.remove(slab);
                    self.central().abandon(slab);
                }
            }
            self.no_empty(class);
            self.looking[class].end();
        }
    }

    /// Gives empty slabs to the heap, and the memory inside the free blocks of others to the system; how many bytes went there.
    pub(crate) fn tidy(&self) -> usize {
        let all =
            |came: Result<u32, usize>| came.unwrap_or_else(|address| misused(Misuse::DoubleFree, address));
        self.tell();
        self.settle_all();
        let mut gone = 0;
        for class in 0..MOST {
            let current = self.current[class].get();
            if current != nothing() {
                // SAFETY: a slab of this thread.
                let slab = unsafe { &*current };
                all(collect_all(slab));
                if slab.used() == 0 {
                    self.set_current(class, nothing());
                    self.central().give_slab(slab);
                } else {
                    gone += purge::drain(slab);
                }
            }
            for list in [&self.partial[class], &self.full[class]] {
                let mut at = list.first.get();
                // SAFETY: slabs in the list are this thread's.
                while let Some(slab) = unsafe { at.as_ref() } {
                    at = slab.next.get();
                    let came = all(collect_all(slab));
                    if slab.used() == 0 {
                        list.remove(slab);
                        self.central().give_slab(slab);
                        continue;
                    }
                    gone += purge::drain(slab);
                    if came > 0 && slab.place.get() == Place::Full {
                        list.remove(slab);
                        self.partial[class].push_front(slab, Place::Partial);
                    }
                }
            }
            self.no_empty(class);
        }
        gone
    }

    /// Answers a call for memory: with empty slabs, or with all that can go.
    #[cold]
    fn hear(&self, call: u32) {
        let all = (call ^ self.answered.replace(call)) >> 16 != 0;
        if all {
            self.tidy();
            self.central().trim_free();
            return;
        }
        self.tell();
        self.settle_all();
        for class in (0..MOST).filter(|&class| self.empty[class].get() > 0) {
            let mut at = self.partial[class].first.get();
            // SAFETY: slabs in the list are this thread's.
            while let Some(slab) = unsafe { at.as_ref() } {
                at = slab.next.get();
                if slab.used() == 0 {
                    self.partial[class].remove(slab);
                    self.central().give_slab(slab);
                }
            }
            self.no_empty(class);
        }
    }

    /// The same, as an answer to a call that this thread made itself.
    pub(crate) fn answer(&self, call: u32) -> usize {
        self.answered.set(call);
        self.tidy()
    }
}

/// What is wrong with a block, and its address.
type Wrong = (Misuse, usize);

/// Ends the program where something is wrong.
#[inline]
fn ended(result: Result<(), Wrong>) {
    if let Err((misuse, address)) = result {
        misused(misuse, address);
    }
}

/// Puts a block on the list of its slab, which is not wide.
///
/// # Safety
/// A live block of that slab, which is the calling thread's, that the caller gives up.
#[inline(always)]
unsafe fn put(slab: &Slab, block: NonNull<u8>) {
    debug_assert!(!slab.is_wide(), "it has no list");
    let node: NonNull<Node> = block.cast();
    // SAFETY: the block is the caller's to give and nobody's afterwards; blocks have at least 8 bytes and are aligned to 8.
    unsafe { node.write(Node { next: Cell::new(slab.free.get()) }) };
    slab.free.set(node.as_ptr());
}

/// The same value, of which the compiler knows no other way to it, and which it has before what follows.
#[inline(always)]
#[cfg_attr(
    all(any(target_arch = "x86_64", target_arch = "aarch64"), not(any(miri, loom))),
    expect(clippy::pointers_in_nomem_asm_block, reason = "the address passes through, and nothing is read")
)]
fn unfolded<T>(value: *const T) -> *const T {
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(any(miri, loom))))]
    let value = {
        let mut value = value;
        // SAFETY: no instruction.
        unsafe { core::arch::asm!("/* {0} */", inout(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    };
    value
}
