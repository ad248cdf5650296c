//! Where a scheduler of tests may let another thread go on.
//!
//! Rests on shuttle (`--cfg shuttle`), whose threads are stacks that one thread of the system runs in turn. A scheduler sees the
//! operations that go through its own types; those of a heap lie in memory that begins as zeroes, where only plain atomics can
//! be, so each calls this first.

/// Another thread of the model may run here. Outside of a model nothing happens.
pub fn yield_point() {
    if shuttle::current::get_current_task().is_some() {
        let _any = shuttle::sync::atomic::AtomicBool::new(false).load(core::sync::atomic::Ordering::SeqCst);
    }
}

/// Waits until `free` says yes, while the other threads of the model run.
pub(crate) fn wait_until(mut free: impl FnMut() -> bool) {
    while !free() {
        shuttle::thread::yield_now();
    }
}
