//! A part of a value for each thread that uses it, found without a lock.
//!
//! Rests on thread-local storage and the end of a thread. A thread remembers the shards that it used last by the id of their
//! value, eight of them; others are found under the value's lock. When a thread ends, each value that lives hears of it, and
//! the part is the next thread's.
#![expect(unsafe_code, reason = "follows pointers to values that live and to shards of theirs")]

use crate::util::fallible_vec::try_boxed;
use crate::util::prealloc_list::{PreallocList, PreallocNode};
use arenite_pages::{AtThreadExit, Lock};
use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::{NonNull, null};
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::TryReserveError;

/// How many shards a thread finds without a lock.
const CACHED_SHARDS: usize = 8;

/// What threads have shards of.
pub(crate) trait ShardedState: Sync {
    /// What one thread changes and all may read.
    type Local: Default + Send + Sync;
}

/// A value with a part for each thread.
#[derive(Debug)]
pub(crate) struct Sharded<D: ShardedState> {
    id: u64,
    /// A box, kept as a pointer because the list of the entry has it as well.
    inner: NonNull<Inner<D>>,
    owns: PhantomData<Inner<D>>,
}

// SAFETY: the inner is `Sync`, and the shards that are changed without a lock are changed by their threads alone.
unsafe impl<D: ShardedState + Send> Send for Sharded<D> {}
// SAFETY: as above.
unsafe impl<D: ShardedState> Sync for Sharded<D> {}

#[derive(Debug)]
struct Inner<D: ShardedState> {
    shared: D,
    shards: Lock<PreallocList<Shard<D::Local>>>,
}

/// A part, and the id of the thread that has it; 0 is nobody. A box, kept as a pointer because threads have its address.
#[derive(Debug)]
struct Shard<P> {
    thread: u64,
    part: NonNull<[P; 1]>,
}

// SAFETY: as a box of it, but for being shared.
unsafe impl<P: Send + Sync> Send for Shard<P> {}

impl<P: Default> Shard<P> {
    fn try_new(thread: u64) -> Result<Self, TryReserveError> {
        Ok(Self { thread, part: NonNull::from(Box::leak(try_boxed(P::default())?)) })
    }
}

impl<P> Shard<P> {
    const fn local(&self) -> &P {
        // SAFETY: boxed until this goes; never lent exclusively.
        let [part] = unsafe { self.part.as_ref() };
        part
    }
}

impl<P> Drop for Shard<P> {
    fn drop(&mut self) {
        // SAFETY: a box of this value's; the values that threads could find it by are gone, or never find it again.
        drop(unsafe { Box::from_raw(self.part.as_ptr()) });
    }
}

type Slot = (u64, *const ());

thread_local! {
    static SHARD_CACHE: [Cell<Slot>; CACHED_SHARDS] = const { [const { Cell::new((0, null())) }; CACHED_SHARDS] };
    static THREAD_ID: Cell<u64> = const { Cell::new(0) };
    /// A part is made on this thread, by an allocator that may come back.
    static INITIALIZING: Cell<bool> = const { Cell::new(false) };
}

struct Initializing;

