//! Which thread heap the calling thread has, of each heap that it uses.
//!
//! Rests on thread-local storage. The last one used is one load and one comparison away; a few more stand in a table; when the
//! thread ends its slabs go back. A heap that is dropped is struck from the list of those that live, so that a thread that
//! ends later leaves it alone.
#![expect(unsafe_code, reason = "follows pointers to thread heaps of live heaps")]

use crate::heap::central::central::Central;
use crate::heap::thread::thread_heap::ThreadHeap;
use crate::heap::thread::tls;
use arenite_pages::{AroundFork, Lock, LockGuard, around_fork};
use core::ptr::{NonNull, null};

/// How many heaps a thread uses without a lock at once.
pub(crate) const MOST: usize = 8;

/// The table.
pub(crate) type Entries = [Option<Entry>; MOST];

#[cfg(shuttle)]
use crate::heap::thread::tls::shuttle_tls::{call_at_end, ended, entries, is_over, set_entries};
#[cfg(not(shuttle))]
use own::{call_at_end, ended, entries, is_over, set_entries};

/// The table in the thread's own storage.
#[cfg(not(shuttle))]
mod own {
    use super::{Entries, MOST, leave_all};
    use arenite_pages::AtThreadExit;
    use core::cell::Cell;

    // It has no destructor: the standard library's allocate, and what an allocator uses must not.
    thread_local! {
        static ALL: Cell<Entries> = const { Cell::new([None; MOST]) };
    }

    thread_local! {
        static ROUNDS: Cell<u8> = const { Cell::new(0) };
    }

    /// How often the C library goes through what is to be called at the end of a thread, at most (`PTHREAD_DESTRUCTOR_ITERATIONS`).
    const MOST_ROUNDS: u8 = 4;

    static LEAVING: AtThreadExit = AtThreadExit::new(leave_all);

    /// A round of the thread's end is here. What others' destructors allocate after it, the next one gives up; after the last, the
    /// thread has no part any more.
    pub(crate) fn ended() {
        let round = ROUNDS.get() + 1;
        ROUNDS.set(round);
        if round < MOST_ROUNDS {
            call_at_end();
        }
    }

    /// Whether the last round was here.
    pub(crate) fn is_over() -> bool {
        ROUNDS.get() >= MOST_ROUNDS
    }

    pub(crate) fn entries() -> Entries {
        ALL.get()
    }

    pub(crate) fn set_entries(entries: Entries) {
        ALL.set(entries);
    }

    /// A thread for which nothing is called keeps its slabs until the heap goes.
    pub(crate) fn call_at_end() {
        LEAVING.ask();
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Entry {
    central: NonNull<Central>,
    life: u64,
    thread: NonNull<ThreadHeap>,
}

/// The heaps that live, in a chain.
struct Live(Option<NonNull<Central>>);

// SAFETY: the chain is used under the lock alone.
unsafe impl Send for Live {}

static LIVE: Lock<Live> = Lock::new(Live(None));

fn live() -> LockGuard<'static, Live> {
    LIVE.lock()
}

/// A child has only the thread that forked. What the others had of each heap stays theirs there, unused; the locks are held by
/// the one that forks, so that none is held for ever.
static FORKS: AroundFork = AroundFork {
    before: || {
        let live = core::mem::ManuallyDrop::new(live());
        live.each(Central::hold);
    },
    after: || {
        // SAFETY: held by `before`, on this thread or on the one that it is the copy of.
        let live = unsafe { LIVE.held() };
        live.each(|central| {
            // SAFETY: as above; no heap enters or goes while the chain is locked.
            unsafe { central.release() };
        });
    },
};

/// Enters a heap among those that live.
pub(crate) fn enter(central: NonNull<Central>) {
    let mut live = live();
    // SAFETY: the heap lives.
    unsafe { central.as_ref() }.next.set(live.0);
    live.0 = Some(central);
}

/// Has the locks held across forks from now on. May allocate, from the heap that asks.
pub(crate) fn mind_forks() {
    // a system that refuses leaves forks as they are without it
    let _entered = around_fork(&FORKS);
}

/// Strikes a heap out; afterwards no thread that ends comes back to it.
pub(crate) fn strike(central: NonNull<Central>) {
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
pub(crate) fn last(life: u64) -> (bool, *const ThreadHeap) {
    let (whose, thread) = tls::get();
    (whose == life, thread)
}

/// Stands where the life of a heap will that was not used yet: neither a heap's, nor what a thread has that used none.
pub(crate) const UNUSED: u64 = u64::MAX;

/// Whether the calling thread has used no heap yet.
#[inline]
pub(crate) fn used_none() -> bool {
    tls::get().1.is_null()
}

/// The calling thread's part of a heap, found in its table or made; `None` where there is no memory for it, and where the thread is over:
/// nobody would give up what it makes now.
#[cold]
pub(crate) fn find(central: NonNull<Central>) -> Option<NonNull<ThreadHeap>> {
    if is_over() {
        return None;
    }
    // SAFETY: the caller borrows the heap.
    let heap = unsafe { central.as_ref() };
    let mut entries = entries();
    let found = entries.iter().flatten().find(|entry| entry.life == heap.life).map(|entry| entry.thread);
    let thread = match found {
        Some(thread) => thread,
        None => {
            let thread = heap.take_thread()?;
            let place =
                entries.iter().position(Option::is_none).or_else(|| dead(&entries)).unwrap_or(MOST - 1);
            let old = entries[place].replace(Entry { central, life: heap.life, thread });
            // known before anything below may allocate, as storing the table may where this is a library: the C library makes room for
            // a thread's variables when they are first used after others were loaded
            tls::set((heap.life, thread.as_ptr()));
            set_entries(entries);
            if let Some(old) = old {
                leave(old);
            }
            call_at_end();
            thread
        }
    };
    tls::set((heap.life, thread.as_ptr()));
    Some(thread)
}

/// An entry of a heap that was dropped.
fn dead(entries: &[Option<Entry>; MOST]) -> Option<usize> {
    let live = live();
    entries.iter().position(|entry| entry.is_some_and(|entry| !live.has(entry)))
}

impl Live {
    fn each(&self, mut visit: impl FnMut(&Central)) {
        let mut at = self.0;
        while let Some(central) = at {
            // SAFETY: heaps in the chain live.
            let central = unsafe { central.as_ref() };
            visit(central);
            at = central.next.get();
        }
    }

    fn has(&self, entry: Entry) -> bool {
        let mut at = self.0;
        while let Some(other) = at {
            // SAFETY: heaps in the chain live, and none is struck while the lock is held.
            let central = unsafe { other.as_ref() };
            if other == entry.central && central.life == entry.life {
                return true;
            }
            at = central.next.get();
        }
        false
    }
}

/// Gives a thread's slabs of a heap up, if that heap still lives.
fn leave(entry: Entry) {
    let live = live();
    if live.has(entry) {
        // SAFETY: the heap lives while the lock is held, and thread heaps live as long as their heap.
        unsafe { entry.thread.as_ref() }.leave();
        // SAFETY: as above.
        unsafe { entry.central.as_ref() }.give_thread(entry.thread);
    }
    drop(live);
}

/// The thread ends. What its last destructors allocate after this begins a new table, and another call.
pub(crate) fn leave_all() {
    // Reading the table may allocate, which finds and remembers a part: what is remembered goes last.
    let all = entries();
    set_entries([None; MOST]);
    tls::set((0, null()));
    all.into_iter().flatten().for_each(leave);
    ended();
}
