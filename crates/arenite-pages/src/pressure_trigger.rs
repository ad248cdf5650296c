//! A wait for memory pressure.
//!
//! The kernel wakes this process by one of these sources; no thread runs meanwhile:
//!
//! - a pressure trigger (`Documentation/accounting/psi.rst`): a threshold written to a polled
//!   file,
//! - a level of a control group of version 1 (`cgroup-v1/memory.rst`),
//! - the events of a control group of version 2 (`cgroup-v2.rst`),
//! - the file in `MEMORY_PRESSURE_WATCH` (systemd's "Memory Pressure Handling").

use crate::machine::{Cgroup, CgroupVersion};
use crate::os::{self, Interest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Tasks whose stalls count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StallKind {
    /// At least one task.
    Some,
    /// Every task with work to do.
    Full,
}

/// A pressure trigger that could not be set, or failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PressureError {
    /// The kernel reports no pressure, or not to this process.
    #[error("pressure triggers are not supported by {}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The kernel rejects these times.
    #[error(
        "invalid trigger of {stall:?} in {window:?}; use a window of 0.5 to 10 s (without privilege a multiple of 2 s) that is at least the stall"
    )]
    InvalidWindow {
        /// Stall time within a window.
        stall: Duration,
        /// The window.
        window: Duration,
    },
    /// The watched file was removed, for example with its control group.
    #[error("the pressure file was removed")]
    SourceRemoved,
    /// The wait failed.
    #[error("cannot wait for pressure")]
    Wait(#[source] io::Error),
}

/// A trigger that fires when tasks stall on memory for `stall` or longer within a `window`. Can be
/// polled (`POLLPRI`) through [`AsFd`].
///
/// ```
/// use arenite_pages::{PressureTrigger, StallKind};
/// use std::time::Duration;
/// let (stall, window) = (Duration::from_millis(150), Duration::from_secs(2));
/// match PressureTrigger::new(StallKind::Some, stall, window) {
///     Ok(trigger) => println!("fired: {}", trigger.wait(Some(Duration::from_millis(1)))?),
///     Err(error) => println!("{error}"),
/// }
/// # Ok::<(), arenite_pages::PressureError>(())
/// ```
#[derive(Debug)]
pub struct PressureTrigger {
    file: File,
    interest: Interest,
}

/// Pressure levels of a control group of version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CgroupV1Level {
    /// The kernel reclaims memory for new requests.
    Low,
    /// The kernel swaps, or writes out caches in use.
    Medium,
    /// The kernel is about to kill.
    Critical,
}

impl PressureTrigger {
    /// Makes a trigger on the pressure of the whole machine.
    ///
    /// # Errors
    /// [`PressureError::Unsupported`] if the kernel has none; [`PressureError::InvalidWindow`] for
    /// times that it rejects.
    pub fn new(kind: StallKind, stall: Duration, window: Duration) -> Result<Self, PressureError> {
        Self::open(Path::new("/proc/pressure/memory"), kind, stall, window)
    }

    /// Makes a trigger on the pressure of this process's control group (version 2).
    ///
    /// # Errors
    /// As [`PressureTrigger::new`].
    pub fn for_cgroup(kind: StallKind, stall: Duration, window: Duration) -> Result<Self, PressureError> {
        let group = Cgroup::read().filter(|group| group.version == CgroupVersion::V2);
        let path = group
            .as_ref()
            .and_then(|group| group.levels.first())
            .map(|level| level.path.join("memory.pressure"));
        Self::open(
            &path.unwrap_or_else(|| PathBuf::from("memory.pressure of a control group")),
            kind,
            stall,
            window,
        )
    }