impl Drop for Initializing {
    fn drop(&mut self) {
        INITIALIZING.set(false);
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static EXIT_HOOK: AtThreadExit = AtThreadExit::new(on_thread_exit);
static REGISTRY: Lock<PreallocList<LiveEntry>> = Lock::new(PreallocList::new());

/// What hears of threads that end.
trait ThreadExitListener {
    fn on_thread_exit(&self, thread: u64);
}

struct LiveEntry {
    id: u64,
    value: NonNull<dyn ThreadExitListener>,
}

// SAFETY: `ThreadExitListener` is implemented for what is `Sync`, and the list is used under its lock.
unsafe impl Send for LiveEntry {}

fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

impl<D: ShardedState> Sharded<D> {
    pub(crate) fn new(shared: D) -> Self {
        let inner =
            NonNull::from(Box::leak(Box::new(Inner { shared, shards: Lock::new(PreallocList::new()) })));
        let this = Self { id: next_id(), inner, owns: PhantomData };
        let value: NonNull<dyn ThreadExitListener + '_> = inner;
        // SAFETY: the same type but for how long it may be used. The entry goes before the inner, in `drop`; where the value is forgotten
        // the inner stays for ever, and nothing but its own list is used through the entry.
        let value = unsafe {
            core::mem::transmute::<NonNull<dyn ThreadExitListener + '_>, NonNull<dyn ThreadExitListener>>(
                value,
            )
        };
        let entry = PreallocNode::new(LiveEntry { id: this.id, value });
        REGISTRY.lock().push(entry);
        this
    }

    const fn inner(&self) -> &Inner<D> {
        // SAFETY: boxed until this goes; never lent exclusively.
        unsafe { self.inner.as_ref() }
    }

    pub(crate) const fn shared(&self) -> &D {
        &self.inner().shared
    }

    /// The calling thread's part; `None`: it has none yet, and there is no memory for one, or one is being made: the global allocator may
    /// be over this value.
    #[inline(always)]
    pub(crate) fn local(&self) -> Option<&D::Local> {
        let (id, part) = SHARD_CACHE.with(|cache| cache[slot(self.id)].get());
        if id == self.id {
            // SAFETY: numbers are given once, so the part is this value's; shards live as long as their value.
            Some(unsafe { &*part.cast::<D::Local>() })
        } else {
            self.find_shard()
        }
    }

    #[cold]
    #[inline(never)]
    fn find_shard(&self) -> Option<&D::Local> {
        let thread = THREAD_ID.with(|thread| {
            if thread.get() == 0 {
                thread.set(next_id());
                // without it the part stays this thread's until the value goes
                EXIT_HOOK.ask();
            }
            thread.get()
        });
        let part = match self.inner().shard_of(thread) {
            Some(part) => part,
            None if INITIALIZING.replace(true) => return None,
            None => {
                let _making = Initializing;
                self.inner().insert(Shard::try_new(thread).and_then(PreallocNode::try_new).ok()?, thread)
            }
        };
        let part = part.cast::<D::Local>();
        SHARD_CACHE.with(|cache| cache[slot(self.id)].set((self.id, part.as_ptr().cast_const().cast())));
        // SAFETY: boxed, and the box goes with the value.
        Some(unsafe { part.as_ref() })
    }

    /// Looks at the shards whose threads have ended. Until this returns, no thread comes to one: what looks may change it.
    pub(crate) fn for_each_orphan(&self, visit: impl FnMut(&D::Local)) {
        self.inner().shards.lock().iter().filter(|owned| owned.thread == 0).map(Shard::local).for_each(visit);
    }

    /// Looks at every part, of threads that run and of those that ended.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&D::Local)) {
        self.inner().shards.lock().iter().for_each(|owned| visit(owned.local()));
    }
}

impl<D: ShardedState> Inner<D> {
    /// The part of a thread, or one of a thread that ended, which is this one's then.
    fn shard_of(&self, thread: u64) -> Option<NonNull<[D::Local; 1]>> {
        shard_of(&mut self.shards.lock(), thread)
    }

    /// Enters a part that was made for a thread. The global allocator may have come here meanwhile: then it goes again.
    fn insert(&self, made: PreallocNode<Shard<D::Local>>, thread: u64) -> NonNull<[D::Local; 1]> {
        let mut shards = self.shards.lock();
        if let Some(part) = shard_of(&mut shards, thread) {
            drop(shards);
            drop(made);
            return part;
        }
        shards.push(made);
        shard_of(&mut shards, thread).unwrap_or_else(|| unreachable!("entered just now"))
    }
}

fn shard_of<P>(shards: &mut PreallocList<Shard<P>>, thread: u64) -> Option<NonNull<[P; 1]>> {
    let found = |shards: &mut PreallocList<Shard<P>>, of: u64| {
        let mut found = None;
        shards.for_each_mut(|owned| {
            if owned.thread == of {
                owned.thread = thread;
                found = Some(owned.part);
            }
            found.is_some()
        });
        found
    };
    found(shards, thread).or_else(|| found(shards, 0))
}

#[expect(clippy::cast_possible_truncation, reason = "below eight")]
const fn slot(id: u64) -> usize {
    (id % CACHED_SHARDS as u64) as usize
}

// Touches nothing but the list of shards, which is the inner's own: a value that was forgotten and not dropped is heard of for ever,
// also when what it borrows is gone.
impl<D: ShardedState> ThreadExitListener for Inner<D> {
    fn on_thread_exit(&self, thread: u64) {
        self.shards.lock().for_each_mut(|owned| {
            if owned.thread == thread {
                owned.thread = 0;
            }
            false
        });
    }
}

