//! What the kernel counted for this thread and process.
//!
//! Rests on `arenite-pages`, which asks the kernel. Faults are those of the calling thread, because a fault is charged to who
//! touched the page; resident size is the process's.

use arenite_pages::machine::ProcessMemory;
use arenite_pages::thread_faults;

/// Page faults of the calling thread and resident size of the process, at one time.
///
/// ```
/// use arenite_observe::ProcessUsage;
/// let before = ProcessUsage::faults_now();
/// let page = vec![1u8; 1 << 20];
/// assert!(ProcessUsage::faults_now() >= before);
/// assert!(ProcessUsage::now().resident >= page.len() as u64 / 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Page faults of this thread since it began, those that needed no disk and those that did.
    pub faults: u64,
    /// Bytes of the process in memory; 0 where the system does not tell.
    pub resident: u64,
    /// The largest `resident` since the process began or the peak was reset; 0 where the system does not tell.
    pub resident_peak: u64,
}

impl ProcessUsage {
    /// All three numbers. Reads files under `/proc`: tens of microseconds, and allocates.
    #[must_use]
    pub fn now() -> Self {
        let memory = ProcessMemory::read().ok();
        let field = |read: fn(&ProcessMemory) -> Option<u64>| memory.as_ref().and_then(read).unwrap_or(0);
        Self {
            faults: Self::faults_now(),
            resident: field(|memory| Some(memory.resident_bytes)),
            resident_peak: field(|memory| memory.peak_resident_bytes),
        }
    }

    /// The faults alone: one system call, nothing allocated.
    #[must_use]
    pub fn faults_now() -> u64 {
        thread_faults().map_or(0, |faults| faults.minor + faults.major)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arenite_pages::{Region, page_size};

    #[test]
    fn each_first_touch_of_an_ordinary_page_is_a_fault() {
        let region = Region::reserve(64 * page_size(), "touched").unwrap();
        region.commit(0, region.len()).unwrap();
        // Whether the system takes the advice or not, the region is smaller than a huge page.
        let before = ProcessUsage::faults_now();
        for page in 0..64 {
            let start = region.as_ptr().as_ptr().wrapping_add(page * page_size());
            #[expect(unsafe_code, reason = "touches committed memory")]
            // SAFETY: committed, in range, and this test's own.
            unsafe {
                start.write_volatile(1);
            }
        }
        assert!(ProcessUsage::faults_now() - before >= 64);
    }
}