    /// Makes a trigger that fires when this process's control group (version 1) reaches a level, or
    /// reclaims memory at it.
    ///
    /// ```
    /// use arenite_pages::{CgroupV1Level, PressureTrigger};
    /// match PressureTrigger::for_cgroup_v1(CgroupV1Level::Low) {
    ///     Ok(trigger) => assert!(trigger.wait(Some(std::time::Duration::from_millis(1))).is_ok()),
    ///     Err(error) => println!("{error}"),
    /// }
    /// ```
    ///
    /// # Errors
    /// [`PressureError::Unsupported`] if there is no such group, or its events cannot be watched.
    pub fn for_cgroup_v1(level: CgroupV1Level) -> Result<Self, PressureError> {
        let group = Cgroup::read().filter(|group| group.version == CgroupVersion::V1);
        let dir = group.and_then(|group| group.levels.first().map(|level| level.path.clone()));
        let path = dir.clone().unwrap_or_default().join("memory.pressure_level");
        let unsupported = |source| PressureError::Unsupported { path: path.clone(), source };
        let dir = dir.ok_or_else(|| unsupported(io::ErrorKind::NotFound.into()))?;
        let level_file = File::open(&path).map_err(unsupported)?;
        let counter = os::eventfd().map_err(|errno| unsupported(errno.into()))?;
        let level = match level {
            CgroupV1Level::Low => "low",
            CgroupV1Level::Medium => "medium",
            CgroupV1Level::Critical => "critical",
        };
        let line = format!("{} {} {level}", counter.as_raw_fd(), level_file.as_raw_fd());
        std::fs::write(dir.join("cgroup.event_control"), line).map_err(unsupported)?;
        Ok(Self { file: counter.into(), interest: Interest::Readable })
    }

    /// Makes triggers on the memory events of this process's control group (version 2) and of those
    /// around it, innermost first. An event is a throttling at `memory.high`, a hit of
    /// `memory.max`, a kill, or reclaim below `memory.low`.
    ///
    /// Each reads `memory.events.local`; before Linux 5.2 only the innermost exists, on
    /// `memory.events`. The list is empty without such a group, and omits groups that cannot be
    /// read. An outer group fires for its own limits, whichever process hits them, not for those of
    /// its other children.
    ///
    /// ```
    /// use arenite_pages::PressureTrigger;
    /// for trigger in PressureTrigger::for_cgroup_events()? {
    ///     let fired = trigger.wait(Some(std::time::Duration::from_millis(1)))?;
    ///     println!("a limit was hit: {fired}");
    /// }
    /// # Ok::<(), arenite_pages::PressureError>(())
    /// ```
    ///
    /// # Errors
    /// [`PressureError::Unsupported`] if the events of the innermost group cannot be read.
    pub fn for_cgroup_events() -> Result<Vec<Self>, PressureError> {
        let group = Cgroup::read().filter(|group| group.version == CgroupVersion::V2);
        let levels = group.iter().flat_map(|group| &group.levels).map(|level| level.path.as_path());
        Self::from_events_files(levels)
    }

