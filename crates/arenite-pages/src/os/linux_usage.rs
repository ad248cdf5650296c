//! Linux: resource usage of threads and processes.
#![expect(unsafe_code, reason = "calls the operating system")]

use super::linux::check;
use core::time::Duration;
use rustix::io::Errno;

/// Returns the page faults of the calling thread without and with disk access.
pub(crate) fn thread_page_faults() -> Option<(u64, u64)> {
    let mut usage = core::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the kernel writes only a `rusage` there.
    let status = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    if status != 0 {
        return None;
    }
    // SAFETY: the call succeeded, so it is written.
    let usage = unsafe { usage.assume_init() };
    Some((u64::try_from(usage.ru_minflt).ok()?, u64::try_from(usage.ru_majflt).ok()?))
}

/// Waits for the end of a child, and returns its status and usage.
pub(crate) fn wait_for_child(child: u32) -> Result<(i32, super::ResourceUsage), Errno> {
    let child = i32::try_from(child).map_err(|_| Errno::CHILD)?;
    let (mut status, mut usage) = (0, core::mem::MaybeUninit::<libc::rusage>::uninit());
    loop {
        // SAFETY: the kernel writes only a status and a `rusage` there.
        match check(unsafe { libc::wait4(child, &raw mut status, 0, usage.as_mut_ptr()) }.into()) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
            Ok(_) => break,
        }
    }
    // SAFETY: the call succeeded, so it is written.
    let usage = unsafe { usage.assume_init() };
    let time = |time: libc::timeval| {
        let micros = time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_usec);
        Duration::from_micros(micros.unsigned_abs())
    };
    let used = super::ResourceUsage {
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        minor_faults: usage.ru_minflt.unsigned_abs(),
        major_faults: usage.ru_majflt.unsigned_abs(),
        max_rss_bytes: usize::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024),
    };
    Ok((status, used))
}
