//! Page faults of a thread.
//!
//! Rests on `os`. PageFaults are what memory costs beyond its bytes, and the one cost that a program can see exactly.

use crate::os;

/// Page faults of one thread since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageFaults {
    /// Those that needed no disk.
    pub minor: u64,
    /// Those that did.
    pub major: u64,
}

/// The calling thread's page faults so far; `None` where the system does not count them. One system call.
///
/// ```
/// let faults = arenite_pages::thread_page_faults().unwrap();
/// assert!(faults.minor > 0);
/// ```
#[must_use]
pub fn thread_page_faults() -> Option<PageFaults> {
    os::thread_page_faults().map(|(minor, major)| PageFaults { minor, major })
}
