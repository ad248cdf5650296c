//! Calls of the C library at a thread's exit.
//!
//! The standard library's thread-local destructors allocate, so an allocator cannot use them. Keys
//! of the C library do not; their destructors run after those of the standard library.
#![expect(unsafe_code, reason = "calls the C library for keys")]

use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A function that runs at the exit of each thread that registered it. Must be a static.
#[derive(Debug)]
pub struct ThreadExitHook {
    call: fn(),
    /// The key plus 1; 0 before it is made.
    key: AtomicUsize,
}

impl ThreadExitHook {
    /// Makes a hook that runs `call` on the exiting thread.
    #[must_use]
    pub const fn new(call: fn()) -> Self {
        Self { call, key: AtomicUsize::new(0) }
    }

    /// Registers the hook for the exit of the calling thread. A second registration has no effect.
    /// Returns `false` if the C library has no key left, or no memory for it.
    ///
    /// An allocator may call this: if the C library needs memory for it, it calls `malloc`.
    pub fn register(&'static self) -> bool {
        let Some(key) = self.key() else { return false };
        let value = core::ptr::from_ref(self).cast::<c_void>();
        // SAFETY: a key that was made and is never deleted; the value is a static.
        unsafe { libc::pthread_setspecific(key, value) == 0 }
    }

    fn key(&self) -> Option<libc::pthread_key_t> {
        loop {
            match self.key.load(Ordering::Acquire) {
                0 => {}
                key => return libc::pthread_key_t::try_from(key - 1).ok(),
            }
            let mut key: libc::pthread_key_t = 0;
            // SAFETY: the library writes the key; `on_thread_exit` is a function of that signature.
            if unsafe { libc::pthread_key_create(&raw mut key, Some(on_thread_exit)) } != 0 {
                return None;
            }
            let number = usize::try_from(key).ok()?.checked_add(1)?;
            if self.key.compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: this call made the key, and no other code has it.
                let _deleted = unsafe { libc::pthread_key_delete(key) };
            }
        }
    }
}

unsafe extern "C" fn on_thread_exit(value: *mut c_void) {
    // SAFETY: `register` sets nothing but statics of this type.
    if let Some(this) = unsafe { value.cast::<ThreadExitHook>().as_ref() } {
        (this.call)();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_hook_runs_once_per_registered_thread() {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        static CALL: ThreadExitHook = ThreadExitHook::new(|| _ = COUNT.fetch_add(1, Ordering::Relaxed));
        for asks in [2, 1, 0] {
            std::thread::spawn(move || assert!((0..asks).all(|_| CALL.register()))).join().unwrap();
        }
        assert_eq!(COUNT.load(Ordering::Relaxed), 2);
    }
}