    /// Makes triggers on the events of groups, from the innermost out.
    fn from_events_files<'a>(groups: impl Iterator<Item = &'a Path>) -> Result<Vec<Self>, PressureError> {
        let mut triggers = Vec::new();
        for (depth, group) in groups.enumerate() {
            let (own, all) = (group.join("memory.events.local"), group.join("memory.events"));
            // The machine's root group has no limits, and neither file. Without the first file,
            // `memory.events` of an outer group also counts its other children.
            let found = match (own.exists(), all.exists()) {
                (true, _) => Self::from_change_notifications(&own),
                (false, true) if depth == 0 => Self::from_change_notifications(&all),
                _ => continue,
            };
            match found {
                Ok(trigger) => triggers.push(trigger),
                Err(error) if depth == 0 => return Err(error),
                Err(_) => {}
            }
        }
        Ok(triggers)
    }

    /// Makes a trigger on a kernel file that signals its changes.
    fn from_change_notifications(path: &Path) -> Result<Self, PressureError> {
        let unsupported = |source| PressureError::Unsupported { path: path.to_path_buf(), source };
        let trigger = Self { file: File::open(path).map_err(unsupported)?, interest: Interest::Changed };
        // a change counts from the last read of the file
        trigger.read_event().map_err(unsupported)?;
        Ok(trigger)
    }

    fn read_event(&self) -> io::Result<usize> {
        // reads at an offset instead of the file's position: another thread may wait on this
        // trigger
        self.file.read_at(&mut [0; 4096], 0)
    }

    /// Makes the trigger that the service manager configured in `MEMORY_PRESSURE_WATCH` and
    /// `MEMORY_PRESSURE_WRITE`. Returns `None` if the first is unset, or disables watching.
    ///
    /// # Errors
    /// [`PressureError::Unsupported`] if the configured source cannot be watched.
    pub fn from_env() -> Result<Option<Self>, PressureError> {
        let Some(path) = std::env::var_os("MEMORY_PRESSURE_WATCH").filter(|path| path != "/dev/null") else {
            return Ok(None);
        };
        Self::open_watch(Path::new(&path), std::env::var_os("MEMORY_PRESSURE_WRITE").as_deref()).map(Some)
    }

    /// Opens a pressure file, a pipe or a socket, and writes the decoded (base 64) `write` to it
    /// first.
    fn open_watch(path: &Path, write: Option<&OsStr>) -> Result<Self, PressureError> {
        let unsupported = |source| PressureError::Unsupported { path: path.to_path_buf(), source };
        let invalid = || unsupported(io::ErrorKind::InvalidInput.into());
        let bytes = match write {
            Some(text) => BASE64_STANDARD.decode(text.as_encoded_bytes()).map_err(|_| invalid())?,
            None => Vec::new(),
        };
        let kind = std::fs::metadata(path).map_err(unsupported)?.file_type();
        if kind.is_socket() {
            let mut stream = UnixStream::connect(path).map_err(unsupported)?;
            stream.set_nonblocking(true).map_err(unsupported)?;
            stream.write_all(&bytes).map_err(unsupported)?;
            return Ok(Self { file: OwnedFd::from(stream).into(), interest: Interest::Readable });
        }
        if kind.is_file() && bytes.is_empty() {
            let trigger = Self::from_change_notifications(path)?;
            // A source that fires after every read carries no information: a pressure file without
            // a trigger does so.
            return match (0..10).all(|_| trigger.wait(Some(Duration::ZERO)).unwrap_or(true)) {
                true => Err(invalid()),
                false => Ok(trigger),
            };
        }
        let mut options = OpenOptions::new();
        let interest = if kind.is_fifo() {
            options.custom_flags(os::O_NONBLOCK);
            Interest::Readable
        } else {
            Interest::Exceptional
        };
        let mut file = options.read(true).write(!bytes.is_empty()).open(path).map_err(unsupported)?;
        file.write_all(&bytes).map_err(unsupported)?;
        Ok(Self { file, interest })
    }

    /// Makes a trigger on a pressure file.
    ///
    /// # Errors
    /// As [`PressureTrigger::new`].
    pub fn open(
        path: &Path,
        kind: StallKind,
        stall: Duration,
        window: Duration,
    ) -> Result<Self, PressureError> {
        let unsupported = |source| PressureError::Unsupported { path: path.to_path_buf(), source };
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(unsupported)?;
        // kernel files have no length; any other file must not be written to
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
            io::ErrorKind::InvalidInput => PressureError::InvalidWindow { stall, window },
            _ => unsupported(source),
        })?;
        Ok(Self { file, interest: Interest::Exceptional })
    }

    /// Waits until the trigger fires. Returns `false` after `timeout` or a signal.
    ///
    /// # Errors
    /// [`PressureError::SourceRemoved`], [`PressureError::Wait`].
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool, PressureError> {
        Ok(Self::wait_any(core::slice::from_ref(self), timeout)?.is_some())
    }

    /// Waits until one of several triggers fires and returns its index, the lowest if several
    /// fired. Returns `None` after `timeout` or a signal.
    ///
    /// The call may consume the events of the others too, so check every watched source afterwards.
    /// If a source was removed and nothing else fired, the call fails; a `wait` with a zero timeout
    /// on each trigger finds it. Up to 16 triggers are polled without heap memory.
    ///
    /// ```
    /// use arenite_pages::{PressureTrigger, StallKind};
    /// use std::time::Duration;
    /// let window = Duration::from_secs(2);
    /// let mut triggers = PressureTrigger::for_cgroup_events().unwrap_or_default();
    /// triggers.extend(PressureTrigger::new(StallKind::Some, Duration::from_millis(150), window));
    /// println!("{:?}", PressureTrigger::wait_any(&triggers, Some(Duration::from_millis(1)))?);
    /// # Ok::<(), arenite_pages::PressureError>(())
    /// ```
    ///
    /// # Errors
    /// As [`PressureTrigger::wait`].
    pub fn wait_any(triggers: &[Self], timeout: Option<Duration>) -> Result<Option<usize>, PressureError> {
        let file = |at: usize| (triggers[at].file.as_fd(), triggers[at].interest);
        let Some(at) = os::wait_any(triggers.len(), file, timeout).map_err(failed)? else { return Ok(None) };
        let Err(error) = triggers[at].consume() else { return Ok(Some(at)) };
        // a removed source must not hide another that fired
        let fired = |&other: &usize| {
            let trigger = &triggers[other];
            let file = |_| (trigger.file.as_fd(), trigger.interest);
            os::wait_any(1, file, Some(Duration::ZERO)) == Ok(Some(0)) && trigger.consume().is_ok()
        };
        (at + 1..triggers.len()).find(fired).map(Some).ok_or(error)
    }

    /// Consumes the event, so that the next wait is for a new one.
    fn consume(&self) -> Result<(), PressureError> {
        let consumed = match self.interest {
            Interest::Exceptional => return Ok(()),
            Interest::Readable => (&self.file).read(&mut [0; 4096]),
            Interest::Changed => self.read_event(),
        };
        match consumed {
            Ok(0) => Err(PressureError::SourceRemoved),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => {
                Err(PressureError::SourceRemoved)
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(PressureError::Wait(error)),
            _ => Ok(()),
        }
    }
}

