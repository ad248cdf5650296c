//! Which thread heap the calling thread used last: two words of thread-local storage.
//!
//! Rests on the processor's thread pointer. It is read once in each call, so what reading it costs is a good part of an
//! allocation. In a program that is one load; in a shared library the standard library's thread-locals are found by a call
//! (the general model, for libraries that are loaded late), which costs as much as the allocation itself. So on x86-64 Linux the
//! two words are asked for by the initial-exec model (Drepper, "ELF Handling For Thread-Local Storage", 2013), which the linker
//! makes a constant in a program and one load in a library. Elsewhere they are a standard thread-local.

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

// so that the one that is not used here cannot fall behind
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
    fn each_thread_has_its_own_words() {
        // on a thread that no heap was used on
        std::thread::spawn(|| check_isolation(get, set)).join().unwrap();
        std::thread::spawn(|| check_isolation(portable::get, portable::set)).join().unwrap();
    }
}
