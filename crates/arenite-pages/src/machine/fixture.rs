//! A machine made of files, for tests: a temporary directory that stands for `/`.
//!
//! Tests make exactly the files that they need, so that absent files are tested as well.

use super::procfs::sys_root::SysRoot;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A temporary directory that stands for `/`.
#[derive(Debug)]
pub(super) struct Fixture(TempDir);

impl Fixture {
    /// Makes a machine without files.
    pub(super) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Adds a text file.
    pub(super) fn file(self, path: &str, text: &str) -> Self {
        self.bytes(path, text.as_bytes())
    }

    /// Adds a file of any bytes.
    pub(super) fn bytes(self, path: &str, bytes: &[u8]) -> Self {
        let path = self.root().resolve(path).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&*path, bytes).unwrap();
        self
    }

    /// Returns the machine's root.
    pub(super) fn root(&self) -> SysRoot<'_> {
        SysRoot::at(self.path())
    }

    /// Returns the machine's root as a path.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}
