//! A value with one shard for each thread that uses it, found without a lock.
//!
//! Each thread caches eight shards by the id of their value; others are found under the value's
//! lock. When a thread exits, its shards become orphans, and the next new thread adopts them.
#![expect(unsafe_code, reason = "dereferences pointers to registered values and their shards")]

use crate::util::fallible_vec::try_boxed;
use crate::util::prealloc_list::{PreallocList, PreallocNode};
use arenite_pages::{ForkSafeMutex, ThreadExitHook};
use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::{NonNull, null};
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::TryReserveError;

/// Number of shards that a thread finds without a lock.
const CACHED_SHARDS: usize = 8;

/// A state that is shared and has a shard for each thread.
pub(crate) trait ShardedState: Sync {
    /// A shard: one thread changes it, all threads may read it.
    type Local: Default + Send + Sync;
}

/// A value with a shard for each thread.
#[derive(Debug)]
pub(crate) struct Sharded<D: ShardedState> {
    id: u64,
    /// A box, kept as a pointer because the registry has its address as well.
    inner: NonNull<Inner<D>>,
    owns: PhantomData<Inner<D>>,
}

// SAFETY: `D` and its shards are `Send`, so another thread may drop them; `Inner` is `Sync`, and a
// shard is changed without a lock by its own thread alone.
unsafe impl<D: ShardedState + Send> Send for Sharded<D> {}
// SAFETY: `Inner` is `Sync`, and a shard is changed without a lock by its own thread alone.
unsafe impl<D: ShardedState> Sync for Sharded<D> {}

#[derive(Debug)]
struct Inner<D: ShardedState> {
    shared: D,
    shards: ForkSafeMutex<PreallocList<Shard<D::Local>>>,
}

/// A shard and the id of the thread that owns it; 0 is an orphan. A box, kept as a pointer because
/// threads have its address.
#[derive(Debug)]
struct Shard<P> {
    thread: u64,
    local: NonNull<[P; 1]>,
}

// SAFETY: the shard is owned like a box; shared references to it are allowed because `P` is
// `Sync`.
unsafe impl<P: Send + Sync> Send for Shard<P> {}

impl<P: Default> Shard<P> {
    fn try_new(thread: u64) -> Result<Self, TryReserveError> {
        Ok(Self { thread, local: NonNull::from(Box::leak(try_boxed(P::default())?)) })
    }
}

impl<P> Shard<P> {
    const fn local(&self) -> &P {
        // SAFETY: the box lives until this value is dropped, and no exclusive reference to it is
        // made.
        let [local] = unsafe { self.local.as_ref() };
        local
    }
}

impl<P> Drop for Shard<P> {
    fn drop(&mut self) {
        // SAFETY: a box of this value. Threads found it through values that are dropped or never
        // look it up again.
        drop(unsafe { Box::from_raw(self.local.as_ptr()) });
    }
}

type Slot = (u64, *const ());

thread_local! {
    static SHARD_CACHE: [Cell<Slot>; CACHED_SHARDS] = const { [const { Cell::new((0, null())) }; CACHED_SHARDS] };
    static THREAD_ID: Cell<u64> = const { Cell::new(0) };
    /// Whether a shard is initialized on this thread, whose allocator may reenter.
    static INITIALIZING: Cell<bool> = const { Cell::new(false) };
}

struct Initializing;

impl Drop for Initializing {
    fn drop(&mut self) {
        INITIALIZING.set(false);
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static EXIT_HOOK: ThreadExitHook = ThreadExitHook::new(on_thread_exit);
static REGISTRY: ForkSafeMutex<PreallocList<LiveEntry>> = ForkSafeMutex::new(PreallocList::new());

/// A value that is notified when a thread exits.
trait ThreadExitListener {
    fn on_thread_exit(&self, thread: u64);
}

struct LiveEntry {
    id: u64,
    value: NonNull<dyn ThreadExitListener>,
}

// SAFETY: `ThreadExitListener` is implemented for a `Sync` type, and the registry is used under
// its lock.
unsafe impl Send for LiveEntry {}

fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

impl<D: ShardedState> Sharded<D> {
    pub(crate) fn new(shared: D) -> Self {
        let inner = NonNull::from(Box::leak(Box::new(Inner {
            shared,
            shards: ForkSafeMutex::new(PreallocList::new()),
        })));
        let this = Self { id: next_id(), inner, owns: PhantomData };
        let value: NonNull<dyn ThreadExitListener + '_> = inner;
        // SAFETY: the same type with a longer lifetime. `drop` removes the entry before the value
        // is freed. A value that is forgotten stays allocated, and only its own list is used
        // through the entry.
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
        // SAFETY: the box lives until this value is dropped, and no exclusive reference to it is
        // made.
        unsafe { self.inner.as_ref() }
    }

    pub(crate) const fn shared(&self) -> &D {
        &self.inner().shared
    }

    /// Returns the calling thread's shard.
    ///
    /// Returns `None` if there is no memory for one, or if this thread is initializing one: the
    /// global allocator may be built on this value.
    #[inline(always)]
    pub(crate) fn local(&self) -> Option<&D::Local> {
        let (id, local) = SHARD_CACHE.with(|cache| cache[slot(self.id)].get());
        if id == self.id {
            // SAFETY: ids are never reused, so the shard belongs to this value; shards live as long
            // as their value.
            Some(unsafe { &*local.cast::<D::Local>() })
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
                // If the hook cannot be registered, the shard stays this thread's until the value
                // is dropped.
                EXIT_HOOK.register();
            }
            thread.get()
        });
        let local = match self.inner().shard_of(thread) {
            Some(local) => local,
            None if INITIALIZING.replace(true) => return None,
            None => {
                let _guard = Initializing;
                self.inner().insert(Shard::try_new(thread).and_then(PreallocNode::try_new).ok()?, thread)
            }
        };
        let local = local.cast::<D::Local>();
        SHARD_CACHE.with(|cache| cache[slot(self.id)].set((self.id, local.as_ptr().cast_const().cast())));
        // SAFETY: the shard is boxed, and the box lives as long as the value.
        Some(unsafe { local.as_ref() })
    }

