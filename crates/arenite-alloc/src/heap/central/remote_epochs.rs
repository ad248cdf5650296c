//! Per-class counters of remote frees: they say whether scanning full slabs can find free blocks.

use crate::heap::classes::SIZE_CLASS_COUNT;
use crate::util::sync::plain::{AtomicU32, Ordering};

/// One counter per size class. Freeing threads write it, so it has cache lines of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct RemoteEpochs([AtomicU32; SIZE_CLASS_COUNT]);

impl RemoteEpochs {
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; SIZE_CLASS_COUNT])
    }

    /// Notes that a remote free made the summary of some slab of this class non-empty. Called after
    /// the bits are set (Release).
    pub(crate) fn bump(&self, class: usize) {
        self.0[class].fetch_add(1, Ordering::Release);
    }

    /// Returns the counter of a class (Acquire). Bits set before the bump are visible afterwards.
    pub(crate) fn get(&self, class: usize) -> u32 {
        self.0[class].load(Ordering::Acquire)
    }
}
