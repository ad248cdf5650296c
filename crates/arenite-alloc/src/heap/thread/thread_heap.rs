//! One thread's part of a heap: the slabs that it allocates from, without a lock.
//!
//! Rests on `Recent`, on `Slab`, and on `Central` for more slabs. A block of a class is one that was just given back; where none was,
//! it comes from the class's one current slab. Others with free blocks wait in `partial`, those without in `full`. What other
//! threads give back is collected when the thread runs out, so the fast path is two loads, a test and a store.
#![expect(unsafe_code, reason = "walks slabs and lists that this thread owns")]

use crate::heap::central::central::Central;
use crate::heap::classes::SIZE_CLASS_COUNT;
use crate::heap::geometry::UNITS_PER_SEGMENT;
use crate::heap::hardened::misuse::{Misuse, abort_misuse};
use crate::heap::owner::UnitTag;
use crate::heap::segment::segment::{Segment, owner_of, segment_base, segment_of, unit_of};
use crate::heap::slab::free_batch::FreeBatch;
use crate::heap::slab::purge;
use crate::heap::slab::refill::{collect, collect_all, refill};
use crate::heap::slab::slab::{ListKind, Node, Slab, pop, pop_block};
use crate::heap::slab::slab_list::SlabList;
use crate::heap::thread::full_scan::ScanThrottle;
use crate::heap::thread::remote_cache::RemoteFreeCache;
use crate::heap::thread::thread_cache::{BIN_COUNT, CacheBin, ThreadCache};
use core::cell::Cell;
use core::ptr::NonNull;

/// After how many slabs that became empty and were kept the thread looks at the time.
const CLOCK_CHECK_INTERVAL: u32 = 16;
/// How many units of empty slabs a thread keeps: 2 MiB.
const MAX_EMPTY_UNITS: u32 = 32;

/// A slab of no blocks, which every class begins with.
struct EmptySlab(Slab);

// SAFETY: never written: it is in no list and has no block to give back.
unsafe impl Sync for EmptySlab {}

static EMPTY_SLAB: EmptySlab = EmptySlab(Slab::empty());

fn empty_slab() -> *const Slab {
    &raw const EMPTY_SLAB.0
}

/// The slabs of one thread. Its address is what marks a slab as its own, so it lies at a multiple of 4096.
#[repr(C, align(4096))]
#[derive(Debug)]
pub(crate) struct ThreadHeap {
    /// Blocks that were given back last, by class; for their slabs they are lent.
    cache: ThreadCache,
    current: [Cell<*const Slab>; BIN_COUNT],
    partial: [SlabList; SIZE_CLASS_COUNT],
    full: [SlabList; SIZE_CLASS_COUNT],
    scan: [ScanThrottle; SIZE_CLASS_COUNT],
    /// Units of empty slabs in `partial`, by class, and in all.
    empty_units: [Cell<u32>; SIZE_CLASS_COUNT],
    empty_units_total: Cell<u32>,
    /// How often a slab became empty and was kept.
    emptied_count: Cell<u32>,
    /// Blocks of other threads that it gave back and has not told of, by class.
    pub(crate) remote_cache: [RemoteFreeCache; SIZE_CLASS_COUNT],
    /// The top of the class that was asked for last.
    predicted_bin: Cell<*const CacheBin>,
    pub(crate) central: Cell<*const Central>,
    /// The last call for memory that it answered.
    seen_trim_epoch: Cell<u32>,
    /// The next one that is idle, under the heap's lock.
    pub(crate) next: Cell<Option<NonNull<ThreadHeap>>>,
    /// The one made before, under the heap's lock.
    pub(crate) next_in_all: Cell<Option<NonNull<ThreadHeap>>>,
}

impl ThreadHeap {
    /// Makes fresh memory the slabs of a thread, where it lies: a thread's stack may be smaller than two of these.
    ///
    /// # Safety
    /// `memory` is valid for one, aligned, all zeroes, and nobody else's.
    pub(crate) unsafe fn init(memory: NonNull<Self>, central: *const Central) {
        // SAFETY: the caller's promise; zeroes are null, nothing and none, a value of each field.
        let fresh = unsafe { memory.as_ref() };
        fresh.current.iter().for_each(|slab| slab.set(empty_slab()));
        fresh.central.set(central);
        fresh.cache.init();
    }

    /// How many blocks of a class wait in `recent`. Anybody may ask.
    pub(crate) fn cached(&self, class: usize) -> usize {
        self.cache.len(class)
    }

