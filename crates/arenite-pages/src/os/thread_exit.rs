//! The end of a thread: a function that is called then, without the standard library's thread-local destructors, which
//! allocate and so cannot serve an allocator.
//!
//! Rests on the C library's keys. The destructors of all keys run after those of the standard library's thread-locals.
#![expect(unsafe_code, reason = "makes a key of the C library's")]

use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A function that is called at the end of each thread that asked for it. Put it in a static.
#[derive(Debug)]
pub struct ThreadExitHook {
    call: fn(),
    /// The key and one more; 0 before it is made.
    key: AtomicUsize,
}

impl ThreadExitHook {
    /// `call` is called on the thread that ends.
    #[must_use]
    pub const fn new(call: fn()) -> Self {
        Self { call, key: AtomicUsize::new(0) }
    }

    /// Asks for the call at the end of the calling thread; asking twice is asking once. False: the C library has no key left,
    /// or no memory for it, and nothing will be called.
    ///
    /// May be called from an allocator: where the C library needs memory for it, it asks `malloc`.
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
                // SAFETY: this call made the key, and nobody else knows of it.
                let _deleted = unsafe { libc::pthread_key_delete(key) };
            }
        }
    }
}

/// Registers three functions around each fork. Returns whether the C library did so.
pub(crate) fn pthread_atfork(
    prepare: extern "C" fn(),
    parent: extern "C" fn(),
    child: extern "C" fn(),
) -> bool {
    // SAFETY: three safe functions of that signature, which live as long as this code does: the C library removes them
    // when the library that they are part of is unloaded.
    unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) == 0 }
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
    fn a_call_is_made_once_for_each_thread_that_asked() {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        static CALL: ThreadExitHook = ThreadExitHook::new(|| _ = COUNT.fetch_add(1, Ordering::Relaxed));
        for asks in [2, 1, 0] {
            std::thread::spawn(move || assert!((0..asks).all(|_| CALL.register()))).join().unwrap();
        }
        assert_eq!(COUNT.load(Ordering::Relaxed), 2);
    }
}
