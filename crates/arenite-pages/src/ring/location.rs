//! The place of a ring (this process or a file), and the lock that shows that its peer is alive.

use crate::file::Mapping;
use crate::os;
use std::fs::File;
use std::os::fd::AsFd;

/// Which end of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Producer,
    Consumer,
}

/// Where a ring lives.
#[derive(Debug)]
pub(crate) enum Location {
    /// In this process alone.
    Process,
    /// In a file.
    File(SideLock),
}

/// What one end of a ring in a file holds on to.
#[derive(Debug)]
pub(crate) struct SideLock {
    pub(crate) ofd: OfdLock,
    pub(crate) _control: Mapping,
}

/// An open file description of an end's own, which has the lock on its byte. It gives that up by word and not by closing,
/// because a child process that is being started has a copy of the descriptor for a moment.
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

    /// Whether the process at `end`, which was there, holds it no longer.
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
