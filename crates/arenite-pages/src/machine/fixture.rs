//! A machine made of files, for tests: a temporary folder that stands for `/`.
//!
//! Rests on `tempfile`, which takes the folder away again. Tests build exactly the files their row needs, so that what
//! is absent is tested as well as what is present.

use super::procfs::sys_root::SysRoot;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A temporary folder that stands for `/`.
#[derive(Debug)]
pub(super) struct Fixture(TempDir);

impl Fixture {
    /// A machine without one file.
    pub(super) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// The same machine with one file more.
    pub(super) fn file(self, path: &str, text: &str) -> Self {
        self.bytes(path, text.as_bytes())
    }

    /// The same machine with one file of any bytes more.
    pub(super) fn bytes(self, path: &str, bytes: &[u8]) -> Self {
        let whole = self.root().resolve(path).unwrap();
        fs::create_dir_all(whole.parent().unwrap()).unwrap();
        fs::write(&*whole, bytes).unwrap();
        self
    }

    /// The machine's root.
    pub(super) fn root(&self) -> SysRoot<'_> {
        SysRoot::at(self.path())
    }

    /// The machine's root as a path.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}
