//! The shared part of a heap, under one lock: segments, abandoned slabs, large blocks, thread
//! heaps.
//!
//! A thread comes here for a whole slab or span, so it takes the lock once per hundreds of small
//! blocks. `large_alloc` has the large blocks, `decay` the purging by time, `stats` the
//! statistics.
//!
//! Lock order: `hardened`, then `state`.
#![expect(unsafe_code, reason = "walks segments, slabs and thread heaps that the lock owns")]

use crate::heap::central::clock::Clock;
use crate::heap::central::large_cache::{LargeCache, LiveList};
use crate::heap::central::peaks::Peaks;
use crate::heap::central::remote_epochs::RemoteEpochs;
use crate::heap::classes::{SIZE_CLASS_COUNT, SizeClasses};
use crate::heap::hardened::misuse::{Misuse, abort_misuse};
use crate::heap::hardened::options::Hardening;
use crate::heap::hardened::state::HardenedState;
use crate::heap::owner::{ABANDONED, HOLDER_ALIGN, MAX_CLASSES, NO_HOLDER};
use crate::heap::segment::segment::{HugePolicy, Segment, segment_of, set_slab_owner, unit_of};
use crate::heap::slab::purge;
use crate::heap::slab::refill::collect_all;
use crate::heap::slab::slab::{Slab, units_for};
use crate::heap::thread::thread_heap::ThreadHeap;
use crate::util::sync::plain::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use arenite_core::Resource;
use arenite_pages::{ForkSafeMutex, ForkSafeMutexGuard, PageAllocator};
use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::{NonNull, null};
use core::time::Duration;
use std::sync::OnceLock;

const _: () =
    assert!(SIZE_CLASS_COUNT <= MAX_CLASSES && align_of::<ThreadHeap>() >= HOLDER_ALIGN, "owner words");

const THREAD_HEAP_LAYOUT: Layout = Layout::new::<ThreadHeap>();

/// The shared part of a heap.
#[derive(Debug)]
pub(crate) struct Central {
    pub(crate) classes: SizeClasses,
    /// Identity of the heap. No two heaps of a process ever have the same one.
    pub(crate) heap_id: u64,
    /// Next live heap, under the lock of the heap registry.
    pub(crate) next: Cell<Option<NonNull<Central>>>,
    state: ForkSafeMutex<State>,
    /// Options of a hardened heap. Set before the heap allocates a block.
    pub(crate) hardening: OnceLock<Hardening>,
    /// Slabs and quarantine of a hardened heap. Locked before `state`.
    pub(crate) hardened: ForkSafeMutex<HardenedState>,
    /// Most bytes that were seen in use.
    pub(crate) peak: AtomicUsize,
    /// Trim requests so far, see [`Central::trim_epoch`].
    trim_epoch: AtomicU32,
    /// Notifications of remote frees so far, by class.
    pub(crate) remote_epochs: RemoteEpochs,
}

// SAFETY: `next` is used under the lock of the heap registry; every other field is locked, atomic
// or immutable.
unsafe impl Sync for Central {}
// SAFETY: as for `Sync`; nothing in it belongs to one thread.
unsafe impl Send for Central {}

/// What the lock of a heap guards.
#[derive(Debug)]
pub(crate) struct State {
    segments: Option<NonNull<Segment>>,
    /// Slabs of exited threads, by class.
    abandoned: [*const Slab; SIZE_CLASS_COUNT],
    /// Thread heaps of exited threads.
    idle_threads: Option<NonNull<ThreadHeap>>,
    /// Every thread heap, newest first. They are freed when the heap is dropped.
    all_threads: Option<NonNull<ThreadHeap>>,
    pub(crate) large_cache: LargeCache,
    pub(crate) live_large: LiveList,
    /// Live large blocks, spans included.
    pub(crate) large_blocks: usize,
    /// Bytes of live large blocks, spans included.
    pub(crate) large_bytes: usize,
    /// Bytes of live spans, whose units the segments count.
    pub(crate) span_bytes: usize,
    /// Whether the heap advises huge pages.
    pub(crate) huge_pages: bool,
    pub(crate) clock: Clock,
    pub(crate) peaks: Peaks,
}

// SAFETY: the pointers lead to memory of the heap, which is used under the lock alone.
unsafe impl Send for State {}

