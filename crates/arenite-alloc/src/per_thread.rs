//! A part of a value for each thread that uses it, found without a lock.
//!
//! Rests on thread-local storage and the end of a thread. A thread remembers the parts that it used last by the number of their
//! value, eight of them; others are found under the value's lock. When a thread ends, each value that lives hears of it, and
//! the part is the next thread's.
#![expect(unsafe_code, reason = "follows pointers to values that live and to parts of theirs")]

use crate::asked::try_boxed;
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
    parts: Lock<Vec<Owned<D::Part>>>,
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
}

static NUMBERS: AtomicU64 = AtomicU64::new(1);
static LEAVING: AtThreadExit = AtThreadExit::new(leave_all);
static LIVE: Lock<Vec<Living>> = Lock::new(Vec::new());

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
        let body = NonNull::from(Box::leak(Box::new(Body { whole, parts: Lock::new(Vec::new()) })));
        let this = Self { number: number(), body, owns: PhantomData };
        let value: NonNull<dyn Hears + '_> = body;
        // SAFETY: the same type but for how long it may be used. The entry goes before the body, in `drop`; where the value is forgotten
        // the body stays for ever, and nothing but its own list is used through the entry.
        let value = unsafe { core::mem::transmute::<NonNull<dyn Hears + '_>, NonNull<dyn Hears>>(value) };
        LIVE.lock().push(Living { number: this.number, value });
        this
    }

    const fn body(&self) -> &Body<D> {
        // SAFETY: boxed until this goes; never lent exclusively.
        unsafe { self.body.as_ref() }
    }

    pub(crate) const fn whole(&self) -> &D {
        &self.body().whole
    }

    /// The calling thread's part; `None`: it has none yet, and there is no memory for one.
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
        let mut parts = self.body().parts.lock();
        let at = parts
            .iter()
            .position(|owned| owned.thread == thread)
            .or_else(|| parts.iter().position(|owned| owned.thread == 0));
        let at = match at {
            Some(at) => at,
            None => {
                parts.try_reserve(1).ok()?;
                parts.push(Owned::try_new(thread).ok()?);
                parts.len() - 1
            }
        };
        parts[at].thread = thread;
        let part = parts[at].part.cast::<D::Part>();
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

#[expect(clippy::cast_possible_truncation, reason = "below eight")]
const fn place(number: u64) -> usize {
    (number % PLACES as u64) as usize
}

// Touches nothing but the list of parts, which is the body's own: a value that was forgotten and not dropped is heard of for ever,
// also when what it borrows is gone.
impl<D: Divided> Hears for Body<D> {
    fn left_by(&self, thread: u64) {
        let mut parts = self.parts.lock();
        for owned in parts.iter_mut().filter(|owned| owned.thread == thread) {
            owned.thread = 0;
        }
    }
}

impl<D: Divided> Drop for PerThread<D> {
    fn drop(&mut self) {
        LIVE.lock().retain(|living| living.number != self.number);
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
