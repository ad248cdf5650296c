//! The JSON file of a run: one object for one suite, an array for several.
//!
//! Rests on `tempfile`. The text goes to a file beside the target, which takes the target's name when it is whole: a reader
//! never sees half a record. That file is made before the first round, so that a path that cannot be written costs no wait.

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
    /// Makes sure that `path` can be written.
    ///
    /// # Errors
    /// [`Failure::Write`] if its folder takes no file or it is a folder itself.
    pub fn at(path: &Path) -> Result<Self, Failure> {
        let fail = |source| Failure::Write { path: path.to_owned(), source };
        if path.is_dir() {
            return Err(fail(std::io::ErrorKind::IsADirectory.into()));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(folder);
        Ok(Self { path: path.to_owned(), file: file.map_err(fail)? })
    }

    /// Writes `reports` and gives the file its name.
    ///
    /// # Errors
    /// [`Failure::Write`]; what stood at the path before is then unchanged.
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
