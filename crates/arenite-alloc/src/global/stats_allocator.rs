//! The front of the global allocator: counts each thread's calls, and on request keeps freed blocks for the next call.
//!
//! Rests on any `GlobalAlloc`. Libraries take their scratch memory from the global allocator and give it back a moment
//! later; a program that wants none of that inside its loop puts this front before its allocator and recycles.
#![expect(unsafe_code, reason = "is a global allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::any::TypeId;
use core::cell::Cell;
use core::marker::PhantomData;
use std::alloc::System;

/// How many blocks a thread keeps while it recycles.
const KEPT: usize = 16;
/// The smallest block that is worth keeping: smaller ones would push the large ones out, and cost little.
const LEAST: usize = 1024;

thread_local! {
    // Constant and without a destructor: of use from the first allocation of a thread to the last.
    static THREAD: Thread = const {
        Thread {
            counts: Cell::new(FrontCounts { allocations: 0, deallocations: 0, upstream_calls: 0, bytes: 0 }),
            recycling: Cell::new(0),
            owner: Cell::new(None),
            next: Cell::new(0),
            kept: [const { Cell::new(None) }; KEPT],
        }
    };
}

/// Which allocator stands behind a front: its type, and for one with a state of its own the front's address.
type Owner = (TypeId, usize);

struct Thread {
    counts: Cell<FrontCounts>,
    recycling: Cell<usize>,
    /// The front that recycles: another one's blocks are not its to keep, nor its to lend.
    owner: Cell<Option<Owner>>,
    next: Cell<usize>,
    kept: [Cell<Option<(*mut u8, Layout)>>; KEPT],
}

/// What one thread asked of the global allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrontCounts {
    /// Allocations, zeroed ones and reallocations asked.
    pub allocations: u64,
    /// Deallocations asked.
    pub deallocations: u64,
    /// Calls that reached the allocator behind the front.
    pub upstream_calls: u64,
    /// Bytes asked.
    pub bytes: u64,
}

/// A global allocator that counts. Shared between threads; each counts its own.
///
/// ```
/// use arenite_alloc::Front;
/// #[global_allocator]
/// static FRONT: Front = Front::system();
/// let before = Front::<std::alloc::System>::counts();
/// drop(std::hint::black_box(Box::new([0u8; 4096])));
/// let recycling = FRONT.recycle();
/// for _ in 0..10 {
///     drop(std::hint::black_box(Box::new([0u8; 4096]))); // the same block again and again
/// }
/// drop(recycling);
/// let after = Front::<std::alloc::System>::counts();
/// assert_eq!(after.allocations - before.allocations, 11);
/// assert_eq!(after.upstream_calls - before.upstream_calls, 4);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Front<A = System> {
    upstream: A,
}

impl Front<System> {
    /// Before the system's `malloc`.
    #[must_use]
    pub const fn system() -> Self {
        Self { upstream: System }
    }
}

impl<A> Front<A> {
    /// Before `upstream`.
    pub const fn new(upstream: A) -> Self {
        Self { upstream }
    }

    /// What this thread asked so far.
    #[must_use]
    pub fn counts() -> FrontCounts {
        THREAD.try_with(|thread| thread.counts.get()).unwrap_or_default()
    }

    fn note(allocations: u64, deallocations: u64, bytes: usize) {
        Self::update(|counts| {
            counts.allocations += allocations;
            counts.deallocations += deallocations;
            counts.bytes += bytes as u64;
        });
    }

    fn note_upstream() {
        Self::update(|counts| counts.upstream_calls += 1);
    }

    fn update(change: impl FnOnce(&mut FrontCounts)) {
        // A thread that is being torn down counts no more.
        let _counted: Result<(), _> = THREAD.try_with(|thread| {
            let mut counts = thread.counts.get();
            change(&mut counts);
            thread.counts.set(counts);
        });
    }
}

