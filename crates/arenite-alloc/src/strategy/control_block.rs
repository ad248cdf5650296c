//! Two cache lines that a worker shares with its controller.

use core::sync::atomic::{AtomicU32, AtomicU64};

/// What a worker and those who direct it share: two cache lines of words, each written by one side.
///
/// ```
/// use arenite_alloc::ControlBlock;
/// use std::sync::atomic::Ordering;
/// let control = ControlBlock::default();
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         while control.should_terminate.load(Ordering::Acquire) == 0 {
///             control.messages_processed.fetch_add(1, Ordering::Relaxed);
///         }
///         control.has_terminated.store(1, Ordering::Release);
///     });
///     control.should_terminate.store(1, Ordering::Release);
/// });
/// assert_eq!(control.has_terminated.load(Ordering::Acquire), 1);
/// ```
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct ControlBlock {
    /// 1 while the worker may work.
    pub is_active: AtomicU32,
    /// 1 once the worker is to end.
    pub should_terminate: AtomicU32,
    /// 1 once it has.
    pub has_terminated: AtomicU32,
    /// Why it ended; 0 is well.
    pub error: AtomicU32,
    /// Messages done.
    pub messages_processed: AtomicU64,
    /// Messages begun and not done.
    pub messages_in_flight: AtomicU64,
    /// Where the next message is put in.
    pub input_head: AtomicU64,
    /// Where the next one is taken out.
    pub input_tail: AtomicU64,
    /// Where the next answer is put in.
    pub output_head: AtomicU64,
    /// Where the next one is taken out.
    pub output_tail: AtomicU64,
    /// How many messages and answers there is room for.
    pub capacities: [AtomicU32; 2],
    reserved: [u64; 7],
}

const _: () = assert!(size_of::<ControlBlock>() == 128 && align_of::<ControlBlock>() == 128);
