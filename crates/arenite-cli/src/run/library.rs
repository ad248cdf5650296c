//! The library that is preloaded, and whether a program can be given one.
//!
//! Rests on the file system and on the first bytes of the program. What the loader would ignore silently is refused here with its
//! reason.

use super::RunError;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const NAME: &str = "libarenite_preload.so";

/// Where the library is: named in the environment, or beside this command.
pub(super) fn find() -> Result<PathBuf, RunError> {
    let path = match std::env::var_os("ARENITE_PRELOAD") {
        Some(named) => PathBuf::from(named),
        None => {
            let command = std::env::current_exe().unwrap_or_default();
            let folder = command.parent().unwrap_or(Path::new("."));
            // `cargo test` builds both into a folder of its own
            [folder.join(NAME), folder.join("deps").join(NAME)]
                .into_iter()
                .find(|path| path.is_file())
                .unwrap_or_else(|| folder.join(NAME))
        }
    };
    path.canonicalize().ok().filter(|path| path.is_file()).ok_or(RunError::NoLibrary { path })
}

/// What `LD_PRELOAD` becomes: the library before what is there.
pub(super) fn preload(library: &Path) -> OsString {
    let mut all = library.as_os_str().to_owned();
    if let Some(there) = std::env::var_os("LD_PRELOAD").filter(|there| !there.is_empty()) {
        all.push(" ");
        all.push(there);
    }
    all
}

/// Where the program is, if a library can be preloaded into it.
pub(crate) fn program(name: &OsStr) -> Result<PathBuf, RunError> {
    let path = locate(name).ok_or_else(|| RunError::NoProgram { name: name.to_string_lossy().into() })?;
    let mut head = Vec::new();
    // a program that may be run and not read is taken as it is
    if let Ok(file) = File::open(&path) {
        let _read = file.take(64 << 10).read_to_end(&mut head);
    }
    if head.starts_with(b"\x7fELF") {
        match interpreter(&head) {
            Some(true) => {}
            Some(false) => return Err(RunError::Static { path }),
            None => return Err(RunError::Foreign { path }),
        }
    }
    let of_another = |metadata: &std::fs::Metadata| {
        let own = std::fs::metadata("/proc/self").map_or(0, |own| own.uid());
        metadata.mode() & 0o4000 != 0 && metadata.uid() != own
    };
    match path.metadata() {
        Ok(metadata) if of_another(&metadata) => Err(RunError::Privileged { path }),
        _ => Ok(path),
    }
}

fn locate(name: &OsStr) -> Option<PathBuf> {
    let runs = |path: &PathBuf| {
        path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if Path::new(name).components().count() > 1 {
        return Some(PathBuf::from(name)).filter(runs);
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(runs)
}

/// Whether an ELF program asks for a dynamic loader; `None`: it is not of this machine's kind.
fn interpreter(head: &[u8]) -> Option<bool> {
    const MACHINE: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let word = |at: usize| Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
    if head.get(4..6)? != [2, 1] || word(18)? != MACHINE {
        return None;
    }
    let (start, step, count) =
        (usize::try_from(long(32)?).ok()?, usize::from(word(54)?), usize::from(word(56)?));
    let kind = |at: usize| Some(u32::from_le_bytes(head.get(at..at.checked_add(4)?)?.try_into().ok()?));
    Some((0..count).any(|entry| kind(start.saturating_add(entry * step)) == Some(3)))
}
