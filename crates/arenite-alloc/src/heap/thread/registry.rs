//! The registry of heaps and of the threads that use them.
//!
//! The heap that a thread used last is one load and one comparison away; a few more stand in a
//! table. When a thread exits, its slabs are abandoned to their heaps. A dropped heap is removed
//! from the list of live heaps, so a thread that exits later does not touch it.
#![expect(unsafe_code, reason = "follows pointers to thread heaps of live heaps")]

use crate::heap::central::central::Central;
use crate::heap::thread::heap_table::{HeapSlot, HeapTable, MAX_HEAPS_PER_THREAD};
use crate::heap::thread::thread_heap::ThreadHeap;
use crate::heap::thread::tls;
use arenite_pages::{ForkHandlers, ForkSafeMutex, ForkSafeMutexGuard, at_fork};
use core::ptr::{NonNull, null};

#[cfg(shuttle)]
use crate::heap::thread::tls::shuttle_tls as storage;

/// The heap table and the exit rounds of a thread, in its thread-local storage.
#[cfg(not(shuttle))]
mod storage {
    use crate::heap::thread::heap_table::{HeapTable, MAX_HEAPS_PER_THREAD};
    use core::cell::Cell;

    /// Number of times that the C library runs the destructors of a thread's keys, at most
    /// (`PTHREAD_DESTRUCTOR_ITERATIONS`).
    const MAX_ROUNDS: u8 = 4;

    // Cells without a destructor: to register one, the standard library allocates, which an
    // allocator must not do here.
    thread_local! {
        static TABLE: Cell<HeapTable> = const { Cell::new([None; MAX_HEAPS_PER_THREAD]) };
        static ROUNDS: Cell<u8> = const { Cell::new(0) };
    }

    pub(super) fn table() -> HeapTable {
        TABLE.get()
    }

    pub(super) fn set_table(table: HeapTable) {
        TABLE.set(table);
    }

    /// Ends a round of the thread's exit. Returns whether another one follows, which abandons what
    /// other destructors allocate after this one.
    pub(super) fn end_round() -> bool {
        ROUNDS.set(ROUNDS.get() + 1);
        !rounds_done()
    }

    /// Returns whether the last round has ended. The thread gets no thread heap any more then.
    pub(super) fn rounds_done() -> bool {
        ROUNDS.get() >= MAX_ROUNDS
    }
}

#[cfg(not(shuttle))]
static EXIT_HOOK: arenite_pages::ThreadExitHook = arenite_pages::ThreadExitHook::new(on_thread_exit);

/// Registers the hook that runs when the calling thread exits. A thread without it keeps its slabs
/// until the heap is dropped.
fn register_exit_hook() {
    #[cfg(not(shuttle))]
    EXIT_HOOK.register();
    #[cfg(shuttle)]
    storage::register_hook(on_thread_exit);
}

/// The list of live heaps.
struct LiveHeaps(Option<NonNull<Central>>);

// SAFETY: the list is used under the lock alone.
unsafe impl Send for LiveHeaps {}

static LIVE: ForkSafeMutex<LiveHeaps> = ForkSafeMutex::new(LiveHeaps(None));

fn live() -> ForkSafeMutexGuard<'static, LiveHeaps> {
    LIVE.lock()
}

/// Handlers that hold the heaps' locks across a fork, so that none stays locked in the child. The
/// child has the forking thread alone; what other threads had of each heap stays theirs, unused.
static FORK_HANDLERS: ForkHandlers = ForkHandlers {
    prepare: || {
        let live = core::mem::ManuallyDrop::new(live());
        live.for_each(Central::lock_for_fork);
    },
    parent: unlock_after_fork,
    child: unlock_after_fork,
};

/// Unlocks what the handler before the fork locked.
fn unlock_after_fork() {
    // SAFETY: locked before the fork, on this thread or on the one that it is the copy of.
    let live = unsafe { LIVE.guard_from_raw() };
    live.for_each(|central| {
        // SAFETY: as above; no heap is registered or unregistered while the list is locked.
        unsafe { central.unlock_after_fork() };
    });
}

