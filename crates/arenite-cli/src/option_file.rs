//! The files that options name: their error, and the target of `--json`.

use crate::atomic_file::AtomicFile;
use serde::Serialize;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The access to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAccess {
    /// The file is read; `-` is standard input.
    Read,
    /// The file is written; `-` is standard output.
    Write,
}

/// A file that an option names cannot be read or written.
#[derive(Debug, Error)]
pub struct FileError {
    /// The access that failed.
    pub access: FileAccess,
    /// The option, such as `--json`.
    pub option: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The error of the operating system.
    pub source: io::Error,
}

impl FileError {
    /// Returns the conversion of an error in reading the file of an option.
    pub(crate) fn read(option: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self { access: FileAccess::Read, option, path: path.clone(), source }
    }

    /// Returns the conversion of an error in writing the file of an option.
    pub(crate) fn write(option: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self { access: FileAccess::Write, option, path: path.clone(), source }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, path, .. } = self;
        match (self.access, is_standard(path)) {
            (FileAccess::Read, true) => out.write_str("cannot read standard input"),
            (FileAccess::Read, false) => write!(out, "cannot read {option} {}", path.display()),
            (FileAccess::Write, true) => out.write_str("cannot write standard output"),
            (FileAccess::Write, false) => write!(out, "cannot write {option} {}", path.display()),
        }
    }
}

/// Returns whether a path is `-`, which means standard input or standard output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Returns the name of an input for messages: the path, or `standard input`.
pub(crate) fn input_name(path: &Path) -> String {
    if is_standard(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// The target of `--json`.
#[derive(Debug)]
pub(crate) enum JsonTarget {
    /// Standard output, for `-`.
    Stdout,
    /// A file.
    File {
        /// The file, which can be written.
        file: AtomicFile,
        /// The path that the option names.
        path: PathBuf,
    },
}

impl JsonTarget {
    /// Checks that the file of `--json` can be written, and changes nothing there.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be written.
    pub(crate) fn create(path: Option<&Path>) -> Result<Option<Self>, FileError> {
        let Some(path) = path else { return Ok(None) };
        if is_standard(path) {
            return Ok(Some(Self::Stdout));
        }
        let file = AtomicFile::create(path).map_err(FileError::write("--json", path))?;
        Ok(Some(Self::File { file, path: path.to_path_buf() }))
    }

    /// Writes `value` as JSON and a newline. A closed pipe is not an error.
    ///
    /// # Errors
    /// [`FileError`] if that fails; the old content of a file is then unchanged.
    pub(crate) fn write(self, value: &impl Serialize) -> Result<(), FileError> {
        let json = serde_json::to_vec_pretty(value).map_err(io::Error::from);
        let json = json.map(|mut json| {
            json.push(b'\n');
            json
        });
        match self {
            Self::Stdout => {
                json.and_then(|json| print(&json)).map_err(FileError::write("--json", Path::new("-")))
            }
            Self::File { file, path } => {
                json.and_then(|json| file.commit(&json)).map_err(FileError::write("--json", &path))
            }
        }
    }
}

/// Prints bytes on standard output. A closed pipe is not an error.
pub(crate) fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_option_or_the_standard_stream() {
        let text = |error: FileError| crate::error_chain(&error);
        let source = || io::Error::other("full");
        let file = Path::new("a.txt");
        assert_eq!(text(FileError::read("--edges", file)(source())), "cannot read --edges a.txt: full");
        assert_eq!(text(FileError::write("--json", file)(source())), "cannot write --json a.txt: full");
        let standard = Path::new("-");
        assert_eq!(text(FileError::read("--edges", standard)(source())), "cannot read standard input: full");
        assert_eq!(
            text(FileError::write("--json", standard)(source())),
            "cannot write standard output: full"
        );
    }
}
