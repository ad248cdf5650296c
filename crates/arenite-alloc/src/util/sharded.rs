//! A part of a value for each thread that uses it, found without a lock.
//!
//! Rests on thread-local storage and the end of a thread. A thread remembers the parts that it used last by the number of their
//! value, eight of them; others are found under the value's lock. When a thread ends, each value that lives hears of it, and
//! the part is the next thread's.
#![expect(unsafe_code, reason = "follows pointers to values that live and to parts of theirs")]

use crate::util::fallible_vec::try_boxed;
use crate::util::prealloc_list::{Entry, Linked};
use arenite_pages::{AtThreadExit, Lock};
use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::{NonNull, null};
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::TryReserveError;

/// How many parts a thread finds without a lock.
const PLACES: usize = 8;

/// What threads have parts of.
pub(crate) trait Divided: Sync {
    /// What one thread changes and all may read.
    type Part: Default + Send + Sync;
}

/// A value with a part for each thread.
#[derive(Debug)]
pub(crate) struct PerThread<D: Divided> {
    number: u64,
    /// A box, kept as a pointer because the list of the living has it as well.
    body: NonNull<Body<D>>,
    owns: PhantomData<Body<D>>,
}

// SAFETY: the body is `Sync`, and the parts that are changed without a lock are changed by their threads alone.
unsafe impl<D: Divided + Send> Send for PerThread<D> {}
// SAFETY: as above.
unsafe impl<D: Divided> Sync for PerThread<D> {}

#[derive(Debug)]
struct Body<D: Divided> {
    whole: D,
    parts: Lock<Linked<Owned<D::Part>>>,
}

/// A part, and the number of the thread that has it; 0 is nobody. A box, kept as a pointer because threads have its address.
#[derive(Debug)]
struct Owned<P> {
    thread: u64,
    part: NonNull<[P; 1]>,
}

// SAFETY: as a box of it, but for being shared.
unsafe impl<P: Send + Sync> Send for Owned<P> {}

impl<P: Default> Owned<P> {
    fn try_new(thread: u64) -> Result<Self, TryReserveError> {
        Ok(Self { thread, part: NonNull::from(Box::leak(try_boxed(P::default())?)) })
    }
}

impl<P> Owned<P> {
    const fn part(&self) -> &P {
        // SAFETY: boxed until this goes; never lent exclusively.
        let [part] = unsafe { self.part.as_ref() };
        part
    }
}

impl<P> Drop for Owned<P> {
    fn drop(&mut self) {
        // SAFETY: a box of this value's; the values that threads could find it by are gone, or never find it again.
        drop(unsafe { Box::from_raw(self.part.as_ptr()) });
    }
}

type Place = (u64, *const ());

thread_local! {
    static PLACES_OF_THREAD: [Cell<Place>; PLACES] = const { [const { Cell::new((0, null())) }; PLACES] };
    static THREAD: Cell<u64> = const { Cell::new(0) };
    /// A part is made on this thread, by an allocator that may come back.
    static MAKING: Cell<bool> = const { Cell::new(false) };
}

struct Making;

impl Drop for Making {
    fn drop(&mut self) {
        MAKING.set(false);
    }
}

static NUMBERS: AtomicU64 = AtomicU64::new(1);
static LEAVING: AtThreadExit = AtThreadExit::new(leave_all);
static LIVE: Lock<Linked<Living>> = Lock::new(Linked::new());

/// What hears of threads that end.
trait Hears {
    fn left_by(&self, thread: u64);
}

struct Living {
    number: u64,
    value: NonNull<dyn Hears>,
}

// SAFETY: `Hears` is implemented for what is `Sync`, and the list is used under its lock.
unsafe impl Send for Living {}

