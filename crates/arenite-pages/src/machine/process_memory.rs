//! The memory of this process: address space, resident memory, its peak, and page faults.
//!
//! Claims about memory and faults are checked against the kernel's own counts, so they are read
//! unchanged, and the peak can be reset.

use super::page_sizes::stat_field;
use super::procfs::parse::kib_field;
use super::procfs::sys_root::SysRoot;
use core::ops::ControlFlow;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A file of this process that could not be read, or lacks a field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}; is /proc mounted?", problem(path, field))]
pub struct ProcessMemoryError {
    /// The file.
    pub path: PathBuf,
    /// The missing field, or `text` if the file could not be read.
    pub field: &'static str,
}

/// Field of a [`ProcessMemoryError`] of a file that could not be read.
const TEXT: &str = "text";

fn problem(path: &Path, field: &str) -> String {
    let path = path.display();
    if field == TEXT { format!("cannot read {path}") } else { format!("{path} has no field {field}") }
}

/// A failed reset of the peak of resident memory.
#[derive(Debug, Error)]
#[error("cannot reset the peak of resident memory by writing {}; the peak counts from the start of the process", path.display())]
pub struct PeakResetError {
    /// The written file.
    pub path: PathBuf,
    /// The operating system's error.
    pub source: io::Error,
}

/// The memory of this process, in bytes, and its page faults.
///
/// ```
/// use arenite_pages::machine::ProcessMemory;
/// if let Ok(before) = ProcessMemory::read() {
///     let block = vec![1_u8; 1 << 20];
///     let after = ProcessMemory::read().unwrap();
///     println!("{} faults for {} bytes", after.minor_faults - before.minor_faults, block.len());
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessMemory {
    /// Address space (`VmSize`).
    pub virtual_bytes: u64,
    /// Private writable address space without stack (`VmData`).
    pub data_bytes: u64,
    /// Resident memory (`VmRSS`).
    pub resident_bytes: u64,
    /// Peak of resident memory since the start or the last [`reset_peak`](Self::reset_peak)
    /// (`VmHWM`).
    pub peak_resident_bytes: Option<u64>,
    /// Anonymous part of the resident memory (`RssAnon`).
    pub anonymous_bytes: Option<u64>,
    /// Swapped memory (`VmSwap`).
    pub swapped_bytes: Option<u64>,
    /// Locked memory (`VmLck`).
    pub locked_bytes: Option<u64>,
    /// Faults of all threads without disk access.
    pub minor_faults: u64,
    /// Faults of all threads with disk access.
    pub major_faults: u64,
}

impl ProcessMemory {
    /// Reads the memory of this process. Opens two files; allocates only for an error.
    ///
    /// # Errors
    /// [`ProcessMemoryError`] if `/proc` is missing or lacks a field.
    ///
    /// ```
    /// let memory = arenite_pages::machine::ProcessMemory::read();
    /// assert_eq!(memory.is_ok(), cfg!(target_os = "linux"));
    /// ```
    pub fn read() -> Result<Self, ProcessMemoryError> {
        Self::from_root(SysRoot::real())
    }

    /// Reads the memory of a process of the machine below `root`.
    ///
    /// # Errors
    /// [`ProcessMemoryError`] if a file is missing or lacks a field.
    ///
    /// ```
    /// assert!(arenite_pages::machine::ProcessMemory::read_at("/nonexistent".as_ref()).is_err());
    /// ```
    pub fn read_at(root: &Path) -> Result<Self, ProcessMemoryError> {
        Self::from_root(SysRoot::at(root))
    }

    /// Resets the peak of resident memory to the resident memory now, by writing 5 to
    /// `/proc/self/clear_refs`.
    ///
    /// # Errors
    /// [`PeakResetError`] if the kernel has no such file, or denies it.
    ///
    /// ```
    /// use arenite_pages::machine::ProcessMemory;
    /// if let Err(error) = ProcessMemory::reset_peak() {
    ///     println!("{error}");
    /// }
    /// ```
    pub fn reset_peak() -> Result<(), PeakResetError> {
        reset_peak_below(SysRoot::real())
    }

    pub(super) fn from_root(root: SysRoot<'_>) -> Result<Self, ProcessMemoryError> {
        Self::read_or(root, |name, field| {
            let path = root.resolve(name);
            ProcessMemoryError { path: path.map_or_else(|| name.into(), |path| path.to_path_buf()), field }
        })
    }

