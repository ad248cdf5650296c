//! Page faults of a thread: the one cost of memory beyond its bytes that a program can count
//! exactly.

use crate::os;

/// Page faults of one thread since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageFaults {
    /// Faults without disk access.
    pub minor: u64,
    /// Faults with disk access.
    pub major: u64,
}

/// Returns the calling thread's page faults so far, or `None` if the system does not count them.
/// One system call.
///
/// ```
/// let faults = arenite_pages::thread_page_faults().unwrap();
/// assert!(faults.minor > 0);
/// ```
#[must_use]
pub fn thread_page_faults() -> Option<PageFaults> {
    os::thread_page_faults().map(|(minor, major)| PageFaults { minor, major })
}
