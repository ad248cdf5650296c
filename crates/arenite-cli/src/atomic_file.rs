//! A file is written whole or not at all.
//!
//! Rests on `tempfile`. A reader sees the old content or the new and nothing between.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that is about to be written: whatever can be refused is refused when this is made.
#[derive(Debug)]
pub(crate) enum WholeFile {
    /// A temporary file beside the target, made and renamed onto it at the end.
    Beside { target: PathBuf },
    /// What is there and is no file (a pipe, a terminal) is written to as it is.
    Direct(fs::File),
}

impl WholeFile {
    /// Checks that `path` can be written, and touches nothing there.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn prepare(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf()); // a link stays a link
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
            Ok(found) if !found.is_file() => {
                return Ok(Self::Direct(fs::OpenOptions::new().write(true).open(&path)?));
            }
            _ => {}
        }
        // Made and removed again: an interrupted program leaves nothing behind.
        drop(temporary(&path)?);
        Ok(Self::Beside { target: path })
    }

    /// Writes `bytes` and puts the file in its place.
    ///
    /// # Errors
    /// What the operating system says; what was at the path before is still there.
    pub(crate) fn finish(self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Direct(mut file) => file.write_all(bytes),
            Self::Beside { target } => {
                let mut file = temporary(&target)?;
                file.write_all(bytes)?;
                file.as_file().sync_all()?;
                file.persist(&target).map_err(|refused| refused.error)?;
                Ok(())
            }
        }
    }

    /// Prepares and finishes in one.
    ///
    /// # Errors
    /// As both.
    pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
        Self::prepare(path)?.finish(bytes)
    }
}

/// A temporary file beside `target`, with the rights of any new file.
fn temporary(target: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::metadata(folder)?; // refused in the system's own words, without a temporary name
    let mut builder = tempfile::Builder::new();
    builder.prefix(".arenite-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask
    builder.tempfile_in(folder)
}

/// Where `path` leads, also where there is nothing yet: two names of one file are one.
pub(crate) fn place(path: &Path) -> PathBuf {
    if let Ok(found) = fs::canonicalize(path) {
        return found;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    path.file_name().map_or_else(|| folder.clone(), |name| folder.join(name))
}
