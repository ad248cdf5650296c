//! The registry of heaps and of the threads that use them.
//!
//! The heap that a thread used last is one load and one comparison away; a few more stand in a
//! table. When a thread exits, its slabs are abandoned to their heaps. A dropped heap is removed
//! from the list of live heaps, so a thread that exits later does not touch it.
#![expect(unsafe_code, reason = "follows pointers to thread heaps of live heaps")]

use crate::heap::central::central::Central;
use crate::heap::thread::heap_table::{HeapSlot, MAX_HEAPS_PER_THREAD};
use crate::heap::thread::thread_heap::ThreadHeap;
use crate::heap::thread::tls;
use arenite_pages::{AroundFork, Lock, LockGuard, around_fork};
use core::ptr::{NonNull, null};

#[cfg(shuttle)]
use crate::heap::thread::tls::shuttle_tls as storage;

/// The heap table of a thread, in its thread-local storage.
#[cfg(not(shuttle))]
mod storage {
    use crate::heap::thread::heap_table::{HeapTable, MAX_HEAPS_PER_THREAD};
    use core::cell::Cell;

    // A `Cell` without a destructor: to register one, the standard library allocates, which an
    // allocator must not do here.
    thread_local! {
        static TABLE: Cell<HeapTable> = const { Cell::new([None; MAX_HEAPS_PER_THREAD]) };
    }

    pub(super) fn table() -> HeapTable {
        TABLE.get()
    }

    pub(super) fn set_table(table: HeapTable) {
        TABLE.set(table);
    }
}

/// The hook that runs when a thread exits.
#[cfg(not(shuttle))]
mod exit {
    use super::on_thread_exit;
    use arenite_pages::AtThreadExit;
    use core::cell::Cell;

    thread_local! {
        static ROUNDS: Cell<u8> = const { Cell::new(0) };
    }

    /// Number of times that the C library runs the destructors of a thread's keys, at most
    /// (`PTHREAD_DESTRUCTOR_ITERATIONS`).
    const MAX_ROUNDS: u8 = 4;

    static EXIT_HOOK: AtThreadExit = AtThreadExit::new(on_thread_exit);

    /// Ends a round of the thread's exit. The next round abandons what other destructors allocate
    /// after this one; after the last round the thread gets no thread heap any more.
    pub(super) fn end_round() {
        let round = ROUNDS.get() + 1;
        ROUNDS.set(round);
        if round < MAX_ROUNDS {
            register_hook();
        }
    }

    /// Returns whether the last round has ended.
    pub(super) fn rounds_done() -> bool {
        ROUNDS.get() >= MAX_ROUNDS
    }

    /// Registers the hook. A thread without it keeps its slabs until the heap is dropped.
    pub(super) fn register_hook() {
        EXIT_HOOK.ask();
    }
}

/// The hook that runs when a thread of a model exits, once.
#[cfg(shuttle)]
mod exit {
    pub(super) const fn end_round() {}

    pub(super) const fn rounds_done() -> bool {
        false
    }

    pub(super) fn register_hook() {
        super::storage::register_hook(super::on_thread_exit);
    }
}

/// The heaps that live, in a chain.
struct LiveHeaps(Option<NonNull<Central>>);

// SAFETY: the chain is used under the lock alone.
unsafe impl Send for LiveHeaps {}

static LIVE: Lock<LiveHeaps> = Lock::new(LiveHeaps(None));

fn live() -> LockGuard<'static, LiveHeaps> {
    LIVE.lock()
}

/// A child has only the thread that forked. What the others had of each heap stays theirs there, unused; the locks are held by
/// the one that forks, so that none is held for ever.
static FORKS: AroundFork = AroundFork {
    before: || {
        let live = core::mem::ManuallyDrop::new(live());
        live.for_each(Central::lock_for_fork);
    },
    after: || {
        // SAFETY: held by `before`, on this thread or on the one that it is the copy of.
        let live = unsafe { LIVE.held() };
        live.for_each(|central| {
            // SAFETY: as above; no heap enters or goes while the chain is locked.
            unsafe { central.unlock_after_fork() };
        });
    },
};

/// Enters a heap among those that live.
pub(crate) fn register(central: NonNull<Central>) {
    let mut live = live();
    // SAFETY: the heap lives.
    unsafe { central.as_ref() }.next.set(live.0);
    live.0 = Some(central);
}

/// Has the locks held across forks from now on. May allocate, from the heap that asks.
pub(crate) fn install_fork_handlers() {
    // a system that refuses leaves forks as they are without it
    let _entered = around_fork(&FORKS);
}