/// Registers a heap as live.
pub(crate) fn register(central: NonNull<Central>) {
    let mut live = live();
    // SAFETY: the heap is live.
    unsafe { central.as_ref() }.next.set(live.0);
    live.0 = Some(central);
}

/// Installs the fork handlers. May allocate from the heap that calls this.
pub(crate) fn install_fork_handlers() {
    // without them, forks of a program with threads are as unsafe as the system makes them
    let _installed = at_fork(&FORK_HANDLERS);
}

/// Unregisters a heap. No exiting thread touches it afterwards.
pub(crate) fn unregister(central: NonNull<Central>) {
    let mut live = live();
    // SAFETY: heaps in the list are live.
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

/// Returns whether the calling thread used this heap last, and its thread heap. A thread without a
/// heap has (0, null), and no heap has id 0. (An option would add a test for null to each call.)
#[inline(always)]
pub(crate) fn current(heap_id: u64) -> (bool, *const ThreadHeap) {
    let (whose, thread) = tls::get();
    (whose == heap_id, thread)
}

/// Id of a heap that was not used yet. It equals neither a real id nor the 0 of a thread without a
/// heap.
pub(crate) const NO_HEAP: u64 = u64::MAX;

/// Returns whether the calling thread has used no heap yet.
#[inline]
pub(crate) fn has_no_heap() -> bool {
    tls::get().1.is_null()
}

/// Returns the calling thread's part of a heap, from its table or a new one. Returns `None`
/// without memory, and after the thread's last exit round, when nothing would abandon it any more.
#[cold]
pub(crate) fn lookup(central: NonNull<Central>) -> Option<NonNull<ThreadHeap>> {
    if storage::rounds_done() {
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
            // Set before anything below can allocate. Storing the table can: the C library
            // allocates a library's thread-local storage when it is first used.
            tls::set((heap.heap_id, thread.as_ptr()));
            storage::set_table(heap_table);
            if let Some(old) = old {
                abandon(old);
            }
            register_exit_hook();
            thread
        }
    };
    tls::set((heap.heap_id, thread.as_ptr()));
    Some(thread)
}

/// Returns a slot of a heap that was dropped.
fn dead_slot(heap_table: &HeapTable) -> Option<usize> {
    let live = live();
    heap_table.iter().position(|entry| entry.is_some_and(|entry| !live.has(entry)))
}

impl LiveHeaps {
    fn for_each(&self, mut visit: impl FnMut(&Central)) {
        let mut at = self.0;
        while let Some(central) = at {
            // SAFETY: heaps in the list are live.
            let central = unsafe { central.as_ref() };
            visit(central);
            at = central.next.get();
        }
    }

    fn has(&self, entry: HeapSlot) -> bool {
        let mut at = self.0;
        while let Some(other) = at {
            // SAFETY: heaps in the list are live, and none is unregistered under the lock.
            let central = unsafe { other.as_ref() };
            if other == entry.central && central.heap_id == entry.heap_id {
                return true;
            }
            at = central.next.get();
        }
        false
    }
}

/// Abandons a thread's slabs of a heap, if that heap is still live.
fn abandon(entry: HeapSlot) {
    let live = live();
    if live.has(entry) {
        // SAFETY: the heap is live under the lock, and thread heaps live as long as their heap.
        unsafe { entry.thread.as_ref() }.abandon_all();
        // SAFETY: as above.
        unsafe { entry.central.as_ref() }.release_thread_heap(entry.thread);
    }
    drop(live);
}

/// Abandons everything that the calling thread has, at its exit. What later destructors allocate
/// begins a new table and registers the hook again.
pub(crate) fn on_thread_exit() {
    // Reading the table can allocate, which makes a thread heap current; so the current one is
    // cleared last.
    let heaps = storage::table();
    storage::set_table([None; MAX_HEAPS_PER_THREAD]);
    tls::set((0, null()));
    heaps.into_iter().flatten().for_each(abandon);
    if storage::end_round() {
        register_exit_hook();
    }
}
