//! Values on cache lines of their own, and two of fixed size that a producer and a consumer share.
//!
//! Rests on nothing. 128 bytes and not 64, because processors fetch lines in pairs.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// A value that shares its pair of cache lines with no other, so that threads which write to neighbours do not wait for each other.
///
/// ```
/// use arenite_alloc::CacheLineAligned;
/// let counters = [const { CacheLineAligned::new(0_u64) }; 2];
/// assert_eq!((size_of_val(&counters), (&raw const counters[1]).addr() % 128), (256, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(128))]
pub struct CacheLineAligned<T> {
    value: T,
}

impl<T> CacheLineAligned<T> {
    /// The value.
    pub const fn new(value: T) -> Self {
        Self { value }
    }

    /// The value, out of its lines.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for CacheLineAligned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for CacheLineAligned<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

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

/// What a worker tells of its work: one cache line.
///
/// ```
/// use arenite_alloc::TelemetryBuffer;
/// let telemetry = TelemetryBuffer::default();
/// telemetry.record(300);
/// telemetry.record(100);
/// assert_eq!((telemetry.messages(), telemetry.latency_ns()), (2, Some((100, 200, 300))));
/// ```
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct TelemetryBuffer {
    messages: AtomicU64,
    dropped: AtomicU64,
    total: AtomicU64,
    /// One more than the least, so that 0 is none.
    least: AtomicU64,
    most: AtomicU64,
    reserved: [u64; 3],
}

impl TelemetryBuffer {
    /// A message was done in so many nanoseconds.
    pub fn record(&self, latency_ns: u64) {
        self.total.fetch_add(latency_ns, Relaxed);
        self.most.fetch_max(latency_ns, Relaxed);
        let below = latency_ns.saturating_add(1);
        // an error is the value that stays
        let _least =
            self.least.fetch_update(Relaxed, Relaxed, |least| (least == 0 || below < least).then_some(below));
        self.messages.fetch_add(1, Relaxed);
    }

    /// A message was not done.
    pub fn drop_one(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    /// Messages done.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages.load(Relaxed)
    }

    /// Messages not done.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// The least, the mean and the largest time of a message, in nanoseconds; `None` before the first.
    #[must_use]
    pub fn latency_ns(&self) -> Option<(u64, u64, u64)> {
        let mean = self.total.load(Relaxed).checked_div(self.messages())?;
        Some((self.least.load(Relaxed).saturating_sub(1), mean, self.most.load(Relaxed)))
    }
}

const _: () = assert!(size_of::<ControlBlock>() == 128 && align_of::<ControlBlock>() == 128);
const _: () = assert!(size_of::<TelemetryBuffer>() == 64 && align_of::<TelemetryBuffer>() == 64);
const _: () = assert!(align_of::<CacheLineAligned<u8>>() == 128);