    /// Whether it is the owner that an arena's table tells of.
    #[inline(always)]
    pub(crate) fn is_owner(&self, owner: usize) -> bool {
        core::ptr::from_ref(self).addr() == owner
    }

    pub(crate) fn central(&self) -> &Central {
        // SAFETY: a heap outlives the slabs of its threads.
        unsafe { &*self.central.get() }
    }

    /// A block of a class that was just given back, or one from its slab, if that has one.
    #[inline(always)]
    pub(crate) fn pop(&self, class: usize) -> Option<NonNull<u8>> {
        let bin = self.cache.bin(class);
        self.predicted_bin.set(bin);
        let cache = bin.pop();
        if cache.is_some() {
            return cache;
        }
        let slab = self.current[class % BIN_COUNT].get();
        // SAFETY: the slab is this thread's, or the one of no blocks.
        let listed = unsafe { pop(slab) };
        // SAFETY: as above.
        listed.or_else(|| unsafe { &*slab }.pop_bit())
    }

    /// As [`ThreadHeap::pop`], with more slabs where that one has nothing.
    pub(crate) fn allocate(&self, class: usize) -> Option<NonNull<u8>> {
        self.pop(class).or_else(|| self.allocate_slow(class))
    }

    /// Takes a block of one of this thread's slabs back; it waits for the next request of its class. `low`: the low bits of what stands
    /// in the place of an owner of the unit that the block lies in.
    ///
    /// # Safety
    /// `block` is a live block of this thread's, and `low` is what stands there.
    #[inline(always)]
    pub(crate) unsafe fn free_local(&self, tag: UnitTag, block: NonNull<u8>) {
        let (bin, predicted_bin) = (self.cache.bin(tag.class()), self.predicted_bin.get());
        let predicted = opaque(predicted_bin);
        // Where a block of the same class was asked for last, that is predicted, and the next request of the class does not wait for the
        // table that this one's class stands in: half of a pair's time.
        let waits = if core::ptr::eq(bin, predicted_bin) {
            // SAFETY: it was set from a reference to a top of this value, and is equal to `top`, so it is that one.
            unsafe { &*predicted }.push(block)
        } else {
            bin.push(block)
        };
        if waits {
            return;
        }
        // SAFETY: a block with an owner lies in an arena whose tables are whole.
        let segment = unsafe { &*segment_base(block) };
        let slab = &segment.slabs[(unit_of(block) - tag.slab_offset()) % UNITS_PER_SEGMENT];
        if slab.uses_bitmap() {
            return self.push_to_full_bin(slab, block);
        }
        // SAFETY: the caller's promise.
        unsafe { push_block(slab, block) };
        self.on_freed::<true>(slab, 1);
    }

    /// Answers the heap's call for memory, if there was one.
    pub(crate) fn poll_trim_request(&self) {
        let epoch = self.central().trim_epoch();
        if epoch != self.seen_trim_epoch.get() {
            self.handle_trim_request(epoch);
        }
    }

    /// A block of a wide slab finds no room among those that wait: it gets more, or the older half of the others go to theirs.
    #[inline(never)]
    fn push_to_full_bin(&self, slab: &Slab, block: NonNull<u8>) {
        let (class, size) = (usize::from(slab.class.get()), slab.block.get() as usize);
        if !self.cache.grow(class, size) {
            self.flush_oldest(class, self.cache.capacity(class).div_ceil(2));
        }
        if !self.cache.bin(class).push(block) {
            abort_on_error(self.flush_one(slab, block));
        }
    }

    /// Gives so many blocks of a class that wait to their slabs, the oldest. One that cannot go ends the program.
    fn flush_oldest(&self, class: usize, number: usize) {
        abort_on_error(self.flush_bin::<true>(class, number));
    }

    /// The same for one block of a wide slab.
    #[cold]
    fn flush_one(&self, slab: &Slab, block: NonNull<u8>) -> Result<(), Wrong> {
        let mut batch = FreeBatch::new(slab);
        if !batch.push(block) {
            return Err((batch.misuse(block), block.addr().get()));
        }
        self.flush_batch::<true>(&batch)
    }

    /// Gives all blocks that wait to their slabs.
    fn flush_all(&self) {
        (0..SIZE_CLASS_COUNT).for_each(|class| self.flush_oldest(class, self.cache.len(class)));
        self.cache.reset_capacities(|class| self.central().classes.size_of(class));
    }

