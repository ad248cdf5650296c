//! What a child process used, once it has ended.
//!
//! Rests on `os`. The standard library waits for a child and drops what the kernel says of it.

use crate::os::{self, ResourceUsage};
use std::io;
use std::process::{Child, ExitStatus};

/// Waits for the end of a child: how it ended, and what it used.
///
/// ```
/// let child = std::process::Command::new("true").spawn()?;
/// let (status, usage) = arenite_pages::wait_with_usage(child)?;
/// assert!(status.success() && usage.max_rss_bytes > 0);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// [`io::Error`] where the child was waited for already, or the system does not count.
pub fn wait_with_usage(mut child: Child) -> io::Result<(ExitStatus, ResourceUsage)> {
    drop(child.stdin.take()); // as `Child::wait` does: a child that reads to the end must come to it
    let (status, usage) = os::wait_for_child(child.id())?;
    #[cfg(unix)]
    let status = std::os::unix::process::ExitStatusExt::from_raw(status);
    #[cfg(not(unix))]
    let status = {
        let _unknown = status;
        child.wait()?
    };
    Ok((status, usage))
}
