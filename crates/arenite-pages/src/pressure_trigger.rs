//! A wait for memory pressure: the kernel wakes this process when tasks have waited too long for memory.
//!
//! Rests on the kernel's pressure triggers (`Documentation/accounting/psi.rst`): a threshold is written to a pressure file,
//! and the file is polled. No thread runs while nothing happens.

use crate::machine::{Cgroup, CgroupVersion};
use crate::os;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Whose waiting counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StallKind {
    /// That of at least one task.
    Some,
    /// That of every task with work to do.
    Full,
}

/// A pressure trigger that could not be set, or broke.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PressureError {
    /// The kernel keeps no pressure, or keeps it from this process.
    #[error("unsupported here: no pressure triggers in {}", path.display())]
    Unsupported {
        /// The file looked for.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The kernel does not take these times.
    #[error(
        "the kernel takes no trigger of {stall:?} in {window:?}: windows are 0.5 to 10 s, without privilege multiples of 2 s, and no shorter than the stall"
    )]
    BadTimes {
        /// The time waited in a window.
        stall: Duration,
        /// The window.
        window: Duration,
    },
    /// The file being watched is gone, as when its control group was removed.
    #[error("the pressure file is gone")]
    Gone,
    /// The wait failed.
    #[error("cannot wait for pressure")]
    Wait(#[source] io::Error),
}

/// Wakes when tasks waited for memory for `stall` or longer within a `window`. Can be polled (`POLLPRI`) through [`AsFd`].
///
/// ```
/// use arenite_pages::{PressureTrigger, StallKind};
/// use std::time::Duration;
/// match PressureTrigger::new(StallKind::Some, Duration::from_millis(150), Duration::from_secs(2)) {
///     Ok(trigger) => println!("under pressure: {}", trigger.wait(Some(Duration::from_millis(1)))?),
///     Err(refused) => println!("{refused}"),
/// }
/// # Ok::<(), arenite_pages::PressureError>(())
/// ```
#[derive(Debug)]
pub struct PressureTrigger {
    file: File,
}

impl PressureTrigger {
    /// For the whole machine.
    ///
    /// # Errors
    /// [`PressureError::Unsupported`] where the kernel has none; [`PressureError::BadTimes`] for times it does not take.
    pub fn new(kind: StallKind, stall: Duration, window: Duration) -> Result<Self, PressureError> {
        Self::at(Path::new("/proc/pressure/memory"), kind, stall, window)
    }

    /// For this process's control group of version 2.
    ///
    /// # Errors
    /// As [`PressureTrigger::new`].
    pub fn of_cgroup(kind: StallKind, stall: Duration, window: Duration) -> Result<Self, PressureError> {
        let group = Cgroup::read().filter(|group| group.version == CgroupVersion::V2);
        let path = group
            .as_ref()
            .and_then(|group| group.levels.first())
            .map(|level| level.path.join("memory.pressure"));
        Self::at(
            &path.unwrap_or_else(|| PathBuf::from("memory.pressure of a control group")),
            kind,
            stall,
            window,
        )
    }

    /// On a pressure file.
    ///
    /// # Errors
    /// As [`PressureTrigger::new`].
    pub fn at(
        path: &Path,
        kind: StallKind,
        stall: Duration,
        window: Duration,
    ) -> Result<Self, PressureError> {
        let unsupported = |source| PressureError::Unsupported { path: path.to_path_buf(), source };
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(unsupported)?;
        // the kernel's own files have no length; anything else is somebody's, and not to be written to
        let found = file.metadata().map_err(unsupported)?;
        if !found.is_file() || found.len() > 0 {
            return Err(unsupported(io::ErrorKind::InvalidInput.into()));
        }
        let kind = match kind {
            StallKind::Some => "some",
            StallKind::Full => "full",
        };
        let trigger = format!("{kind} {} {}\0", stall.as_micros(), window.as_micros());
        file.write_all(trigger.as_bytes()).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidInput => PressureError::BadTimes { stall, window },
            _ => unsupported(source),
        })?;
        Ok(Self { file })
    }

    /// Waits until the trigger fires; false when `timeout` is over first, or a signal came.
    ///
    /// # Errors
    /// [`PressureError::Gone`], [`PressureError::Wait`].
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool, PressureError> {
        os::wait_exceptional(self.file.as_fd(), timeout).map_err(|errno| match errno {
            rustix::io::Errno::NODEV => PressureError::Gone,
            errno => PressureError::Wait(errno.into()),
        })
    }
}

impl AsFd for PressureTrigger {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_millis(150);

    #[test]
    fn u23_a_trigger_is_set_and_does_not_fire_without_pressure_of_that_length() {
        let window = Duration::from_secs(2);
        match PressureTrigger::new(StallKind::Full, Duration::from_millis(1999), window) {
            Ok(trigger) => assert!(!trigger.wait(Some(Duration::ZERO)).unwrap()),
            Err(PressureError::Unsupported { path, source }) => {
                println!("skipped: {}: {source}", path.display())
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn u23_times_that_the_kernel_refuses_are_told() {
        let window = Duration::from_millis(1);
        match PressureTrigger::new(StallKind::Some, STALL, window) {
            Err(PressureError::Unsupported { .. }) => println!("skipped: no pressure here"),
            refused => assert!(refused.unwrap_err().to_string().contains("multiples of 2 s")),
        }
    }

    #[test]
    fn u23_no_pressure_file_is_unsupported() {
        let missing = PressureTrigger::at(Path::new("/nonexistent"), StallKind::Some, STALL, STALL);
        assert!(matches!(missing, Err(PressureError::Unsupported { .. })));
        let somebodys = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(somebodys.path(), "kept").unwrap();
        let refused = PressureTrigger::at(somebodys.path(), StallKind::Some, STALL, STALL);
        assert!(matches!(refused, Err(PressureError::Unsupported { .. })));
        assert_eq!(std::fs::read_to_string(somebodys.path()).unwrap(), "kept");
    }
}
