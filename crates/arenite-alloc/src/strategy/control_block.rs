//! Two cache lines that a worker shares with its controller.

use core::sync::atomic::{AtomicU32, AtomicU64};

/// Shared state of a worker and its controller: two cache lines of words, each written by one
/// side.
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
    /// 1 once the worker has ended.
    pub has_terminated: AtomicU32,
    /// Reason of the end; 0 is success.
    pub error: AtomicU32,
    /// Number of messages completed.
    pub messages_processed: AtomicU64,
    /// Number of messages started and not completed.
    pub messages_in_flight: AtomicU64,
    /// Position of the next message to push.
    pub input_head: AtomicU64,
    /// Position of the next message to pop.
    pub input_tail: AtomicU64,
    /// Position of the next reply to push.
    pub output_head: AtomicU64,
    /// Position of the next reply to pop.
    pub output_tail: AtomicU64,
    /// Capacities for messages and replies.
    pub capacities: [AtomicU32; 2],
    reserved: [u64; 7],
}

const _: () = assert!(size_of::<ControlBlock>() == 128 && align_of::<ControlBlock>() == 128);
