//! A file that is written completely or not at all.
//!
//! A reader sees the old content or the new one, never a mixture.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that is about to be written. Most errors are found when this is created.
#[derive(Debug)]
pub(crate) enum AtomicFile {
    /// The target of a rename from a temporary file beside it.
    Rename { target: PathBuf },
    /// A pipe or a device, which is written in place.
    Direct(fs::File),
}

impl AtomicFile {
    /// Checks that `path` can be written, and changes nothing there.
    ///
    /// # Errors
    /// [`io::Error`] if it cannot be written.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        // keeps a symbolic link
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
            Ok(found) if !found.is_file() => {
                return Ok(Self::Direct(fs::OpenOptions::new().write(true).open(&path)?));
            }
            _ => {}
        }
        // Created and removed again, so that an interrupted program leaves no file.
        drop(temporary(&path)?);
        Ok(Self::Rename { target: path })
    }

    /// Writes `bytes` and renames the file onto its target.
    ///
    /// # Errors
    /// [`io::Error`] if that fails; the old content is then unchanged.
    pub(crate) fn commit(self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Direct(mut file) => file.write_all(bytes),
            Self::Rename { target } => {
                let mut file = temporary(&target)?;
                file.write_all(bytes)?;
                file.as_file().sync_all()?;
                file.persist(&target).map_err(|failed| failed.error)?;
                Ok(())
            }
        }
    }
}

/// Creates a temporary file beside `target`, with the permissions of a new file.
fn temporary(target: &Path) -> io::Result<tempfile::NamedTempFile> {
    let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::metadata(dir)?; // an error that does not name the temporary file
    let mut builder = tempfile::Builder::new();
    builder.prefix(".arenite-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask
    builder.tempfile_in(dir)
}

/// Returns the canonical form of `path`, also if the file does not exist yet.
pub(crate) fn canonical(path: &Path) -> PathBuf {
    if let Ok(found) = fs::canonicalize(path) {
        return found;
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf());
    path.file_name().map_or_else(|| dir.clone(), |name| dir.join(name))
}
