//! A lock for what an allocator keeps, which can be held across `fork`.
//!
//! Rests on `os` for its waits. The standard library's lock can only be given back through a guard, and one whose holder is
//! another thread stays locked in the child of a `fork` for ever; this one is taken before the fork and given back after it, on
//! both sides. It is one word that is 0 free, 1 held, 2 held with somebody waiting (Drepper, "Futexes Are Tricky", 2011).
#![expect(unsafe_code, reason = "lends what it guards to one thread at a time")]

use crate::os;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

const FREE: u32 = 0;
const HELD: u32 = 1;
const AWAITED: u32 = 2;
/// How often a thread looks before it sleeps: what is guarded takes less than a system call.
#[cfg(not(shuttle))]
const LOOKS: u32 = 100;

/// A value that one thread uses at a time. Taking it free is one locked operation; waiting sleeps in the kernel. Not fair, not
/// recursive, not poisoned by a panic: for values that are whole at every step.
///
/// ```
/// static COUNT: arenite_pages::Lock<u32> = arenite_pages::Lock::new(0);
/// std::thread::scope(|scope| (0..4).for_each(|_| _ = scope.spawn(|| *COUNT.lock() += 1)));
/// assert_eq!(*COUNT.lock(), 4);
/// ```
#[derive(Debug, Default)]
pub struct Lock<T> {
    word: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the word lets one thread at a time reach the value.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// A free lock before `value`.
    pub const fn new(value: T) -> Self {
        Self { word: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Waits until nobody has the value, and takes it until the guard is dropped.
    #[inline]
    pub fn lock(&self) -> LockGuard<'_, T> {
        #[cfg(shuttle)]
        crate::interleave();
        if self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.wait();
        }
        LockGuard { lock: self }
    }

    /// In a model the holder is a thread that does not run now.
    #[cfg(shuttle)]
    fn wait(&self) {
        crate::util::yield_point::wait_until(|| {
            self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
        });
    }

    #[cfg(not(shuttle))]
    #[cold]
    fn wait(&self) {
        for _ in 0..LOOKS {
            if self.word.load(Ordering::Relaxed) == FREE
                && self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return;
            }
            core::hint::spin_loop();
        }
        while self.word.swap(AWAITED, Ordering::Acquire) != FREE {
            os::wait_while(&self.word, AWAITED, None, false);
        }
    }

    /// Takes the lock and leaves it taken: what [`around_fork`](crate::around_fork) does before a fork.
    pub fn hold(&self) {
        let _held = core::mem::ManuallyDrop::new(self.lock());
    }

    /// The guard of what [`Lock::hold`] took.
    ///
    /// # Safety
    /// The calling thread, or the one it was forked from, took the lock by `hold`, and this is the first guard since.
    pub unsafe fn held(&self) -> LockGuard<'_, T> {
        LockGuard { lock: self }
    }

    #[inline]
    fn free(&self) {
        #[cfg(shuttle)]
        crate::interleave();
        if self.word.swap(FREE, Ordering::Release) == AWAITED {
            os::wake_one(&self.word, false);
        }
    }

    /// The value, of a lock that is borrowed exclusively.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

/// The value of a [`Lock`], until it is dropped.
#[derive(Debug)]
pub struct LockGuard<'a, T> {
    lock: &'a Lock<T>,
}

// SAFETY: shares the value, as a reference would; sending the guard is left out, as it was taken on one thread.
unsafe impl<T: Sync> Sync for LockGuard<'_, T> {}

impl<T> Deref for LockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard's holder alone has the value.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for LockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for LockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.free();
    }
}

#[cfg(all(test, shuttle))]
mod models {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn shuttle_one_at_a_time() {
        let model = || {
            let lock = Arc::new(Lock::new((0, 0)));
            let threads = [0; 3].map(|_| {
                let lock = Arc::clone(&lock);
                shuttle::thread::spawn(move || {
                    let mut pair = lock.lock();
                    pair.0 += 1;
                    crate::interleave();
                    pair.1 += 1;
                    assert_eq!(pair.0, pair.1);
                })
            });
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(*lock.lock(), (3, 3));
        };
        shuttle::check_random(model, 1000);
        shuttle::check_pct(model, 1000, 3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn one_at_a_time_also_where_they_must_sleep() {
        static SUM: Lock<(u64, u64)> = Lock::new((0, 0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for turn in 0..2_000_u32 {
                        let mut sum = SUM.lock();
                        sum.0 += 1;
                        if turn.is_multiple_of(500) {
                            std::thread::sleep(core::time::Duration::from_micros(200));
                        }
                        sum.1 += 1;
                        assert_eq!(sum.0, sum.1);
                    }
                });
            }
        });
        assert_eq!(*SUM.lock(), (8_000, 8_000));
    }

    #[test]
    fn what_is_held_waits_for_its_guard() {
        static LOCK: Lock<u32> = Lock::new(0);
        static TAKEN: AtomicBool = AtomicBool::new(false);
        LOCK.hold();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                *LOCK.lock() = 7;
                TAKEN.store(true, Ordering::Release);
            });
            std::thread::sleep(core::time::Duration::from_millis(20));
            assert!(!TAKEN.load(Ordering::Acquire));
            // SAFETY: held above.
            drop(unsafe { LOCK.held() });
        });
        assert_eq!(*LOCK.lock(), 7);
    }
}