impl<D: ShardedState> Drop for Sharded<D> {
    fn drop(&mut self) {
        let gone = REGISTRY.lock().remove(|entry| entry.id == self.id);
        drop(gone);
        // SAFETY: a box of this value's; nobody hears of threads through it any more.
        drop(unsafe { Box::from_raw(self.inner.as_ptr()) });
    }
}

/// The calling thread ends. What it does afterwards begins as another thread.
fn on_thread_exit() {
    // what this allocates, if anything, is of a thread that has a id
    let thread = THREAD_ID.replace(0);
    SHARD_CACHE.with(|cache| cache.iter().for_each(|slot| slot.set((0, null()))));
    let live = REGISTRY.lock();
    for entry in live.iter() {
        // SAFETY: values leave the list before they go, and the list is locked.
        unsafe { entry.value.as_ref() }.on_thread_exit(thread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[derive(Default)]
    struct Sum;

    impl ShardedState for Sum {
        type Local = AtomicUsize;
    }

    #[test]
    fn each_thread_has_a_part_and_leaves_it_to_the_next() {
        let sums: [Sharded<Sum>; 12] = core::array::from_fn(|_| Sharded::new(Sum));
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for round in 0..1000 {
                            let part = sums[round % sums.len()].local().unwrap();
                            part.store(part.load(Relaxed) + 1, Relaxed);
                        }
                    });
                }
            });
        }
        let all = |sums: &[Sharded<Sum>]| {
            let mut all = 0;
            sums.iter().for_each(|sum| sum.for_each(|part| all += part.load(Relaxed)));
            all
        };
        assert_eq!(all(&sums), 12_000);
        // a scope ends when its closures do, which is before its threads do
        let deadline = std::time::Instant::now() + core::time::Duration::from_secs(10);
        loop {
            let mut left = 0;
            sums.iter().for_each(|sum| sum.for_each_orphan(|part| left += part.load(Relaxed)));
            if left == 12_000 {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{left}");
            std::thread::yield_now();
        }
        let mut shards = 0;
        sums[0].for_each(|_| shards += 1);
        assert!(shards <= 12, "{shards}");
    }

    #[test]
    fn a_part_that_was_made_while_another_was_entered_goes_again() {
        let sum = Sharded::new(Sum);
        let made = || PreallocNode::try_new(Shard::try_new(u64::MAX).unwrap()).unwrap();
        let first = sum.inner().insert(made(), u64::MAX);
        assert_eq!(sum.inner().insert(made(), u64::MAX), first);
        let mut shards = 0;
        sum.for_each(|_| shards += 1);
        assert_eq!(shards, 1);
    }

    thread_local! {
        static CAME_BACK: Cell<Option<bool>> = const { Cell::new(None) };
    }

    struct Back;

    /// Made by an allocator that is over what it is a part of.
    struct ComesBack;

    impl Default for ComesBack {
        fn default() -> Self {
            CAME_BACK.set(Some(BACK.local().is_some()));
            Self
        }
    }

    impl ShardedState for Back {
        type Local = ComesBack;
    }

    static BACK: std::sync::LazyLock<Sharded<Back>> = std::sync::LazyLock::new(|| Sharded::new(Back));

    #[test]
    fn who_comes_back_while_its_part_is_made_has_none() {
        std::sync::LazyLock::force(&BACK);
        for thread in 0..2 {
            let answers =
                std::thread::spawn(|| (BACK.local().is_some(), CAME_BACK.take(), BACK.local().is_some()));
            // the second thread has the part of the first
            let came_back = (thread == 0).then_some(false);
            assert_eq!(answers.join().unwrap(), (true, came_back, true));
        }
    }

    #[test]
    fn values_come_and_go_while_threads_do() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let sum = Sharded::new(Sum);
                        sum.local().unwrap().store(1, Relaxed);
                        std::thread::scope(|inner| {
                            inner.spawn(|| sum.local().unwrap().store(1, Relaxed));
                        });
                        assert_eq!(sum.local().unwrap().load(Relaxed), 1);
                    }
                });
            }
        });
    }
}
