//! The JSON file of a run: one object for one suite, an array for several.
//!
//! The text goes to a temporary file in the target's directory, which is renamed when it is
//! complete: a reader never sees half a record. The file is created before the first round, so an
//! unwritable path fails early.

use crate::failure::Failure;
use crate::report::Report;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file that will hold the reports.
#[derive(Debug)]
pub struct JsonFile {
    path: PathBuf,
    file: NamedTempFile,
}

impl JsonFile {
    /// Creates the temporary file, which shows that `path` can be written.
    ///
    /// # Errors
    /// [`Failure::Write`] if its directory cannot be written or `path` is a directory itself.
    pub fn at(path: &Path) -> Result<Self, Failure> {
        let fail = |source| Failure::Write { path: path.to_owned(), source };
        if path.is_dir() {
            return Err(fail(std::io::ErrorKind::IsADirectory.into()));
        }
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(dir);
        Ok(Self { path: path.to_owned(), file: file.map_err(fail)? })
    }

    /// Writes `reports` and renames the file to its path.
    ///
    /// # Errors
    /// [`Failure::Write`]; the previous file at the path is then unchanged.
    pub fn write(mut self, reports: &[Report]) -> Result<(), Failure> {
        let path = self.path.clone();
        let fail = |source| Failure::Write { path, source };
        match fill(&mut self.file, reports) {
            Ok(()) => self.file.persist(&self.path).map(drop).map_err(|error| fail(error.error)),
            Err(source) => Err(fail(source)),
        }
    }
}

fn fill(file: &mut NamedTempFile, reports: &[Report]) -> std::io::Result<()> {
    let text = match reports {
        [report] => serde_json::to_string_pretty(report)?,
        reports => serde_json::to_string_pretty(reports)?,
    };
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()
}