    /// Visits the shards of exited threads. No thread adopts one until this returns, so `visit` may
    /// change them.
    pub(crate) fn for_each_orphan(&self, visit: impl FnMut(&D::Local)) {
        self.inner().shards.lock().iter().filter(|owned| owned.thread == 0).map(Shard::local).for_each(visit);
    }

    /// Visits every shard, of running and of exited threads.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&D::Local)) {
        self.inner().shards.lock().iter().for_each(|owned| visit(owned.local()));
    }
}

impl<D: ShardedState> Inner<D> {
    /// Returns the shard of a thread, or adopts an orphan for it.
    fn shard_of(&self, thread: u64) -> Option<NonNull<[D::Local; 1]>> {
        shard_of(&mut self.shards.lock(), thread)
    }

    /// Inserts a shard that was allocated for a thread, and returns the thread's shard. If a
    /// reentrant call inserted one meanwhile, `made` is dropped.
    fn insert(&self, made: PreallocNode<Shard<D::Local>>, thread: u64) -> NonNull<[D::Local; 1]> {
        let mut shards = self.shards.lock();
        if let Some(local) = shard_of(&mut shards, thread) {
            drop(shards);
            drop(made);
            return local;
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
                found = Some(owned.local);
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

// Touches only the list of shards, which the value owns: the registry keeps a forgotten value for
// ever, also after its borrows end.
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
        let removed = REGISTRY.lock().remove(|entry| entry.id == self.id);
        drop(removed);
        // SAFETY: a box of this value; its registry entry was removed above.
        drop(unsafe { Box::from_raw(self.inner.as_ptr()) });
    }
}

/// Orphans the calling thread's shards. Later calls of the thread get a new thread id.
fn on_thread_exit() {
    // Anything that allocates below belongs to a new thread id.
    let thread = THREAD_ID.replace(0);
    SHARD_CACHE.with(|cache| cache.iter().for_each(|slot| slot.set((0, null()))));
    let live = REGISTRY.lock();
    for entry in live.iter() {
        // SAFETY: entries are removed before their values are freed, and the registry is locked.
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
    fn each_thread_has_a_shard_and_the_next_adopts_it() {
        let sums: [Sharded<Sum>; 12] = core::array::from_fn(|_| Sharded::new(Sum));
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for round in 0..1000 {
                            let local = sums[round % sums.len()].local().unwrap();
                            local.store(local.load(Relaxed) + 1, Relaxed);
                        }
                    });
                }
            });
        }
        let all = |sums: &[Sharded<Sum>]| {
            let mut all = 0;
            sums.iter().for_each(|sum| sum.for_each(|local| all += local.load(Relaxed)));
            all
        };
        assert_eq!(all(&sums), 12_000);
        // A scope ends when its closures end, which is before its threads exit.
        let deadline = std::time::Instant::now() + core::time::Duration::from_secs(10);
        loop {
            let mut left = 0;
            sums.iter().for_each(|sum| sum.for_each_orphan(|local| left += local.load(Relaxed)));
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
    fn a_shard_is_dropped_when_another_was_inserted_meanwhile() {
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

    /// A shard whose allocator uses the sharded value itself.
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
    fn a_reentrant_call_gets_no_shard_during_initialization() {
        std::sync::LazyLock::force(&BACK);
        for thread in 0..2 {
            let answers =
                std::thread::spawn(|| (BACK.local().is_some(), CAME_BACK.take(), BACK.local().is_some()));
            // The second thread adopts the shard of the first.
            let came_back = (thread == 0).then_some(false);
            assert_eq!(answers.join().unwrap(), (true, came_back, true));
        }
    }

    #[test]
    fn values_and_threads_end_in_any_order() {
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
