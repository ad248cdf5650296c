//! Linux: waits for events of files and counters.
//!
//! The kernel defines which condition signals what (`kernel/sched/psi.c`, `fs/kernfs/file.c`). A
//! pressure trigger signals an exceptional condition, with an error beside it once the trigger is
//! removed. A file that signals its changes has both at every change.

use super::Interest;
use super::linux::timespec;
use core::time::Duration;
use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// Maximum number of descriptors that are polled without heap memory: a pressure monitor may run
/// when memory is short.
const MAX_POLL_ON_STACK: usize = 16;

impl Interest {
    const fn flags(self) -> PollFlags {
        match self {
            Self::Exceptional | Self::Changed => PollFlags::PRI,
            Self::Readable => PollFlags::IN,
        }
    }

    /// Returns whether the event arrived. `NODEV`: it cannot arrive any more.
    fn is_ready(self, found: PollFlags) -> Result<bool, Errno> {
        let ready = found.intersects(self.flags());
        let broken = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        match self {
            Self::Exceptional if found.intersects(broken) => Err(Errno::NODEV),
            _ if !ready && found.intersects(broken) => Err(Errno::NODEV),
            _ => Ok(ready),
        }
    }
}

/// Waits for the event of one of `count` descriptors, and returns the lowest index with one.
/// Returns `None` after the timeout or a signal. `NODEV`: none has an event, and one can have none
/// any more.
pub(crate) fn wait_any<'a>(
    count: usize,
    file: impl Fn(usize) -> (BorrowedFd<'a>, Interest),
    timeout: Option<Duration>,
) -> Result<Option<usize>, Errno> {
    let poll_fd = |at: usize| {
        let (file, what) = file(at);
        PollFd::from_borrowed_fd(file, what.flags())
    };
    if (1..=MAX_POLL_ON_STACK).contains(&count) {
        let mut polled: [PollFd<'_>; MAX_POLL_ON_STACK] =
            core::array::from_fn(|at| poll_fd(at.min(count - 1)));
        return wait(&mut polled[..count], |at| file(at).1, timeout);
    }
    let mut polled = Vec::new();
    polled.try_reserve_exact(count).map_err(|_| Errno::NOMEM)?;
    polled.extend((0..count).map(poll_fd));
    wait(&mut polled, |at| file(at).1, timeout)
}

fn wait(
    polled: &mut [PollFd<'_>],
    what: impl Fn(usize) -> Interest,
    timeout: Option<Duration>,
) -> Result<Option<usize>, Errno> {
    match rustix::event::poll(polled, timeout.map(timespec).as_ref()) {
        Ok(0) | Err(Errno::INTR) => return Ok(None),
        Ok(_) => {}
        Err(errno) => return Err(errno),
    }
    let ready = |at: usize| what(at).is_ready(polled[at].revents());
    if let Some(at) = (0..polled.len()).find(|&at| ready(at) == Ok(true)) {
        return Ok(Some(at));
    }
    Err(Errno::NODEV)
}

/// Makes a counter that the kernel adds to and that can be polled; a read resets it.
pub(crate) fn eventfd() -> Result<OwnedFd, Errno> {
    rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn u23_error_beside_an_event_is_a_change_or_a_removal() {
        let (fired, changed) = (PollFlags::PRI, PollFlags::PRI | PollFlags::ERR);
        assert_eq!(
            (Interest::Exceptional.is_ready(fired), Interest::Exceptional.is_ready(changed)),
            (Ok(true), Err(Errno::NODEV))
        );
        assert_eq!(
            (Interest::Changed.is_ready(fired), Interest::Changed.is_ready(changed)),
            (Ok(true), Ok(true))
        );
        assert_eq!(Interest::Changed.is_ready(PollFlags::ERR), Err(Errno::NODEV));
        // data that was sent before the other end closed can still be read
        assert_eq!(Interest::Readable.is_ready(PollFlags::IN | PollFlags::HUP), Ok(true));
        assert_eq!(
            (Interest::Readable.is_ready(PollFlags::HUP), Interest::Readable.is_ready(PollFlags::empty())),
            (Err(Errno::NODEV), Ok(false))
        );
    }

    #[test]
    fn u23_any_number_of_files_is_polled() {
        let soon = Some(Duration::ZERO);
        assert_eq!(wait_any(0, |_| unreachable!(), soon), Ok(None));
        let mut pairs: Vec<_> = (0..40).map(|_| UnixStream::pair().unwrap()).collect();
        for count in [1, 2, 16, 17, 40] {
            let last = count - 1;
            pairs[last].1.write_all(b"x").unwrap();
            let file = |at: usize| (pairs[at].0.as_fd(), Interest::Readable);
            assert_eq!(wait_any(last, file, soon), Ok(None), "{count}");
            assert_eq!(wait_any(count, file, soon), Ok(Some(last)), "{count}");
            std::io::Read::read_exact(&mut &pairs[last].0, &mut [0]).unwrap();
        }
    }
}
