//! Location of a ring (this process or a file), and the lock that shows that a peer is alive.

use crate::file::Mapping;
use crate::os;
use std::fs::File;
use std::os::fd::AsFd;

/// End of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Producer,
    Consumer,
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Producer => Self::Consumer,
            Self::Consumer => Self::Producer,
        }
    }
}

/// Location of a ring.
#[derive(Debug)]
pub(crate) enum Location {
    /// Memory of this process.
    Process,
    /// A file.
    File(SideLock),
}

/// Lock and control OS page of one end of a ring in a file.
#[derive(Debug)]
pub(crate) struct SideLock {
    pub(crate) ofd: OfdLock,
    pub(crate) _control: Mapping,
}

/// A lock on an end's byte, held by an open file description of its own. The drop unlocks it
/// explicitly, because a child process that is being started has a copy of the descriptor for a
/// moment.
#[derive(Debug)]
pub(crate) struct OfdLock {
    pub(crate) file: File,
    pub(crate) end: Side,
}

impl Drop for OfdLock {
    fn drop(&mut self) {
        os::ofd_unlock(self.file.as_fd(), lock_byte(self.end));
    }
}

impl Location {
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Returns whether the process at `end`, which was open, no longer holds its lock.
    pub(crate) fn is_dead(&self, end: Side) -> bool {
        match self {
            Self::Process => false,
            Self::File(lock) => os::ofd_lock_held(lock.ofd.file.as_fd(), lock_byte(end)) == Ok(false),
        }
    }
}

pub(crate) fn lock_byte(end: Side) -> u8 {
    match end {
        Side::Producer => 0,
        Side::Consumer => 1,
    }
}
