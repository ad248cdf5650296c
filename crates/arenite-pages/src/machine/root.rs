//! The root below which `/proc` and `/sys` are read: `/` on a real machine, a fixture's folder in a test.
//!
//! Rests on `std::fs`. It is a type of its own so that no reader can open an absolute path by mistake: whatever a file
//! of the kernel names (a mount point, a control group) is looked for below the same root, `..` taken out.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// A folder that stands for `/`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root<'a>(&'a Path);

impl<'a> Root<'a> {
    /// The root of this machine.
    pub(super) fn real() -> Root<'static> {
        Root(Path::new("/"))
    }

    /// `folder` as the root.
    pub(super) fn at(folder: &'a Path) -> Self {
        Root(folder)
    }

    /// Where `path` lies below this root; `..`, `.` and a leading `/` are dropped.
    pub(super) fn path(self, path: impl AsRef<Path>) -> PathBuf {
        let mut whole = self.0.to_path_buf();
        let named = |part| if let Component::Normal(name) = part { Some(name) } else { None };
        whole.extend(path.as_ref().components().filter_map(named));
        whole
    }

    /// The text of a file; what is not UTF-8 is replaced. `None` where it cannot be read.
    pub(super) fn text(self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = fs::read(self.path(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A file that holds one unsigned number.
    pub(super) fn number(self, path: impl AsRef<Path>) -> Option<u64> {
        self.text(path)?.trim().parse().ok()
    }

    /// A file that holds one line, trimmed; `None` where it is empty.
    pub(super) fn line(self, path: impl AsRef<Path>) -> Option<String> {
        let text = self.text(path)?;
        let line = text.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }

    /// Names in a folder; empty where it cannot be read.
    pub(super) fn names(self, folder: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Numbers `n` for which `folder` holds an entry `<prefix>n`, ascending.
    pub(super) fn numbered(self, folder: impl AsRef<Path>, prefix: &str) -> Vec<usize> {
        let number = |name: &String| name.strip_prefix(prefix)?.parse().ok();
        let mut numbers: Vec<usize> = self.names(folder).iter().filter_map(number).collect();
        numbers.sort_unstable();
        numbers.dedup(); // `cpu1` and `cpu01`
        numbers
    }

    /// Is this folder there?
    pub(super) fn has_folder(self, folder: impl AsRef<Path>) -> bool {
        self.path(folder).is_dir()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn n16_a_path_never_leaves_the_root() {
        let root = Root::at(Path::new("/fixture"));
        assert_eq!(root.path("/sys/../../etc/./passwd"), Path::new("/fixture/sys/etc/passwd"));
        assert_eq!(root.path("../../x"), Path::new("/fixture/x"));
    }

    #[test]
    fn n16_what_is_missing_or_no_text_is_none() {
        let fixture = Fixture::new()
            .file("a", "12\n")
            .file("empty", "")
            .file("nodes/node7/x", "")
            .bytes("bad", &[0xff, b'1']);
        let root = fixture.root();
        assert_eq!(root.number("/a"), Some(12));
        assert_eq!((root.number("empty"), root.line("empty"), root.number("bad")), (None, None, None));
        assert_eq!((root.text("missing"), root.text("nodes")), (None, None));
        assert_eq!(root.numbered("nodes", "node"), [7]);
        assert!(root.numbered("missing", "node").is_empty());
    }
}
