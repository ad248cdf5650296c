//! Points at which a test scheduler may switch threads.
//!
//! Shuttle (`--cfg shuttle`) switches only at operations of its own types. A heap keeps its
//! atomics in zeroed memory, where only plain atomics can be, so each operation on them calls this
//! first.

/// Lets another thread of the model run. Does nothing outside a model.
pub fn yield_point() {
    if shuttle::current::get_current_task().is_some() {
        let _any = shuttle::sync::atomic::AtomicBool::new(false).load(core::sync::atomic::Ordering::SeqCst);
    }
}

/// Waits until `free` returns `true`, while the other threads of the model run.
pub(crate) fn wait_until(mut free: impl FnMut() -> bool) {
    while !free() {
        shuttle::thread::yield_now();
    }
}