/// Converts the error of a wait.
fn failed(errno: rustix::io::Errno) -> PressureError {
    match errno {
        rustix::io::Errno::NODEV => PressureError::SourceRemoved,
        errno => PressureError::Wait(errno.into()),
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
    fn u23_invalid_windows_are_typed_errors() {
        let window = Duration::from_millis(1);
        match PressureTrigger::new(StallKind::Some, STALL, window) {
            Err(PressureError::Unsupported { .. }) => println!("skipped: no pressure here"),
            error => assert!(error.unwrap_err().to_string().contains("a multiple of 2 s")),
        }
    }

    #[test]
    fn u23_no_pressure_file_is_unsupported() {
        let missing = PressureTrigger::open(Path::new("/nonexistent"), StallKind::Some, STALL, STALL);
        assert!(matches!(missing, Err(PressureError::Unsupported { .. })));
        let foreign = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(foreign.path(), "kept").unwrap();
        let error = PressureTrigger::open(foreign.path(), StallKind::Some, STALL, STALL);
        assert!(matches!(error, Err(PressureError::Unsupported { .. })));
        assert_eq!(std::fs::read_to_string(foreign.path()).unwrap(), "kept");
    }

    #[test]
    fn u23_environment_of_a_service_manager_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let watch = |name: &str, write: &str| {
            PressureTrigger::open_watch(&dir.path().join(name), Some(OsStr::new(write)))
        };
        // a socket: what is written arrives, and what is sent fires
        let listener = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        let trigger = watch("socket", "c29tZSAx").unwrap();
        let (mut other, _) = listener.accept().unwrap();
        let mut written = [0; 6];
        other.read_exact(&mut written).unwrap();
        assert_eq!(&written, b"some 1");
        assert!(!trigger.wait(Some(Duration::ZERO)).unwrap());
        other.write_all(b"x").unwrap();
        assert!(trigger.wait(Some(Duration::from_secs(5))).unwrap());
        assert!(!trigger.wait(Some(Duration::ZERO)).unwrap(), "what fired was read");
        drop(other);
        assert!(matches!(trigger.wait(Some(Duration::from_secs(5))), Err(PressureError::SourceRemoved)));
        // of several, a removed one hides none that fired
        let second = watch("socket", "").unwrap();
        let (mut other, _) = listener.accept().unwrap();
        let both = [trigger, second];
        let any = || PressureTrigger::wait_any(&both, Some(Duration::ZERO));
        assert!(matches!(any(), Err(PressureError::SourceRemoved)));
        other.write_all(b"x").unwrap();
        assert_eq!(any().unwrap(), Some(1));
        assert!(matches!(any(), Err(PressureError::SourceRemoved)), "what fired was consumed");
        // the machine's own file, with the trigger that a manager would set
        match PressureTrigger::open_watch(
            Path::new("/proc/pressure/memory"),
            Some(OsStr::new("c29tZSAxNTAwMDAgMjAwMDAwMAA=")),
        ) {
            Ok(trigger) => assert!(trigger.wait(Some(Duration::ZERO)).is_ok()),
            Err(error) => println!("skipped: {error}"),
        }
        // Nothing to write: a file that signals changes. A pressure file without a trigger carries
        // no information.
        std::fs::write(dir.path().join("events"), "low 0").unwrap();
        assert!(!watch("events", "").unwrap().wait(Some(Duration::ZERO)).unwrap());
        let unset = PressureTrigger::open_watch(Path::new("/proc/pressure/memory"), None);
        assert!(
            matches!(unset, Err(PressureError::Unsupported { .. } | PressureError::SourceRemoved)),
            "{unset:?}"
        );
        for (name, write) in [("missing", ""), ("socket", "no base 64!")] {
            assert!(matches!(watch(name, write), Err(PressureError::Unsupported { .. })), "{name}");
        }
    }

    #[test]
    fn u23_groups_fire_for_their_own_limits_and_unreadable_ones_are_omitted() {
        let dir = tempfile::tempdir().unwrap();
        let make = |group: &str, files: &[&str]| {
            let path = dir.path().join(group);
            std::fs::create_dir(&path).unwrap();
            files.iter().for_each(|file| std::fs::write(path.join(file), "high 0").unwrap());
            path
        };
        let both = make("both", &["memory.events", "memory.events.local"]);
        let old = make("old", &["memory.events"]);
        let none = make("none", &[]);
        let broken = make("broken", &[]);
        std::fs::create_dir(broken.join("memory.events.local")).unwrap();
        let watched = |groups: &[&PathBuf]| {
            let triggers = PressureTrigger::from_events_files(groups.iter().map(|group| group.as_path()))?;
            let name = |trigger: &PressureTrigger| {
                let file = std::fs::read_link(format!("/proc/self/fd/{}", trigger.file.as_raw_fd())).unwrap();
                file.strip_prefix(dir.path()).unwrap().display().to_string()
            };
            Ok::<_, PressureError>(triggers.iter().map(name).collect::<Vec<_>>())
        };
        assert_eq!(watched(&[&both, &both, &none]).unwrap(), ["both/memory.events.local"; 2]);
        assert_eq!(watched(&[&old, &old]).unwrap(), ["old/memory.events"]);
        assert_eq!(watched(&[&both, &broken, &both]).unwrap(), ["both/memory.events.local"; 2]);
        assert_eq!(watched(&[&none, &none]).unwrap(), [""; 0]);
        let error = watched(&[&broken, &both]).unwrap_err();
        assert!(error.to_string().contains("broken/memory.events.local"), "{error}");
    }

    #[test]
    fn u23_group_of_version_1_fires_at_its_levels() {
        let Ok(trigger) = PressureTrigger::for_cgroup_v1(CgroupV1Level::Critical) else {
            println!("skipped: no control group of version 1 that may be listened to");
            return;
        };
        assert!(!trigger.wait(Some(Duration::ZERO)).unwrap());
    }
}