    /// The same for a thread that leaves, under the heap's lock: who sums up what is lent meanwhile counts each block once. Slabs stay in
    /// the lists that they are in.
    fn flush_on_exit(&self) {
        let lock = self.central().lock();
        let settled =
            (0..SIZE_CLASS_COUNT).try_for_each(|class| self.flush_bin::<false>(class, self.cache.len(class)));
        drop(lock);
        abort_on_error(settled);
        self.cache.reset_capacities(|class| self.central().classes.size_of(class));
    }

    fn flush_bin<const RELINK: bool>(&self, class: usize, number: usize) -> Result<(), Wrong> {
        let (mut batch, mut result) = (FreeBatch::default(), Ok(()));
        self.cache.pop_oldest(class, number, |block| {
            // most lie in the slab of the one before
            if !batch.push(block) {
                result = result.and(self.return_to_slab::<RELINK>(&mut batch, block));
            }
        });
        result.and(self.flush_batch::<RELINK>(&batch))
    }

    /// Gives a block that waited to its slab, or has it wait in a new `run` for others of the same slab. `PLACES`: whether a slab goes to the
    /// list that it belongs in afterwards.
    #[inline(never)]
    fn return_to_slab<'a, const RELINK: bool>(
        &self,
        batch: &mut FreeBatch<'a>,
        block: NonNull<u8>,
    ) -> Result<(), Wrong> {
        self.flush_batch::<RELINK>(batch)?;
        // SAFETY: a live block of a slab of this thread, in an arena whose tables are whole, and live as long as the heap.
        let segment: &'a Segment = unsafe { segment_of(block).as_ref() };
        // SAFETY: as above.
        let owner = unsafe { owner_of(block) };
        let slab = &segment.slabs[unit_of(block) - owner.tag().slab_offset()];
        if slab.uses_bitmap() {
            *batch = FreeBatch::new(slab);
            return if batch.push(block) { Ok(()) } else { Err((batch.misuse(block), block.addr().get())) };
        }
        *batch = FreeBatch::default();
        // SAFETY: the block was given up, and has left the ones that wait.
        unsafe { push_block(slab, block) };
        self.on_freed::<RELINK>(slab, 1);
        Ok(())
    }

    /// Makes the blocks of a run free.
    ///
    /// # Errors
    /// One of them is free already.
    #[inline]
    fn flush_batch<const RELINK: bool>(&self, batch: &FreeBatch<'_>) -> Result<(), Wrong> {
        let Some(slab) = batch.slab else { return Ok(()) };
        let count = batch.bits.count_ones();
        if let Some(address) = slab.find_double_free(batch.bits) {
            return Err((Misuse::DoubleFree, address));
        }
        if count > slab.used() {
            let address = slab.address_of(batch.bits.trailing_zeros() as usize);
            return Err((Misuse::DoubleFree, address));
        }
        slab.add_free_bits(batch.bits);
        self.on_freed::<RELINK>(slab, count);
        Ok(())
    }

    /// So many blocks of a slab are back.
    #[inline(always)]
    fn on_freed<const RELINK: bool>(&self, slab: &Slab, count: u32) {
        let used = slab.used() - count;
        slab.set_used(used);
        if RELINK && slab.list.get().must_relink(used) {
            self.relink(slab);
        }
    }

    /// Blocks of a class, as many as `out` has room for, a slab at a time. How many: fewer where there is no memory.
    pub(crate) fn allocate_batch(&self, class: usize, out: &mut [NonNull<u8>]) -> usize {
        let mut done = 0;
        while done < out.len() {
            let current = self.current[class].get();
            if current != empty_slab() {
                // SAFETY: a slab of this thread.
                let slab = unsafe { &*current };
                // what was lent before first, then what never was
                while let Some(slot) = out.get_mut(done) {
                    // SAFETY: as above.
                    let Some(block) = (unsafe { pop_block(current) }) else { break };
                    *slot = block;
                    done += 1;
                }
                done += slab.bump_fresh(&mut out[done..]);
                if done == out.len() {
                    break;
                }
            }
            match self.allocate_slow(class) {
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
    pub(crate) unsafe fn free_run(&self, slab: &Slab, blocks: &[NonNull<u8>]) {
        if slab.uses_bitmap() {
            let mut batch = FreeBatch::new(slab);
            for &block in blocks {
                if !batch.push(block) {
                    abort_misuse(batch.misuse(block), block.addr().get());
                }
            }
            return abort_on_error(self.flush_batch::<true>(&batch));
        }
        if !blocks.is_empty() && slab.used() as usize == blocks.len() {
            // all that were lent: the slab begins again, and no block needs to be on the list, nor touched
            purge::clear_purged(slab);
            slab.reset();
            if slab.list.get() != ListKind::None {
                self.relink(slab);
            }
            return;
        }
        let nodes = blocks.iter().map(|block| block.cast::<Node>());
        let next = nodes.clone().skip(1).map(NonNull::as_ptr).chain([slab.free.get()]);
        for (node, next) in nodes.zip(next) {
            // SAFETY: a live block that the caller gives up, at least 8 bytes and aligned to 8.
            unsafe { node.write(Node { next: Cell::new(next) }) };
        }
        if let Some(first) = blocks.first() {
            slab.free.set(first.cast().as_ptr());
            self.on_freed::<true>(slab, u32::try_from(blocks.len()).unwrap_or(u32::MAX));
        }
    }

    /// A block was given back to a slab in a list.
    #[inline(never)]
    fn relink(&self, slab: &Slab) {
        let class = usize::from(slab.class.get());
        if slab.list.get() == ListKind::Full {
            self.full[class].remove(slab);
            self.partial[class].push_front(slab, ListKind::Partial);
        }
        if slab.used() == 0 {
            let units = u32::from(slab.units.get());
            if self.empty_units_total.get() + units > MAX_EMPTY_UNITS {
                self.partial[class].remove(slab);
                self.central().release_slab(slab);
            } else {
                self.empty_units[class].set(self.empty_units[class].get() + units);
                self.empty_units_total.set(self.empty_units_total.get() + units);
                purge::clear_purged(slab);
                slab.reset();
                // who never comes to the heap's lock for slabs comes for the time
                self.emptied_count.set(self.emptied_count.get().wrapping_add(1));
                if self.emptied_count.get().is_multiple_of(CLOCK_CHECK_INTERVAL) {
                    self.central().tick();
                }
            }
        }
    }

    /// A block of a class whose slab has none on its list.
    #[inline(never)]
    fn allocate_slow(&self, class: usize) -> Option<NonNull<u8>> {
        self.poll_trim_request();
        self.cache.note_miss(class);
        let current = self.current[class].get();
        if current != empty_slab() {
            // SAFETY: a slab of this thread.
            let slab = unsafe { &*current };
            if slab.has_free() || refill(slab) {
                // SAFETY: as above.
                return unsafe { pop_block(current) };
            }
            self.full[class].push_back(slab, ListKind::Full);
        }
        let slab =
            self.pop_partial(class).or_else(|| self.scan_full(class)).or_else(|| self.fetch_slab(class));
        let Some(slab) = slab else {
            self.set_current(class, empty_slab());
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
        unsafe { pop_block(slab) }
    }

    fn pop_partial(&self, class: usize) -> Option<*const Slab> {
        // SAFETY: slabs in the list are this thread's.
        let slab = unsafe { self.partial[class].first.get().as_ref() }?;
        self.partial[class].remove(slab);
        if slab.used() == 0 {
            let units = u32::from(slab.units.get()).min(self.empty_units[class].get());
            self.empty_units[class].set(self.empty_units[class].get() - units);
            self.empty_units_total.set(self.empty_units_total.get() - units);
        }
        Some(slab)
    }

    /// A slab among the full ones to which another thread has given blocks back. Where nobody told of any since all of them were looked
    /// at, few are looked at, now and then: see [`Looking`].
    fn scan_full(&self, class: usize) -> Option<*const Slab> {
        let (full, scan) = (&self.full[class], &self.scan[class]);
        for _ in 0..scan.budget(self.central().remote_epochs.get(class), full.len()) {
            scan.note_scanned();
            // SAFETY: slabs in the list are this thread's.
            let slab = unsafe { full.first.get().as_ref() }?;
            full.remove(slab);
            if collect(slab) > 0 {
                return Some(slab);
            }
            full.push_back(slab, ListKind::Full);
        }
        None
    }

    /// A slab of the heap's. Of those whose thread is gone, the ones without a free block come along: somebody must have them.
    fn fetch_slab(&self, class: usize) -> Option<*const Slab> {
        self.cache.init_bin(class, self.central().classes.size_of(class));
        loop {
            let slab = self.central().acquire_slab(class, core::ptr::from_ref(self).addr())?;
            // SAFETY: a slab that the heap has just made this thread's.
            let slab = unsafe { slab.as_ref() };
            if slab.has_free() || refill(slab) {
                return Some(slab);
            }
            self.full[class].push_back(slab, ListKind::Full);
        }
    }

    fn set_current(&self, class: usize, slab: *const Slab) {
        self.current[class].set(slab);
    }

    /// None of a class are empty any more.
    fn forget_empty(&self, class: usize) {
        self.empty_units_total.set(self.empty_units_total.get() - self.empty_units[class].replace(0));
    }

    /// Gives up every slab: empty ones to the heap, others for the next thread that needs their class.
    pub(crate) fn abandon_all(&self) {
        self.flush_remote_frees();
        self.flush_on_exit();
        for class in 0..SIZE_CLASS_COUNT {
            let current = self.current[class].replace(empty_slab());
            if current != empty_slab() {
                // SAFETY: a slab of this thread.
                self.central().abandon_slab(unsafe { &*current });
            }
            for list in [&self.partial[class], &self.full[class]] {
                // SAFETY: slabs in the list are this thread's.
                while let Some(slab) = unsafe { list.first.get().as_ref() } {
                    list.remove(slab);
                    self.central().abandon_slab(slab);
                }
            }
            self.forget_empty(class);
            self.scan[class].clear();
        }
    }

    /// Gives empty slabs to the heap, and the memory inside the free blocks of others to the system; how many bytes went there.
    pub(crate) fn collect_thread(&self) -> usize {
        let all = |collected: Result<u32, usize>| {
            collected.unwrap_or_else(|address| abort_misuse(Misuse::DoubleFree, address))
        };
        self.flush_remote_frees();
        self.flush_all();
        let mut purged_bytes = 0;
        for class in 0..SIZE_CLASS_COUNT {
            let current = self.current[class].get();
            if current != empty_slab() {
                // SAFETY: a slab of this thread.
                let slab = unsafe { &*current };
                all(collect_all(slab));
                if slab.used() == 0 {
                    self.set_current(class, empty_slab());
                    self.central().release_slab(slab);
                } else {
                    purged_bytes += purge::purge(slab);
                }
            }
            for list in [&self.partial[class], &self.full[class]] {
                let mut at = list.first.get();
                // SAFETY: slabs in the list are this thread's.
                while let Some(slab) = unsafe { at.as_ref() } {
                    at = slab.next.get();
                    let collected = all(collect_all(slab));
                    if slab.used() == 0 {
                        list.remove(slab);
                        self.central().release_slab(slab);
                        continue;
                    }
                    purged_bytes += purge::purge(slab);
                    if collected > 0 && slab.list.get() == ListKind::Full {
                        list.remove(slab);
                        self.partial[class].push_front(slab, ListKind::Partial);
                    }
                }
            }
            self.forget_empty(class);
        }
        purged_bytes
    }

    /// Answers a call for memory: with empty slabs, or with all that can go.
    #[cold]
    fn handle_trim_request(&self, epoch: u32) {
        let all = (epoch ^ self.seen_trim_epoch.replace(epoch)) >> 16 != 0;
        if all {
            self.collect_thread();
            self.central().trim_free_units();
            return;
        }
        self.flush_remote_frees();
        self.flush_all();
        for class in (0..SIZE_CLASS_COUNT).filter(|&class| self.empty_units[class].get() > 0) {
            let mut at = self.partial[class].first.get();
            // SAFETY: slabs in the list are this thread's.
            while let Some(slab) = unsafe { at.as_ref() } {
                at = slab.next.get();
                if slab.used() == 0 {
                    self.partial[class].remove(slab);
                    self.central().release_slab(slab);
                }
            }
            self.forget_empty(class);
        }
    }

    /// The same, as an answer to a call that this thread made itself.
    pub(crate) fn serve_trim(&self, epoch: u32) -> usize {
        self.seen_trim_epoch.set(epoch);
        self.collect_thread()
    }
}

/// What is wrong with a block, and its address.
type Wrong = (Misuse, usize);

/// Ends the program where something is wrong.
#[inline]
fn abort_on_error(result: Result<(), Wrong>) {
    if let Err((misuse, address)) = result {
        abort_misuse(misuse, address);
    }
}

/// Puts a block on the list of its slab, which is not wide.
///
/// # Safety
/// A live block of that slab, which is the calling thread's, that the caller gives up.
#[inline(always)]
unsafe fn push_block(slab: &Slab, block: NonNull<u8>) {
    debug_assert!(!slab.uses_bitmap(), "it has no list");
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
fn opaque<T>(value: *const T) -> *const T {
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(any(miri, loom))))]
    let value = {
        let mut value = value;
        // SAFETY: no instruction.
        unsafe { core::arch::asm!("/* {0} */", inout(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    };
    value
}
