//! Resource usage of a child process that ended, which the standard library's `wait` drops.

use crate::os::{self, ResourceUsage};
use std::io;
use std::process::{Child, ExitStatus};

/// Waits for a child, and returns its exit status and resource usage.
///
/// ```
/// let child = std::process::Command::new("true").spawn()?;
/// let (status, usage) = arenite_pages::wait_with_usage(child)?;
/// assert!(status.success() && usage.max_rss_bytes > 0);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// [`io::Error`] if the child was waited for already, or the system does not count.
pub fn wait_with_usage(mut child: Child) -> io::Result<(ExitStatus, ResourceUsage)> {
    // like `Child::wait`: a child that reads its input to the end must reach the end
    drop(child.stdin.take());
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
