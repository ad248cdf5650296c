//! One thread's part of a heap, used without a lock.
//!
//! An allocation takes the most recently freed block of the class from the thread cache. If there
//! is none, it takes one from the class's current slab; slabs with free blocks are in `partial`,
//! those without in `full`. Remote frees are collected when the thread runs out of blocks, so the
//! fast path is a few loads and stores and one test.
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

/// Number of slabs that become empty and stay before the thread checks the time.
const EMPTIED_PER_CLOCK_CHECK: u32 = 16;
/// Maximum number of units of empty slabs that a thread keeps: 2 MiB.
const MAX_EMPTY_UNITS: u32 = 32;

/// A slab without blocks, the current one of each class at first.
struct EmptySlab(Slab);

// SAFETY: never written: it is in no list and has no block to free.
unsafe impl Sync for EmptySlab {}

static EMPTY_SLAB: EmptySlab = EmptySlab(Slab::empty());

fn empty_slab() -> *const Slab {
    &raw const EMPTY_SLAB.0
}

/// The slabs of one thread. Owner words hold its address with a tag in the low bits, so it is
/// aligned to 4096.
#[repr(C, align(4096))]
#[derive(Debug)]
pub(crate) struct ThreadHeap {
    /// Blocks freed most recently. Their slabs count them as allocated.
    cache: ThreadCache,
    current: [Cell<*const Slab>; BIN_COUNT],
    partial: [SlabList; SIZE_CLASS_COUNT],
    full: [SlabList; SIZE_CLASS_COUNT],
    scan: [ScanThrottle; SIZE_CLASS_COUNT],
    /// Units of empty slabs in `partial`, by class, and their total.
    empty_units: [Cell<u32>; SIZE_CLASS_COUNT],
    empty_units_total: Cell<u32>,
    /// Number of slabs that became empty and stayed.
    emptied_count: Cell<u32>,
    /// Frees of other threads' blocks that are not posted yet, by class.
    pub(crate) remote_cache: [RemoteFreeCache; SIZE_CLASS_COUNT],
    /// The bin of the last allocation.
    predicted_bin: Cell<*const CacheBin>,
    pub(crate) central: Cell<*const Central>,
    /// The last trim request that was served.
    seen_trim_epoch: Cell<u32>,
    /// Next idle thread heap, under the heap's lock.
    pub(crate) next: Cell<Option<NonNull<ThreadHeap>>>,
    /// Next in the list of all thread heaps, under the heap's lock.
    pub(crate) next_in_all: Cell<Option<NonNull<ThreadHeap>>>,
}

impl ThreadHeap {
    /// Initializes fresh memory in place: a thread's stack may be too small for a temporary of this
    /// size.
    ///
    /// # Safety
    /// `memory` is valid for a `ThreadHeap`, aligned, zeroed, and not shared.
    pub(crate) unsafe fn init(memory: NonNull<Self>, central: *const Central) {
        // SAFETY: the caller's guarantees; zeroes are null pointers, zero counts, `false` and
        // `None`, a value of each field.
        let fresh = unsafe { memory.as_ref() };
        fresh.current.iter().for_each(|slab| slab.set(empty_slab()));
        fresh.central.set(central);
        fresh.cache.init();
    }

    /// Returns the number of cached blocks of a class. Any thread may call this.
    pub(crate) fn cached(&self, class: usize) -> usize {
        self.cache.len(class)
    }

    /// Returns whether the holder in an owner word is this thread heap.
    #[inline(always)]
    pub(crate) fn is_holder(&self, holder: usize) -> bool {
        core::ptr::from_ref(self).addr() == holder
    }

    pub(crate) fn central(&self) -> &Central {
        // SAFETY: a heap outlives its thread heaps.
        unsafe { &*self.central.get() }
    }

    /// Pops a block from the thread cache, or from the current slab of the class.
    #[inline(always)]
    pub(crate) fn pop(&self, class: usize) -> Option<NonNull<u8>> {
        let bin = self.cache.bin(class);
        self.predicted_bin.set(bin);
        let cached = bin.pop();
        if cached.is_some() {
            return cached;
        }
        let slab = self.current[class % BIN_COUNT].get();
        // SAFETY: the slab is this thread's, or the one without blocks.
        let listed = unsafe { pop(slab) };
        // SAFETY: as above.
        listed.or_else(|| unsafe { &*slab }.pop_bit())
    }

    /// Allocates a block of a class, with more slabs if the cache and the current slab are empty.
    pub(crate) fn allocate(&self, class: usize) -> Option<NonNull<u8>> {
        self.pop(class).or_else(|| self.allocate_slow(class))
    }

