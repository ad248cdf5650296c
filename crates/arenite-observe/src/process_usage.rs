//! Counters that the kernel holds for the thread and the process.
//!
//! Page faults are those of the calling thread; resident memory belongs to the process.

use arenite_pages::machine::ProcessMemory;
use arenite_pages::thread_page_faults;

/// Page faults of the calling thread and resident memory of the process.
///
/// ```
/// use arenite_observe::ProcessUsage;
/// let before = ProcessUsage::faults_now();
/// let bytes = vec![1u8; 1 << 20];
/// assert!(ProcessUsage::faults_now() >= before);
/// assert!(ProcessUsage::now().resident_bytes >= bytes.len() as u64 / 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Minor and major page faults of this thread since its start.
    pub faults: u64,
    /// Resident bytes of the process, or 0 if unknown.
    pub resident_bytes: u64,
    /// The largest `resident_bytes` since the process start or the last reset of the peak, or 0 if
    /// unknown.
    pub max_rss_bytes: u64,
}

impl ProcessUsage {
    /// Reads all three counters from `/proc`. Takes tens of microseconds and allocates.
    #[must_use]
    pub fn now() -> Self {
        let memory = ProcessMemory::read().ok();
        let field = |read: fn(&ProcessMemory) -> Option<u64>| memory.as_ref().and_then(read).unwrap_or(0);
        Self {
            faults: Self::faults_now(),
            resident_bytes: field(|memory| Some(memory.resident_bytes)),
            max_rss_bytes: field(|memory| memory.peak_resident_bytes),
        }
    }

    /// Reads the page faults with one system call and without allocation.
    #[must_use]
    pub fn faults_now() -> u64 {
        thread_page_faults().map_or(0, |faults| faults.minor + faults.major)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arenite_pages::{Region, page_size};

    #[test]
    fn each_first_touch_of_an_os_page_is_a_fault() {
        let region = Region::reserve(64 * page_size(), "touched").unwrap();
        region.commit(0, region.len()).unwrap();
        // The region is smaller than a huge page, so every OS page faults by itself.
        let before = ProcessUsage::faults_now();
        for page in 0..64 {
            let start = region.as_ptr().as_ptr().wrapping_add(page * page_size());
            #[expect(unsafe_code, reason = "touches committed memory")]
            // SAFETY: committed, in range, and used by this test only.
            unsafe {
                start.write_volatile(1);
            }
        }
        assert!(ProcessUsage::faults_now() - before >= 64);
    }
}
