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

const UNLOCKED: u32 = 0;
const LOCKED: u32 = 1;
const CONTENDED: u32 = 2;
/// How often a thread looks before it sleeps: what is guarded takes less than a system call.
#[cfg(not(shuttle))]
const MAX_SPINS: u32 = 100;

/// A value that one thread uses at a time. Taking it free is one locked operation; waiting sleeps in the kernel. Not fair, not
/// recursive, not poisoned by a panic: for values that are whole at every step.
///
/// ```
/// static COUNT: arenite_pages::ForkSafeMutex<u32> = arenite_pages::ForkSafeMutex::new(0);
/// std::thread::scope(|scope| (0..4).for_each(|_| _ = scope.spawn(|| *COUNT.lock() += 1)));
/// assert_eq!(*COUNT.lock(), 4);
/// ```
#[derive(Debug, Default)]
pub struct ForkSafeMutex<T> {
    word: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the word lets one thread at a time reach the value.
unsafe impl<T: Send> Sync for ForkSafeMutex<T> {}

impl<T> ForkSafeMutex<T> {
    /// A free lock before `value`.
    pub const fn new(value: T) -> Self {
        Self { word: AtomicU32::new(UNLOCKED), value: UnsafeCell::new(value) }
    }

    /// Waits until nobody has the value, and takes it until the guard is dropped.
    #[inline]
    pub fn lock(&self) -> ForkSafeMutexGuard<'_, T> {
        #[cfg(shuttle)]
        crate::yield_point();
        if self.word.compare_exchange(UNLOCKED, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.wait();
        }
        ForkSafeMutexGuard { lock: self }
    }

    /// In a model the holder is a thread that does not run now.
    #[cfg(shuttle)]
    fn wait(&self) {
        crate::util::yield_point::wait_until(|| {
            self.word.compare_exchange(UNLOCKED, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok()
        });
    }

    #[cfg(not(shuttle))]
    #[cold]
    fn wait(&self) {
        for _ in 0..MAX_SPINS {
            if self.word.load(Ordering::Relaxed) == UNLOCKED
                && self.word.compare_exchange(UNLOCKED, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return;
            }
            core::hint::spin_loop();
        }
        while self.word.swap(CONTENDED, Ordering::Acquire) != UNLOCKED {
            os::wait_while(&self.word, CONTENDED, None, false);
        }
    }

    /// Takes the lock and leaves it taken: what [`at_fork`](crate::at_fork) does before a fork.
    pub fn lock_raw(&self) {
        let _held = core::mem::ManuallyDrop::new(self.lock());
    }

    /// The guard of what [`ForkSafeMutex::lock_raw`] took.
    ///
    /// # Safety
    /// The calling thread, or the one it was forked from, took the lock by `hold`, and this is the first guard since.
    pub unsafe fn guard_from_raw(&self) -> ForkSafeMutexGuard<'_, T> {
        ForkSafeMutexGuard { lock: self }
    }

    #[inline]
    fn free(&self) {
        #[cfg(shuttle)]
        crate::yield_point();
        if self.word.swap(UNLOCKED, Ordering::Release) == CONTENDED {
            os::wake_one(&self.word, false);
        }
    }

    /// The value, of a lock that is borrowed exclusively.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

/// The value of a [`ForkSafeMutex`], until it is dropped.
#[derive(Debug)]
pub struct ForkSafeMutexGuard<'a, T> {
    lock: &'a ForkSafeMutex<T>,
}

// SAFETY: shares the value, as a reference would; sending the guard is left out, as it was taken on one thread.
unsafe impl<T: Sync> Sync for ForkSafeMutexGuard<'_, T> {}

impl<T> Deref for ForkSafeMutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard's holder alone has the value.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for ForkSafeMutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for ForkSafeMutexGuard<'_, T> {
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
            let lock = Arc::new(ForkSafeMutex::new((0, 0)));
            let threads = [0; 3].map(|_| {
                let lock = Arc::clone(&lock);
                shuttle::thread::spawn(move || {
                    let mut pair = lock.lock();
                    pair.0 += 1;
                    crate::yield_point();
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
        static SUM: ForkSafeMutex<(u64, u64)> = ForkSafeMutex::new((0, 0));
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
        static LOCK: ForkSafeMutex<u32> = ForkSafeMutex::new(0);
        static TAKEN: AtomicBool = AtomicBool::new(false);
        LOCK.lock_raw();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                *LOCK.lock() = 7;
                TAKEN.store(true, Ordering::Release);
            });
            std::thread::sleep(core::time::Duration::from_millis(20));
            assert!(!TAKEN.load(Ordering::Acquire));
            // SAFETY: held above.
            drop(unsafe { LOCK.guard_from_raw() });
        });
        assert_eq!(*LOCK.lock(), 7);
    }
}