impl Central {
    pub(crate) fn new(
        classes: SizeClasses,
        decay: Option<Duration>,
        huge_pages: bool,
        hardening: Option<Hardening>,
    ) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let state = State {
            segments: None,
            abandoned: [null(); SIZE_CLASS_COUNT],
            idle_threads: None,
            all_threads: None,
            large_cache: LargeCache::EMPTY,
            live_large: LiveList::EMPTY,
            large_blocks: 0,
            large_bytes: 0,
            span_bytes: 0,
            huge_pages,
            clock: Clock::new(decay),
            peaks: Peaks::NONE,
        };
        Self {
            classes,
            heap_id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            next: Cell::new(None),
            state: ForkSafeMutex::new(state),
            hardening: hardening.map_or_else(OnceLock::new, OnceLock::from),
            hardened: ForkSafeMutex::new(HardenedState::NEW),
            peak: AtomicUsize::new(0),
            trim_epoch: AtomicU32::new(0),
            remote_epochs: RemoteEpochs::new(),
        }
    }

    pub(crate) fn lock(&self) -> ForkSafeMutexGuard<'_, State> {
        self.state.lock()
    }

    /// Locks both locks for a fork.
    pub(crate) fn lock_for_fork(&self) {
        self.hardened.lock_raw();
        self.state.lock_raw();
    }

    /// Unlocks both locks after a fork.
    ///
    /// # Safety
    /// The calling thread, or the one that it is the copy of, called [`Central::lock_for_fork`].
    pub(crate) unsafe fn unlock_after_fork(&self) {
        // SAFETY: the caller locked it by `lock_for_fork`.
        drop(unsafe { self.state.guard_from_raw() });
        // SAFETY: as above.
        drop(unsafe { self.hardened.guard_from_raw() });
    }

    /// Returns the number of trim requests. A thread that sees a new number serves the request. The
    /// low half counts requests for empty slabs, the high half requests for everything.
    #[inline]
    pub(crate) fn trim_epoch(&self) -> u32 {
        self.trim_epoch.load(Ordering::Relaxed)
    }

    /// Requests that threads release everything they can. Returns the new epoch.
    pub(crate) fn request_full_trim(&self) -> u32 {
        self.trim_epoch.fetch_add(1 << 16, Ordering::Relaxed).wrapping_add(1 << 16)
    }

    /// Requests that threads release their empty slabs.
    pub(crate) fn request_empty_trim(&self) {
        // an overflow of the low half must not reach the high half
        let _before = self.trim_epoch.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |epoch| {
            Some(epoch & !0xffff | epoch.wrapping_add(1) & 0xffff)
        });
    }

    /// Acquires a thread heap that no thread uses, or makes one. Returns `None` without memory.
    pub(crate) fn acquire_thread_heap(&self) -> Option<NonNull<ThreadHeap>> {
        let mut state = self.lock();
        if let Some(idle) = state.idle_threads {
            // SAFETY: thread heaps live as long as their heap, and the lock owns the idle ones.
            state.idle_threads = unsafe { idle.as_ref() }.next.take();
            return Some(idle);
        }
        let memory: NonNull<ThreadHeap> = PageAllocator::new().allocate(THREAD_HEAP_LAYOUT).ok()?.cast();
        // SAFETY: fresh memory of that layout, which the system returns zeroed.
        unsafe { ThreadHeap::init(memory, self) };
        // SAFETY: initialized in the line above.
        unsafe { memory.as_ref() }.next_in_all.set(state.all_threads);
        state.all_threads = Some(memory);
        Some(memory)
    }

    /// Releases the thread heap of an exited thread, which has abandoned its slabs.
    pub(crate) fn release_thread_heap(&self, thread: NonNull<ThreadHeap>) {
        let mut state = self.lock();
        // SAFETY: thread heaps live as long as their heap.
        unsafe { thread.as_ref() }.next.set(state.idle_threads);
        state.idle_threads = Some(thread);
    }

    /// Acquires a slab of a class for the thread heap at the address `holder`: an abandoned one if
    /// there is one, else a fresh one.
    pub(crate) fn acquire_slab(&self, class: usize, holder: usize) -> Option<NonNull<Slab>> {
        if self.hardening.get().is_some() {
            return None; // threads own no slabs of a hardened heap
        }
        let mut state = self.lock();
        self.poll_decay(&mut state, false);
        // SAFETY: abandoned slabs are live, and the lock owns them.
        if let Some(slab) = unsafe { state.abandoned[class].as_ref() } {
            state.abandoned[class] = slab.next.replace(null());
            set_slab_owner(slab, holder);
            return Some(NonNull::from(slab));
        }
        let block = self.classes.size_of(class);
        let units = units_for(block);
        let (segment, first) = state.alloc_units(units, 1)?;
        // SAFETY: segments live as long as their heap.
        let segment = unsafe { segment.as_ref() };
        let slab = segment.init_slab(first, units, class, block, self.classes.uses_bitmap(class));
        set_slab_owner(slab, holder);
        self.note_held(&mut state);
        drop(state);
        Some(NonNull::from(slab))
    }

    /// Releases an empty slab.
    pub(crate) fn release_slab(&self, slab: &Slab) {
        let mut state = self.lock();
        release_units(slab);
        self.poll_decay(&mut state, false);
    }

    /// Adds a slab that its thread gives up to the abandoned ones, or frees its units if it is
    /// empty. Remote frees are collected under the lock, so that statistics count each block once.
    pub(crate) fn abandon_slab(&self, slab: &Slab) {
        let mut state = self.lock();
        if let Err(address) = collect_all(slab) {
            drop(state);
            abort_misuse(Misuse::DoubleFree, address);
        }
        if slab.used() == 0 {
            return release_units(slab);
        }
        set_slab_owner(slab, ABANDONED);
        let class = usize::from(slab.class.get());
        slab.next.set(state.abandoned[class]);
        state.abandoned[class] = slab;
    }

    /// Releases cached large blocks until at most `target` bytes are held. Returns the bytes
    /// released.
    pub(crate) fn trim_large_cache(&self, target: usize) -> usize {
        let mut state = self.lock();
        let excess = state.held().saturating_sub(target);
        let cache_target = state.large_cache.bytes.saturating_sub(excess);
        state.large_cache.trim(cache_target)
    }

    /// Purges free units, and the free blocks of abandoned slabs. Returns the bytes purged.
    pub(crate) fn trim_free_units(&self) -> usize {
        let mut state = self.lock();
        let mut purged = match state.trim_abandoned() {
            Ok(purged) => purged,
            Err(address) => {
                drop(state);
                abort_misuse(Misuse::DoubleFree, address);
            }
        };
        state.for_each_segment(|segment| purged += segment.decommit_free(false));
        purged
    }
}