fn number() -> u64 {
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

impl<D: Divided> PerThread<D> {
    pub(crate) fn new(whole: D) -> Self {
        let body = NonNull::from(Box::leak(Box::new(Body { whole, parts: Lock::new(Linked::new()) })));
        let this = Self { number: number(), body, owns: PhantomData };
        let value: NonNull<dyn Hears + '_> = body;
        // SAFETY: the same type but for how long it may be used. The entry goes before the body, in `drop`; where the value is forgotten
        // the body stays for ever, and nothing but its own list is used through the entry.
        let value = unsafe { core::mem::transmute::<NonNull<dyn Hears + '_>, NonNull<dyn Hears>>(value) };
        let entry = Entry::new(Living { number: this.number, value });
        LIVE.lock().push(entry);
        this
    }

    const fn body(&self) -> &Body<D> {
        // SAFETY: boxed until this goes; never lent exclusively.
        unsafe { self.body.as_ref() }
    }

    pub(crate) const fn whole(&self) -> &D {
        &self.body().whole
    }

    /// The calling thread's part; `None`: it has none yet, and there is no memory for one, or one is being made: the global allocator may
    /// be over this value.
    #[inline(always)]
    pub(crate) fn part(&self) -> Option<&D::Part> {
        let (number, part) = PLACES_OF_THREAD.with(|places| places[place(self.number)].get());
        if number == self.number {
            // SAFETY: numbers are given once, so the part is this value's; parts live as long as their value.
            Some(unsafe { &*part.cast::<D::Part>() })
        } else {
            self.find()
        }
    }

    #[cold]
    #[inline(never)]
    fn find(&self) -> Option<&D::Part> {
        let thread = THREAD.with(|thread| {
            if thread.get() == 0 {
                thread.set(number());
                // without it the part stays this thread's until the value goes
                LEAVING.ask();
            }
            thread.get()
        });
        let part = match self.body().part_of(thread) {
            Some(part) => part,
            None if MAKING.replace(true) => return None,
            None => {
                let _making = Making;
                self.body().enter(Owned::try_new(thread).and_then(Entry::try_new).ok()?, thread)
            }
        };
        let part = part.cast::<D::Part>();
        PLACES_OF_THREAD
            .with(|places| places[place(self.number)].set((self.number, part.as_ptr().cast_const().cast())));
        // SAFETY: boxed, and the box goes with the value.
        Some(unsafe { part.as_ref() })
    }

    /// Looks at the parts whose threads have ended. Until this returns, no thread comes to one: what looks may change it.
    pub(crate) fn each_left(&self, visit: impl FnMut(&D::Part)) {
        self.body().parts.lock().iter().filter(|owned| owned.thread == 0).map(Owned::part).for_each(visit);
    }

    /// Looks at every part, of threads that run and of those that ended.
    pub(crate) fn each(&self, mut visit: impl FnMut(&D::Part)) {
        self.body().parts.lock().iter().for_each(|owned| visit(owned.part()));
    }
}

impl<D: Divided> Body<D> {
    /// The part of a thread, or one of a thread that ended, which is this one's then.
    fn part_of(&self, thread: u64) -> Option<NonNull<[D::Part; 1]>> {
        part_of(&mut self.parts.lock(), thread)
    }

    /// Enters a part that was made for a thread. The global allocator may have come here meanwhile: then it goes again.
    fn enter(&self, made: Entry<Owned<D::Part>>, thread: u64) -> NonNull<[D::Part; 1]> {
        let mut parts = self.parts.lock();
        if let Some(part) = part_of(&mut parts, thread) {
            drop(parts);
            drop(made);
            return part;
        }
        parts.push(made);
        part_of(&mut parts, thread).unwrap_or_else(|| unreachable!("entered just now"))
    }
}

fn part_of<P>(parts: &mut Linked<Owned<P>>, thread: u64) -> Option<NonNull<[P; 1]>> {
    let found = |parts: &mut Linked<Owned<P>>, of: u64| {
        let mut found = None;
        parts.each_mut(|owned| {
            if owned.thread == of {
                owned.thread = thread;
                found = Some(owned.part);
            }
            found.is_some()
        });
        found
    };
    found(parts, thread).or_else(|| found(parts, 0))
}

#[expect(clippy::cast_possible_truncation, reason = "below eight")]
const fn place(number: u64) -> usize {
    (number % PLACES as u64) as usize
}

// Touches nothing but the list of parts, which is the body's own: a value that was forgotten and not dropped is heard of for ever,
// also when what it borrows is gone.
impl<D: Divided> Hears for Body<D> {
    fn left_by(&self, thread: u64) {
        self.parts.lock().each_mut(|owned| {
            if owned.thread == thread {
                owned.thread = 0;
            }
            false
        });
    }
}

impl<D: Divided> Drop for PerThread<D> {
    fn drop(&mut self) {
        let gone = LIVE.lock().remove(|living| living.number == self.number);
        drop(gone);
        // SAFETY: a box of this value's; nobody hears of threads through it any more.
        drop(unsafe { Box::from_raw(self.body.as_ptr()) });
    }
}

/// The calling thread ends. What it does afterwards begins as another thread.
fn leave_all() {
    // what this allocates, if anything, is of a thread that has a number
    let thread = THREAD.replace(0);
    PLACES_OF_THREAD.with(|places| places.iter().for_each(|place| place.set((0, null()))));
    let live = LIVE.lock();
    for living in live.iter() {
        // SAFETY: values leave the list before they go, and the list is locked.
        unsafe { living.value.as_ref() }.left_by(thread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[derive(Default)]
    struct Sum;

    impl Divided for Sum {
        type Part = AtomicUsize;
    }

    #[test]
    fn each_thread_has_a_part_and_leaves_it_to_the_next() {
        let sums: [PerThread<Sum>; 12] = core::array::from_fn(|_| PerThread::new(Sum));
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for round in 0..1000 {
                            let part = sums[round % sums.len()].part().unwrap();
                            part.store(part.load(Relaxed) + 1, Relaxed);
                        }
                    });
                }
            });
        }
        let all = |sums: &[PerThread<Sum>]| {
            let mut all = 0;
            sums.iter().for_each(|sum| sum.each(|part| all += part.load(Relaxed)));
            all
        };
        assert_eq!(all(&sums), 12_000);
        // a scope ends when its closures do, which is before its threads do
        let deadline = std::time::Instant::now() + core::time::Duration::from_secs(10);
        loop {
            let mut left = 0;
            sums.iter().for_each(|sum| sum.each_left(|part| left += part.load(Relaxed)));
            if left == 12_000 {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{left}");
            std::thread::yield_now();
        }
        let mut parts = 0;
        sums[0].each(|_| parts += 1);
        assert!(parts <= 12, "{parts}");
    }

    #[test]
    fn a_part_that_was_made_while_another_was_entered_goes_again() {
        let sum = PerThread::new(Sum);
        let made = || Entry::try_new(Owned::try_new(u64::MAX).unwrap()).unwrap();
        let first = sum.body().enter(made(), u64::MAX);
        assert_eq!(sum.body().enter(made(), u64::MAX), first);
        let mut parts = 0;
        sum.each(|_| parts += 1);
        assert_eq!(parts, 1);
    }

    thread_local! {
        static CAME_BACK: Cell<Option<bool>> = const { Cell::new(None) };
    }

    struct Back;

    /// Made by an allocator that is over what it is a part of.
    struct ComesBack;

    impl Default for ComesBack {
        fn default() -> Self {
            CAME_BACK.set(Some(BACK.part().is_some()));
            Self
        }
    }

    impl Divided for Back {
        type Part = ComesBack;
    }

    static BACK: std::sync::LazyLock<PerThread<Back>> = std::sync::LazyLock::new(|| PerThread::new(Back));

    #[test]
    fn who_comes_back_while_its_part_is_made_has_none() {
        std::sync::LazyLock::force(&BACK);
        for thread in 0..2 {
            let answers =
                std::thread::spawn(|| (BACK.part().is_some(), CAME_BACK.take(), BACK.part().is_some()));
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
                        let sum = PerThread::new(Sum);
                        sum.part().unwrap().store(1, Relaxed);
                        std::thread::scope(|inner| {
                            inner.spawn(|| sum.part().unwrap().store(1, Relaxed));
                        });
                        assert_eq!(sum.part().unwrap().load(Relaxed), 1);
                    }
                });
            }
        });
    }
}