    /// Frees a block of one of this thread's slabs into the thread cache. `tag` comes from the
    /// block's owner word.
    ///
    /// # Safety
    /// `block` is a live block of this thread's slabs, which the caller gives up, and `tag` is its
    /// tag.
    #[inline(always)]
    pub(crate) unsafe fn free_local(&self, tag: UnitTag, block: NonNull<u8>) {
        let (bin, predicted_bin) = (self.cache.bin(tag.class()), self.predicted_bin.get());
        let predicted = opaque(predicted_bin);
        // The bin of the last allocation is the predicted one. If it matches, the next allocation
        // of the class need not wait for the load of the owner word: half the time of a pair.
        let pushed = if core::ptr::eq(bin, predicted_bin) {
            // SAFETY: set from a reference to a bin of this cache, and equal to `bin`, so it is
            // that bin.
            unsafe { &*predicted }.push(block)
        } else {
            bin.push(block)
        };
        if pushed {
            return;
        }
        // SAFETY: a block with an owner lies in a segment whose metadata is committed.
        let segment = unsafe { &*segment_base(block) };
        let slab = &segment.slabs[(unit_of(block) - tag.slab_offset()) % UNITS_PER_SEGMENT];
        if slab.uses_bitmap() {
            return self.push_to_full_bin(slab, block);
        }
        // SAFETY: the caller guarantees a live block of this slab, which it gives up.
        unsafe { push_block(slab, block) };
        self.on_freed::<true>(slab, 1);
    }

    /// Serves the heap's latest trim request, if it is new.
    pub(crate) fn poll_trim_request(&self) {
        let epoch = self.central().trim_epoch();
        if epoch != self.seen_trim_epoch.get() {
            self.handle_trim_request(epoch);
        }
    }

    /// Pushes a block of a bitmap slab whose bin is full: grows the bin, or flushes the older half
    /// of it.
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

    /// Flushes the oldest blocks of a class to their slabs. A double free ends the program.
    fn flush_oldest(&self, class: usize, number: usize) {
        abort_on_error(self.flush_bin::<true>(class, number));
    }

    /// Flushes one block of a bitmap slab.
    #[cold]
    fn flush_one(&self, slab: &Slab, block: NonNull<u8>) -> Result<(), Wrong> {
        let mut batch = FreeBatch::new(slab);
        if !batch.push(block) {
            return Err((batch.misuse(block), block.addr().get()));
        }
        self.flush_batch::<true>(&batch)
    }

    /// Flushes all cached blocks to their slabs and resets the bins.
    fn flush_all(&self) {
        (0..SIZE_CLASS_COUNT).for_each(|class| self.flush_oldest(class, self.cache.len(class)));
        self.cache.reset_capacities(|class| self.central().classes.size_of(class));
    }

    /// Flushes all cached blocks of a thread that gives its slabs up. Runs under the heap's lock,
    /// so that statistics count each block once. Slabs stay in their lists.
    fn flush_for_abandon(&self) {
        let lock = self.central().lock();
        let flushed =
            (0..SIZE_CLASS_COUNT).try_for_each(|class| self.flush_bin::<false>(class, self.cache.len(class)));
        drop(lock);
        abort_on_error(flushed);
        self.cache.reset_capacities(|class| self.central().classes.size_of(class));
    }

    fn flush_bin<const RELINK: bool>(&self, class: usize, number: usize) -> Result<(), Wrong> {
        let (mut batch, mut result) = (FreeBatch::default(), Ok(()));
        self.cache.pop_oldest(class, number, |block| {
            // most blocks lie in the slab of the one before
            if !batch.push(block) {
                result = result.and(self.return_to_slab::<RELINK>(&mut batch, block));
            }
        });
        result.and(self.flush_batch::<RELINK>(&batch))
    }

