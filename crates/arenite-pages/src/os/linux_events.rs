//! Linux: a wait for what files and counters of the kernel's tell of.
//!
//! Rests on `rustix`. What a file tells by which condition is the kernel's matter (`kernel/sched/psi.c`, `fs/kernfs/file.c`): a pressure
//! trigger fires by an exceptional condition, and has an error beside it where there is no trigger any more; a file that tells of
//! changes has both at every change.

use super::linux::timespec;
use core::time::Duration;
use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// So many descriptors are waited for without a list on the heap: who waits for pressure may be short of memory.
const MAX_POLL_ON_STACK: usize = 16;

/// What of a descriptor is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// An exceptional condition, as on a pressure file.
    Exceptional,
    /// An exceptional condition, with an error or without, as on a file that tells of its changes.
    Changed,
    /// Something to read.
    Readable,
}

impl Interest {
    const fn flags(self) -> PollFlags {
        match self {
            Self::Exceptional | Self::Changed => PollFlags::PRI,
            Self::Readable => PollFlags::IN,
        }
    }

    /// `NODEV`: what is waited for cannot come any more.
    fn ready_or_hangup(self, found: PollFlags) -> Result<bool, Errno> {
        let ready_or_hangup = found.intersects(self.flags());
        let broken = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        match self {
            Self::Exceptional if found.intersects(broken) => Err(Errno::NODEV),
            _ if !ready_or_hangup && found.intersects(broken) => Err(Errno::NODEV),
            _ => Ok(ready_or_hangup),
        }
    }
}

/// Waits until it comes to what is waited for on one of `count` descriptors: on which, the first of them. `None`: the time is over,
/// or a signal ready_or_hangup. `NODEV`: it ready_or_hangup to none, and one is gone.
pub(crate) fn wait_any<'a>(
    count: usize,
    file: impl Fn(usize) -> (BorrowedFd<'a>, Interest),
    timeout: Option<Duration>,
) -> Result<Option<usize>, Errno> {
    let asked = |at: usize| {
        let (file, what) = file(at);
        PollFd::from_borrowed_fd(file, what.flags())
    };
    if (1..=MAX_POLL_ON_STACK).contains(&count) {
        let mut polled: [PollFd<'_>; MAX_POLL_ON_STACK] = core::array::from_fn(|at| asked(at.min(count - 1)));
        return wait(&mut polled[..count], |at| file(at).1, timeout);
    }
    let mut polled = Vec::new();
    polled.try_reserve_exact(count).map_err(|_| Errno::NOMEM)?;
    polled.extend((0..count).map(asked));
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
    let ready_or_hangup = |at: usize| what(at).ready_or_hangup(polled[at].revents());
    if let Some(at) = (0..polled.len()).find(|&at| ready_or_hangup(at) == Ok(true)) {
        return Ok(Some(at));
    }
    Err(Errno::NODEV)
}

/// What a file is opened with that is not to be waited for.
pub(crate) const OPEN_NONBLOCK: i32 = libc::O_NONBLOCK;

/// A counter that the kernel adds to, and that can be waited for; reading it takes the count.
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
    fn u23_an_error_beside_what_is_waited_for_is_a_change_or_the_end() {
        let (fired, changed) = (PollFlags::PRI, PollFlags::PRI | PollFlags::ERR);
        assert_eq!(
            (Interest::Exceptional.ready_or_hangup(fired), Interest::Exceptional.ready_or_hangup(changed)),
            (Ok(true), Err(Errno::NODEV))
        );
        assert_eq!(
            (Interest::Changed.ready_or_hangup(fired), Interest::Changed.ready_or_hangup(changed)),
            (Ok(true), Ok(true))
        );
        assert_eq!(Interest::Changed.ready_or_hangup(PollFlags::ERR), Err(Errno::NODEV));
        // what was sent before the other end went is still to be read
        assert_eq!(Interest::Readable.ready_or_hangup(PollFlags::IN | PollFlags::HUP), Ok(true));
        assert_eq!(
            (
                Interest::Readable.ready_or_hangup(PollFlags::HUP),
                Interest::Readable.ready_or_hangup(PollFlags::empty())
            ),
            (Err(Errno::NODEV), Ok(false))
        );
    }

    #[test]
    fn u23_any_number_of_files_is_waited_for() {
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