impl State {
    /// Allocates `count` units in a row, the first one a multiple of `step`. Reserves a segment if
    /// no present one has them. O(units of all segments).
    pub(crate) fn alloc_units(&mut self, count: usize, step: usize) -> Option<(NonNull<Segment>, usize)> {
        let mut at = self.segments;
        while let Some(pointer) = at {
            // SAFETY: segments live as long as their heap.
            let segment = unsafe { pointer.as_ref() };
            if let Some(first) = segment.alloc_units(count, step) {
                return Some((pointer, first));
            }
            at = segment.next.get();
        }
        let pointer = Segment::reserve(match self.segments {
            _ if !self.huge_pages => HugePolicy::Never,
            Some(_) => HugePolicy::Immediate,
            None => HugePolicy::WhenLarge,
        })?;
        // SAFETY: reserved in the line above.
        let segment = unsafe { pointer.as_ref() };
        segment.next.set(self.segments);
        self.segments = Some(pointer);
        segment.alloc_units(count, step).map(|first| (pointer, first))
    }

    /// Releases abandoned slabs without live blocks, and purges the free blocks of the others.
    /// Returns the bytes purged.
    ///
    /// # Errors
    /// The address of a block that was freed twice.
    fn trim_abandoned(&mut self) -> Result<usize, usize> {
        let mut purged = 0;
        for first in &mut self.abandoned {
            let (mut at, mut remaining) = (*first, null());
            // SAFETY: abandoned slabs are live, and the lock owns them.
            while let Some(slab) = unsafe { at.as_ref() } {
                at = slab.next.replace(null());
                collect_all(slab)?;
                if slab.used() == 0 {
                    release_units(slab);
                } else {
                    purged += purge::purge(slab);
                    slab.next.set(remaining);
                    remaining = slab;
                }
            }
            *first = remaining;
        }
        Ok(purged)
    }

    /// Visits every thread heap, idle ones included.
    pub(crate) fn for_each_thread(&self, mut visit: impl FnMut(&ThreadHeap)) {
        let mut at = self.all_threads;
        while let Some(thread) = at {
            // SAFETY: thread heaps live as long as their heap; what a visitor reads of another
            // thread's heap is atomic or owned by the lock.
            let thread = unsafe { thread.as_ref() };
            visit(thread);
            at = thread.next_in_all.get();
        }
    }

    /// Visits every segment.
    pub(crate) fn for_each_segment(&self, mut visit: impl FnMut(&Segment)) {
        let mut at = self.segments;
        while let Some(segment) = at {
            // SAFETY: segments live as long as their heap.
            let segment = unsafe { segment.as_ref() };
            visit(segment);
            at = segment.next.get();
        }
    }
}

/// Frees the units of an empty slab, under the heap's lock.
fn release_units(slab: &Slab) {
    purge::clear_purged(slab);
    set_slab_owner(slab, NO_HOLDER);
    let Some(start) = NonNull::new(slab.start()) else { return };
    // SAFETY: a slab lies in a segment of a live heap.
    unsafe { segment_of(start).as_ref() }.free_units(unit_of(start), usize::from(slab.units.get()));
}

impl Drop for Central {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        state.large_cache.trim(0);
        // SAFETY: the heap is dropped, and its blocks with it.
        unsafe { state.live_large.release_all() };
        while let Some(segment) = state.segments {
            // SAFETY: segments live until the next line.
            state.segments = unsafe { segment.as_ref() }.next.get();
            // SAFETY: the heap is dropped, and its blocks with it.
            unsafe { Segment::release(segment) };
        }
        while let Some(thread) = state.all_threads {
            // SAFETY: thread heaps live until the next line.
            state.all_threads = unsafe { thread.as_ref() }.next_in_all.get();
            // SAFETY: allocated from `PageAllocator` with this layout, and no thread uses it any
            // more.
            unsafe { PageAllocator::new().deallocate(thread.cast(), THREAD_HEAP_LAYOUT) };
        }
    }
}
