//! One cache line of counters of a worker.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of a worker's messages: one cache line.
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
    /// One more than the minimum, so that 0 stands for none.
    min: AtomicU64,
    max: AtomicU64,
    reserved: [u64; 3],
}

impl TelemetryBuffer {
    /// Counts a message that was completed in `latency_ns` nanoseconds.
    pub fn record(&self, latency_ns: u64) {
        self.total.fetch_add(latency_ns, Relaxed);
        self.max.fetch_max(latency_ns, Relaxed);
        let below = latency_ns.saturating_add(1);
        // An error means that the value stays.
        let _previous =
            self.min.fetch_update(Relaxed, Relaxed, |min| (min == 0 || below < min).then_some(below));
        self.messages.fetch_add(1, Relaxed);
    }

    /// Counts a message that was not completed.
    pub fn record_dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    /// Returns the number of completed messages.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages.load(Relaxed)
    }

    /// Returns the number of dropped messages.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Returns the minimum, mean and maximum latency in nanoseconds, or `None` before the first
    /// message.
    #[must_use]
    pub fn latency_ns(&self) -> Option<(u64, u64, u64)> {
        let mean = self.total.load(Relaxed).checked_div(self.messages())?;
        Some((self.min.load(Relaxed).saturating_sub(1), mean, self.max.load(Relaxed)))
    }
}

const _: () = assert!(size_of::<TelemetryBuffer>() == 64 && align_of::<TelemetryBuffer>() == 64);