/// Strikes a heap out; afterwards no thread that ends comes back to it.
pub(crate) fn unregister(central: NonNull<Central>) {
    let mut live = live();
    // SAFETY: heaps in the chain live.
    let next = unsafe { central.as_ref() }.next.get();
    if live.0 == Some(central) {
        live.0 = next;
        return;
    }
    let mut at = live.0;
    while let Some(other) = at {
        // SAFETY: as above.
        let other = unsafe { other.as_ref() };
        if other.next.get() == Some(central) {
            other.next.set(next);
            return;
        }
        at = other.next.get();
    }
}

/// Whether a heap was the last one that the calling thread used, and then the thread's part of it: what is null stands with 0, which
/// is the life of no heap. (Not an option, whose test for null would stand in each call.)
#[inline(always)]
pub(crate) fn current(heap_id: u64) -> (bool, *const ThreadHeap) {
    let (whose, thread) = tls::get();
    (whose == heap_id, thread)
}

/// Stands where the life of a heap will that was not used yet: neither a heap's, nor what a thread has that used none.
pub(crate) const NO_HEAP: u64 = u64::MAX;

/// Whether the calling thread has used no heap yet.
#[inline]
pub(crate) fn has_no_heap() -> bool {
    tls::get().1.is_null()
}

/// The calling thread's part of a heap, found in its table or made; `None` where there is no memory for it, and where the thread is over:
/// nobody would give up what it makes now.
#[cold]
pub(crate) fn lookup(central: NonNull<Central>) -> Option<NonNull<ThreadHeap>> {
    if exit::rounds_done() {
        return None;
    }
    // SAFETY: the caller borrows the heap.
    let heap = unsafe { central.as_ref() };
    let mut heap_table = storage::table();
    let found =
        heap_table.iter().flatten().find(|entry| entry.heap_id == heap.heap_id).map(|entry| entry.thread);
    let thread = match found {
        Some(thread) => thread,
        None => {
            let thread = heap.acquire_thread_heap()?;
            let slot = heap_table
                .iter()
                .position(Option::is_none)
                .or_else(|| dead_slot(&heap_table))
                .unwrap_or(MAX_HEAPS_PER_THREAD - 1);
            let old = heap_table[slot].replace(HeapSlot { central, heap_id: heap.heap_id, thread });
            // known before anything below may allocate, as storing the table may where this is a library: the C library makes room for
            // a thread's variables when they are first used after others were loaded
            tls::set((heap.heap_id, thread.as_ptr()));
            storage::set_table(heap_table);
            if let Some(old) = old {
                abandon(old);
            }
            exit::register_hook();
            thread
        }
    };
    tls::set((heap.heap_id, thread.as_ptr()));
    Some(thread)
}

/// An entry of a heap that was dropped.
fn dead_slot(heap_table: &[Option<HeapSlot>; MAX_HEAPS_PER_THREAD]) -> Option<usize> {
    let live = live();
    heap_table.iter().position(|entry| entry.is_some_and(|entry| !live.has(entry)))
}

impl LiveHeaps {
    fn for_each(&self, mut visit: impl FnMut(&Central)) {
        let mut at = self.0;
        while let Some(central) = at {
            // SAFETY: heaps in the chain live.
            let central = unsafe { central.as_ref() };
            visit(central);
            at = central.next.get();
        }
    }

    fn has(&self, entry: HeapSlot) -> bool {
        let mut at = self.0;
        while let Some(other) = at {
            // SAFETY: heaps in the chain live, and none is struck while the lock is held.
            let central = unsafe { other.as_ref() };
            if other == entry.central && central.heap_id == entry.heap_id {
                return true;
            }
            at = central.next.get();
        }
        false
    }
}

/// Gives a thread's slabs of a heap up, if that heap still lives.
fn abandon(entry: HeapSlot) {
    let live = live();
    if live.has(entry) {
        // SAFETY: the heap lives while the lock is held, and thread heaps live as long as their heap.
        unsafe { entry.thread.as_ref() }.abandon_all();
        // SAFETY: as above.
        unsafe { entry.central.as_ref() }.release_thread_heap(entry.thread);
    }
    drop(live);
}

/// The thread ends. What its last destructors allocate after this begins a new table, and another call.
pub(crate) fn on_thread_exit() {
    // Reading the table may allocate, which finds and remembers a part: what is remembered goes last.
    let heaps = storage::table();
    storage::set_table([None; MAX_HEAPS_PER_THREAD]);
    tls::set((0, null()));
    heaps.into_iter().flatten().for_each(abandon);
    exit::end_round();
}
