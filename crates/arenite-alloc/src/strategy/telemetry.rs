//! One cache line of counters of a worker.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a worker tells of its work: one cache line.
///
/// ```
/// use arenite_alloc::TelemetryBuffer;
/// let telemetry = TelemetryBuffer::default();
/// telemetry.record(300);
/// telemetry.record(100);
/// telemetry.record_dropped();
/// assert_eq!(telemetry.dropped(), 1);
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
    pub fn record_dropped(&self) {
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

const _: () = assert!(size_of::<TelemetryBuffer>() == 64 && align_of::<TelemetryBuffer>() == 64);
