//! The heap that the calling thread used last, and its part of it: two words of thread-local
//! storage.
//!
//! Every call reads them, so their access is a good part of an allocation. The standard library's
//! thread-locals are one load in a program, but a function call in a shared library
//! (general-dynamic model). On x86-64 Linux the words therefore use the initial-exec model: a
//! constant offset in a program, one load in a library. (Drepper, "ELF Handling For Thread-Local
//! Storage", 2013.) Elsewhere they are a standard thread-local.

pub(crate) use backend::{get, set};

#[cfg(shuttle)]
pub(crate) mod shuttle_tls;
#[cfg(shuttle)]
use shuttle_tls as backend;

#[cfg(all(
    target_os = "linux",
    target_arch = "x86_64",
    target_pointer_width = "64",
    not(miri),
    not(loom),
    not(shuttle)
))]
#[path = "x86_64.rs"]
mod backend;

#[cfg(not(any(
    all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64", not(miri), not(loom)),
    shuttle
)))]
#[path = "portable.rs"]
mod backend;

// compiled in tests, so that the portable backend stays correct
#[cfg(test)]
#[path = "portable.rs"]
mod portable;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::thread::heap_table::CurrentHeap;
    use crate::heap::thread::thread_heap::ThreadHeap;

    fn check_isolation(get: fn() -> CurrentHeap, set: fn(CurrentHeap)) {
        let here: *const ThreadHeap = core::ptr::without_provenance(0x5000);
        assert_eq!(get(), (0, core::ptr::null()));
        set((7, here));
        std::thread::scope(|scope| {
            for number in 1..4 {
                scope.spawn(move || {
                    assert_eq!(get(), (0, core::ptr::null()));
                    let there = core::ptr::without_provenance(number * 0x1000);
                    set((number as u64, there));
                    std::thread::yield_now();
                    assert_eq!(get(), (number as u64, there));
                });
            }
        });
        assert_eq!(get(), (7, here));
        set((0, core::ptr::null()));
    }

    #[test]
    fn tls_words_are_per_thread() {
        // on threads that used no heap
        std::thread::spawn(|| check_isolation(get, set)).join().unwrap();
        std::thread::spawn(|| check_isolation(portable::get, portable::set)).join().unwrap();
    }
}