    /// Returns a cached block to its slab, or begins a new `batch` with it. `RELINK`: whether the
    /// slab then moves to the list that it belongs in.
    #[inline(never)]
    fn return_to_slab<'a, const RELINK: bool>(
        &self,
        batch: &mut FreeBatch<'a>,
        block: NonNull<u8>,
    ) -> Result<(), Wrong> {
        self.flush_batch::<RELINK>(batch)?;
        // SAFETY: a live block of this thread's slabs, in a segment whose metadata is committed and
        // lives as long as the heap.
        let segment: &'a Segment = unsafe { segment_of(block).as_ref() };
        // SAFETY: as above.
        let owner = unsafe { owner_of(block) };
        let slab = &segment.slabs[unit_of(block) - owner.tag().slab_offset()];
        if slab.uses_bitmap() {
            *batch = FreeBatch::new(slab);
            return if batch.push(block) { Ok(()) } else { Err((batch.misuse(block), block.addr().get())) };
        }
        *batch = FreeBatch::default();
        // SAFETY: the block was freed and has left the cache.
        unsafe { push_block(slab, block) };
        self.on_freed::<RELINK>(slab, 1);
        Ok(())
    }

    /// Frees the blocks of a batch.
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

    /// Subtracts `count` freed blocks from a slab.
    #[inline(always)]
    fn on_freed<const RELINK: bool>(&self, slab: &Slab, count: u32) {
        let used = slab.used() - count;
        slab.set_used(used);
        if RELINK && slab.list.get().must_relink(used) {
            self.relink(slab);
        }
    }

    /// Allocates blocks of a class into `out`, a slab at a time. Returns how many: fewer if there
    /// is no memory.
    pub(crate) fn allocate_batch(&self, class: usize, out: &mut [NonNull<u8>]) -> usize {
        let mut done = 0;
        while done < out.len() {
            let current = self.current[class].get();
            if current != empty_slab() {
                // SAFETY: a slab of this thread.
                let slab = unsafe { &*current };
                // freed blocks first, then those that were never carved
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

    /// Frees blocks of one of this thread's slabs.
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
            // every block is free now: a reset leaves the blocks and the list untouched
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

    /// Moves a slab in a list to the list that it belongs in after a free.
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
                // a thread that never needs the heap's lock for slabs checks the time here
                self.emptied_count.set(self.emptied_count.get().wrapping_add(1));
                if self.emptied_count.get().is_multiple_of(EMPTIED_PER_CLOCK_CHECK) {
                    self.central().tick();
                }
            }
        }
    }

    /// Allocates a block of a class whose current slab has no block on its list.
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
            debug_assert!(refilled, "a slab without free blocks");
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

    /// Scans full slabs, as many as the throttle allows, and returns the first one with remote
    /// frees. Its blocks are collected, and no list contains it any more. See [`ScanThrottle`].
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

    /// Fetches a slab from the heap. Abandoned slabs without a free block are adopted too.
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

    /// Clears the count of empty units of a class.
    fn clear_empty_units(&self, class: usize) {
        self.empty_units_total.set(self.empty_units_total.get() - self.empty_units[class].replace(0));
    }

    /// Gives every slab up: the heap frees empty ones and keeps the others as abandoned.
    pub(crate) fn abandon_all(&self) {
        self.flush_remote_frees();
        self.flush_for_abandon();
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
            self.clear_empty_units(class);
            self.scan[class].clear();
        }
    }

    /// Releases empty slabs, and purges the free blocks of the others. Returns the bytes purged.
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
            self.clear_empty_units(class);
        }
        purged_bytes
    }

    /// Serves a trim request. A change of the epoch's high half requests everything, one of the low
    /// half the slabs that are empty.
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
            self.clear_empty_units(class);
        }
    }

    /// Serves a trim request that this thread made itself. Returns the bytes purged.
    pub(crate) fn serve_trim(&self, epoch: u32) -> usize {
        self.seen_trim_epoch.set(epoch);
        self.collect_thread()
    }
}

/// A misuse and the address of the block.
type Wrong = (Misuse, usize);

/// Ends the program on a misuse.
#[inline]
fn abort_on_error(result: Result<(), Wrong>) {
    if let Err((misuse, address)) = result {
        abort_misuse(misuse, address);
    }
}

/// Adds a block to the free list of its slab, which has no bitmap.
///
/// # Safety
/// A live block of that slab, which the calling thread owns and the caller gives up.
#[inline(always)]
unsafe fn push_block(slab: &Slab, block: NonNull<u8>) {
    debug_assert!(!slab.uses_bitmap(), "it has no list");
    let node: NonNull<Node> = block.cast();
    // SAFETY: the caller gives up the block; blocks have at least 8 bytes and are aligned to 8.
    unsafe { node.write(Node { next: Cell::new(slab.free.get()) }) };
    slab.free.set(node.as_ptr());
}

/// Returns its argument. The compiler cannot derive the result from another value, so it does not
/// delay what follows.
#[inline(always)]
#[cfg_attr(
    all(any(target_arch = "x86_64", target_arch = "aarch64"), not(any(miri, loom))),
    expect(clippy::pointers_in_nomem_asm_block, reason = "the address passes through, and nothing is read")
)]
fn opaque<T>(value: *const T) -> *const T {
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(any(miri, loom))))]
    let value = {
        let mut value = value;
        // SAFETY: the assembly has no instruction.
        unsafe { core::arch::asm!("/* {0} */", inout(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    };
    value
}