    /// Reads the memory, with an error that `missing` makes: an error with a path needs memory.
    pub(super) fn read_or<E>(
        root: SysRoot<'_>,
        missing: impl Fn(&str, &'static str) -> E,
    ) -> Result<Self, E> {
        let (status, stat) = ("/proc/self/status", "/proc/self/stat");
        let faults =
            root.read(Path::new(stat), "", |text| Some((stat_field(text, 10), stat_field(text, 12))));
        let (minor, major) = faults.ok_or_else(|| missing(stat, TEXT))?;
        let mut kib = [None; STATUS.len()];
        let all = root.for_each_line(status, |line| {
            for (kib, name) in kib.iter_mut().zip(STATUS) {
                *kib = kib.or_else(|| kib_field(line, name));
            }
            ControlFlow::<()>::Continue(())
        });
        if all.is_none() {
            return Err(missing(status, TEXT));
        }
        let [size, data, resident, peak, anonymous, swapped, locked] = kib;
        Ok(Self {
            virtual_bytes: size.ok_or_else(|| missing(status, STATUS[0]))?,
            data_bytes: data.ok_or_else(|| missing(status, STATUS[1]))?,
            resident_bytes: resident.ok_or_else(|| missing(status, STATUS[2]))?,
            peak_resident_bytes: peak,
            anonymous_bytes: anonymous,
            swapped_bytes: swapped,
            locked_bytes: locked,
            minor_faults: minor.ok_or_else(|| missing(stat, "minflt"))?,
            major_faults: major.ok_or_else(|| missing(stat, "majflt"))?,
        })
    }
}

/// Fields of `/proc/self/status`, all in KiB.
const STATUS: [&str; 7] = ["VmSize", "VmData", "VmRSS", "VmHWM", "RssAnon", "VmSwap", "VmLck"];

fn reset_peak_below(root: SysRoot<'_>) -> Result<(), PeakResetError> {
    let path = root.resolve("/proc/self/clear_refs").map_or_else(PathBuf::new, |path| path.to_path_buf());
    let written = OpenOptions::new().write(true).open(&path).and_then(|mut file| file.write_all(b"5"));
    written.map_err(|source| PeakResetError { path, source })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;
    use proptest::prelude::*;

    const STATUS: &str = "Name:\tx\nVmSize:\t 400 kB\nVmHWM:\t 300 kB\nVmRSS:\t 200 kB\nVmData:\t 100 kB\n";
    const STAT: &str = "7 (a ) 9 b) S 1 7 7 0 -1 4194560 1234 0 56 0 1 2 0 0 20 0 1 0 99 409600 50\n";

    #[test]
    fn u24_process_memory_is_read_from_a_fixture() {
        let fixture = Fixture::new().file("/proc/self/status", STATUS).file("/proc/self/stat", STAT);
        let memory = ProcessMemory::read_at(fixture.path()).unwrap();
        assert_eq!((memory.virtual_bytes, memory.resident_bytes), (400 << 10, 200 << 10));
        assert_eq!((memory.peak_resident_bytes, memory.anonymous_bytes), (Some(300 << 10), None));
        assert_eq!((memory.minor_faults, memory.major_faults), (1234, 56));
    }

    #[test]
    fn u24_process_memory_error_names_a_missing_field() {
        let fixture = Fixture::new().file("/proc/self/status", &STATUS[..40]).file("/proc/self/stat", STAT);
        let error = ProcessMemory::read_at(fixture.path()).unwrap_err();
        assert_eq!((error.field, error.path.ends_with("proc/self/status")), ("VmData", true));
        let cut = Fixture::new().file("/proc/self/status", STATUS).file("/proc/self/stat", "7 (x) S 1 7");
        assert_eq!(ProcessMemory::read_at(cut.path()).unwrap_err().field, "minflt");
        let unreadable = ProcessMemory::read_at(Fixture::new().path()).unwrap_err();
        assert_eq!(unreadable.field, "text");
        assert!(unreadable.to_string().starts_with("cannot read "), "{unreadable}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn u24_real_process_memory_grows_when_written() {
        let before = ProcessMemory::read().unwrap();
        // an optimized build would remove an unused block
        let block = std::hint::black_box(vec![1_u8; 32 << 20]);
        let after = ProcessMemory::read().unwrap();
        assert!(after.virtual_bytes >= before.resident_bytes && block[1 << 20] == 1);
        assert!(after.resident_bytes >= 16 << 20, "32 MiB were just written: {after:?}");
        assert!(
            after.minor_faults >= before.minor_faults + 16,
            "at least one fault for each huge page: {after:?}"
        );
        assert!(after.peak_resident_bytes.is_none_or(|peak| peak >= 32 << 20));
    }

    #[test]
    fn u24_peak_reset_succeeds_or_returns_a_typed_error() {
        let nothing = Fixture::new();
        let error = reset_peak_below(nothing.root()).unwrap_err();
        assert!(error.source.kind() == io::ErrorKind::NotFound && error.path.ends_with("clear_refs"));
        assert!(!error.path.exists(), "the file is never made");
        let fixture = nothing.file("/proc/self/clear_refs", "");
        reset_peak_below(fixture.root()).unwrap();
        assert_eq!(fixture.root().read_number("/proc/self/clear_refs"), Some(5));
        match ProcessMemory::reset_peak() {
            Ok(()) => assert!(ProcessMemory::read().is_ok_and(|memory| memory.peak_resident_bytes.is_some())),
            Err(error) => println!("not run on the real file: {error}: {}", error.source),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn u24_garbled_process_files_never_panic(status in any::<String>(), stat in "[0-9 ()S]{0,60}", cut in 0_usize..80) {
            for status in [&status[..], &STATUS[..cut.min(STATUS.len())]] {
                let fixture = Fixture::new().file("/proc/self/status", status).file("/proc/self/stat", &stat);
                let read = ProcessMemory::read_at(fixture.path());
                prop_assert!(read.is_ok() || read.is_err_and(|error| !error.field.is_empty()));
            }
        }
    }
}
