//! The preloaded library, and the check whether a program can load it.
//!
//! The loader ignores a library silently in some programs; these are refused here with the reason.

use super::error::RunError;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "libarenite_preload.so";

/// Returns the library that `ARENITE_PRELOAD_LIB` names, or the one beside this command.
pub(super) fn find_library() -> Result<PathBuf, RunError> {
    let path = match std::env::var_os("ARENITE_PRELOAD_LIB") {
        Some(named) => PathBuf::from(named),
        None => {
            let command = std::env::current_exe().unwrap_or_default();
            let dir = command.parent().unwrap_or(Path::new("."));
            // `cargo test` puts the library into a directory of its own
            [dir.join(FILE_NAME), dir.join("deps").join(FILE_NAME)]
                .into_iter()
                .find(|path| path.is_file())
                .unwrap_or_else(|| dir.join(FILE_NAME))
        }
    };
    path.canonicalize().ok().filter(|path| path.is_file()).ok_or(RunError::NoLibrary { path })
}

/// Returns the value of `LD_PRELOAD`: the library, then the current value.
pub(super) fn ld_preload(library: &Path) -> OsString {
    let mut all = library.as_os_str().to_owned();
    if let Some(current) = std::env::var_os("LD_PRELOAD").filter(|current| !current.is_empty()) {
        all.push(" ");
        all.push(current);
    }
    all
}

/// Returns the path of a program that can load a library.
pub(crate) fn find_program(name: &OsStr) -> Result<PathBuf, RunError> {
    let path = locate(name).ok_or_else(|| RunError::NoProgram { name: name.to_string_lossy().into() })?;
    let mut head = Vec::new();
    // a program that is executable but not readable is accepted
    if let Ok(file) = File::open(&path) {
        let _read = file.take(64 << 10).read_to_end(&mut head);
    }
    if head.starts_with(b"\x7fELF") {
        match has_loader(&head) {
            Some(true) => {}
            Some(false) => return Err(RunError::Static { path }),
            None => return Err(RunError::WrongArchitecture { path }),
        }
    }
    let is_setuid = |metadata: &std::fs::Metadata| {
        let own = std::fs::metadata("/proc/self").map_or(0, |own| own.uid());
        metadata.mode() & 0o4000 != 0 && metadata.uid() != own
    };
    match path.metadata() {
        Ok(metadata) if is_setuid(&metadata) => Err(RunError::Privileged { path }),
        _ => Ok(path),
    }
}

fn locate(name: &OsStr) -> Option<PathBuf> {
    let is_executable = |path: &PathBuf| {
        path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if Path::new(name).components().count() > 1 {
        return Some(PathBuf::from(name)).filter(is_executable);
    }
    let dirs = std::env::var_os("PATH")?;
    std::env::split_paths(&dirs).map(|dir| dir.join(name)).find(is_executable)
}

/// Returns whether an ELF program has a dynamic loader, or `None` for another architecture.
fn has_loader(head: &[u8]) -> Option<bool> {
    const MACHINE: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    const PT_INTERP: u32 = 3;
    let u16_at = |at: usize| Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?));
    let u64_at = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
    if head.get(4..6)? != [2, 1] || u16_at(18)? != MACHINE {
        return None;
    }
    let (start, step, count) =
        (usize::try_from(u64_at(32)?).ok()?, usize::from(u16_at(54)?), usize::from(u16_at(56)?));
    let kind = |at: usize| Some(u32::from_le_bytes(head.get(at..at.checked_add(4)?)?.try_into().ok()?));
    Some((0..count).any(|entry| kind(start.saturating_add(entry * step)) == Some(PT_INTERP)))
}
