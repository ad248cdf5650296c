//! A mutex for allocators that can be held across `fork`.
//!
//! The standard mutex can only be unlocked through a guard. If another thread holds it at a
//! `fork`, it stays locked in the child for ever. This one is locked before the fork and unlocked
//! after it in both processes.
//!
//! The word is 0 unlocked, 1 locked, 2 locked with waiters (Drepper, "Futexes Are Tricky", 2011).
#![expect(unsafe_code, reason = "shares a value with one thread at a time")]

use crate::os;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

const UNLOCKED: u32 = 0;
const LOCKED: u32 = 1;
const CONTENDED: u32 = 2;
/// Maximum number of polls before a thread sleeps: critical sections are shorter than a system
/// call.
#[cfg(not(shuttle))]
const MAX_SPINS: u32 = 100;

/// A value that one thread uses at a time. Locking without contention is one atomic operation;
/// waiting sleeps in the kernel. Not fair, not recursive, and not poisoned by a panic: the value
/// must be consistent at every step.
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
    /// Makes an unlocked mutex around `value`.
    pub const fn new(value: T) -> Self {
        Self { word: AtomicU32::new(UNLOCKED), value: UnsafeCell::new(value) }
    }

    /// Waits until the mutex is unlocked, and locks it until the guard is dropped.
    #[inline]
    pub fn lock(&self) -> ForkSafeMutexGuard<'_, T> {
        #[cfg(shuttle)]
        crate::yield_point();
        if self.word.compare_exchange(UNLOCKED, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.wait();
        }
        ForkSafeMutexGuard { lock: self }
    }

    /// Yields to the other threads of the model: the holder does not run now.
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

    /// Locks without a guard, for the `prepare` handler of [`at_fork`](crate::at_fork).
    pub fn lock_raw(&self) {
        let _held = core::mem::ManuallyDrop::new(self.lock());
    }

    /// Returns the guard of a mutex that [`ForkSafeMutex::lock_raw`] locked.
    ///
    /// # Safety
    /// The calling thread, or the one it was forked from, locked it by `lock_raw`, and this is the
    /// first guard since.
    pub unsafe fn guard_from_raw(&self) -> ForkSafeMutexGuard<'_, T> {
        ForkSafeMutexGuard { lock: self }
    }

    #[inline]
    fn unlock(&self) {
        #[cfg(shuttle)]
        crate::yield_point();
        if self.word.swap(UNLOCKED, Ordering::Release) == CONTENDED {
            os::wake_one(&self.word, false);
        }
    }

    /// Returns the value of a mutex that is borrowed exclusively.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

/// Access to the value of a [`ForkSafeMutex`], which its drop unlocks.
#[derive(Debug)]
pub struct ForkSafeMutexGuard<'a, T> {
    lock: &'a ForkSafeMutex<T>,
}

// SAFETY: shares the value, as a reference would. The guard is `Send` if `T` is: any thread may
// unlock.
unsafe impl<T: Sync> Sync for ForkSafeMutexGuard<'_, T> {}

impl<T> Deref for ForkSafeMutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: only the guard's holder can reach the value.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for ForkSafeMutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: only the guard's holder can reach the value, and the guard is borrowed
        // exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for ForkSafeMutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.unlock();
    }
}

#[cfg(all(test, shuttle))]
mod models {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn shuttle_lock_is_held_by_one_thread_at_a_time() {
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
    fn mutex_excludes_threads_that_sleep() {
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
    fn lock_raw_waits_for_its_guard() {
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
            // SAFETY: locked above.
            drop(unsafe { LOCK.guard_from_raw() });
        });
        assert_eq!(*LOCK.lock(), 7);
    }
}