impl<A: GlobalAlloc + 'static> Front<A> {
    /// From now until the guard is dropped, this thread keeps up to 16 of the blocks of 1 KiB and more that it frees, and
    /// takes them again for requests of the same size and alignment.
    /// While another front recycles on this thread, this one does not.
    /// The front is a static, as a `#[global_allocator]` is: what is kept must not outlive it, even where the guard is
    /// forgotten.
    pub fn recycle(&'static self) -> Recycling<A> {
        let start = |thread: &Thread| {
            if thread.recycling.get() == 0 {
                thread.owner.set(Some(self.owner()));
            }
            let started = thread.owner.get() == Some(self.owner());
            thread.recycling.set(thread.recycling.get() + usize::from(started));
            started
        };
        let started = THREAD.try_with(start).unwrap_or(false);
        Recycling { front: self, started, thread: PhantomData }
    }

    fn owner(&self) -> Owner {
        let address = if size_of::<A>() == 0 { 0 } else { core::ptr::from_ref(self).addr() };
        (TypeId::of::<A>(), address)
    }

    /// Whether this front recycles on this thread, and blocks of `layout` are worth it.
    fn recycles(&self, thread: &Thread, layout: Layout) -> bool {
        thread.recycling.get() > 0 && layout.size() >= LEAST && thread.owner.get() == Some(self.owner())
    }

    /// A kept block of `layout`.
    fn take_kept(&self, layout: Layout) -> Option<*mut u8> {
        let take = |thread: &Thread| {
            if !self.recycles(thread, layout) {
                return None;
            }
            let slot = thread.kept.iter().find(|slot| slot.get().is_some_and(|(_, kept)| kept == layout))?;
            slot.take().map(|(block, _)| block)
        };
        THREAD.try_with(take).ok().flatten()
    }

    /// Keeps `block`, and returns the one that had to make room for it; `block` itself where nothing is kept.
    fn keep(&self, block: *mut u8, layout: Layout) -> Option<(*mut u8, Layout)> {
        let keep = |thread: &Thread| {
            if !self.recycles(thread, layout) {
                return Some((block, layout));
            }
            let free = thread.kept.iter().position(|slot| slot.get().is_none());
            let at = free.unwrap_or_else(|| {
                let next = thread.next.get();
                thread.next.set((next + 1) % KEPT);
                next
            });
            thread.kept[at].replace(Some((block, layout)))
        };
        THREAD.try_with(keep).unwrap_or(Some((block, layout)))
    }

    /// # Safety
    /// `block` came from `upstream` with `layout` and is not used afterwards.
    unsafe fn free(&self, block: *mut u8, layout: Layout) {
        Self::note_upstream();
        // SAFETY: the caller's promise.
        unsafe { self.upstream.dealloc(block, layout) }
    }
}

/// Ends recycling when dropped, and frees what was kept. Made by [`Front::recycle`]; stays on its thread.
#[derive(Debug)]
pub struct Recycling<A: GlobalAlloc + 'static = System> {
    front: &'static Front<A>,
    started: bool,
    thread: PhantomData<*const ()>,
}

impl<A: GlobalAlloc + 'static> Drop for Recycling<A> {
    fn drop(&mut self) {
        if !self.started {
            return;
        }
        let take_all = |thread: &Thread| {
            thread.recycling.set(thread.recycling.get() - 1);
            if thread.recycling.get() > 0 { None } else { Some(thread.kept.each_ref().map(Cell::take)) }
        };
        for (block, layout) in THREAD.try_with(take_all).ok().flatten().into_iter().flatten().flatten() {
            // SAFETY: kept blocks came from the allocator behind the front with this layout, and left the list.
            unsafe { self.front.free(block, layout) }
        }
    }
}

// SAFETY: every block comes from `upstream`, which keeps the contract, or is a kept one of exactly the layout asked, which
// its last owner gave back.
unsafe impl<A: GlobalAlloc + 'static> GlobalAlloc for Front<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note(1, 0, layout.size());
        if let Some(block) = self.take_kept(layout) {
            return block;
        }
        Self::note_upstream();
        // SAFETY: the caller's promise.
        unsafe { self.upstream.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::note(1, 0, layout.size());
        Self::note_upstream();
        // SAFETY: the caller's promise.
        unsafe { self.upstream.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        Self::note(0, 1, 0);
        if let Some((block, layout)) = self.keep(block, layout) {
            // SAFETY: the caller's promise, or a kept block that left the list.
            unsafe { self.free(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        Self::note(1, 0, new_size);
        Self::note_upstream();
        // SAFETY: the caller's promise.
        unsafe { self.upstream.realloc(block, layout, new_size) }
    }
}
