//! The root below which `/proc` and `/sys` are read: `/` on a real machine, a fixture's directory
//! in a test.
//!
//! A type of its own prevents reads of absolute paths by mistake. A path in a kernel file (a mount
//! point, a control group) is resolved below the same root, without `..`.
//!
//! Memory is measured when it is short: [`SysRoot::read`], [`SysRoot::for_each_line`] and numbers
//! need no allocator, except for a file that exceeds their buffer.

use super::fixed_path::FixedPath;
use super::line_reader;
use crate::os;
use core::ops::ControlFlow;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path};

/// Size of the read buffer. Files of fewer bytes are read without an allocator; the longest one
/// about memory has about 3000 bytes.
const SHORT_FILE: usize = 4096;

/// Fills the buffer from the file. Returns the number of bytes.
fn fill_buffer(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Returns the text in the buffer and the rest of the file; invalid UTF-8 is replaced.
fn read_long(file: &mut impl Read, buffer: &mut [u8], mut filled: usize) -> io::Result<String> {
    let (mut bytes, mut text) = (Vec::new(), Vec::new());
    while filled > 0 {
        append(&mut bytes, &buffer[..filled])?;
        filled = fill_buffer(file, buffer)?;
    }
    for chunk in bytes.utf8_chunks() {
        append(&mut text, chunk.valid().as_bytes())?;
        if !chunk.invalid().is_empty() {
            append(&mut text, "\u{fffd}".as_bytes())?;
        }
    }
    Ok(String::from_utf8(text).unwrap_or_default())
}

/// Appends bytes if there is memory for them.
fn append(bytes: &mut Vec<u8>, more: &[u8]) -> io::Result<()> {
    bytes.try_reserve(more.len())?;
    bytes.extend_from_slice(more);
    Ok(())
}

/// A directory that stands for `/`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SysRoot<'a>(&'a Path);

impl<'a> SysRoot<'a> {
    /// Returns the root of this machine.
    pub(crate) fn real() -> SysRoot<'static> {
        SysRoot(Path::new("/"))
    }

    /// Makes `dir` the root.
    pub(crate) fn at(dir: &'a Path) -> Self {
        SysRoot(dir)
    }

    /// Returns `path` below this root, without `..`, `.` and a leading `/`, or `None` if it exceeds
    /// the maximum length.
    pub(crate) fn resolve(self, path: impl AsRef<Path>) -> Option<FixedPath> {
        let mut path_buf = FixedPath::new();
        self.push_to(&mut path_buf, path.as_ref())?;
        Some(path_buf)
    }

    fn push_to(self, path_buf: &mut FixedPath, path: &Path) -> Option<()> {
        path_buf.push(self.0.as_os_str())?;
        let named = |part| if let Component::Normal(name) = part { Some(name) } else { None };
        path.components().filter_map(named).try_for_each(|name| path_buf.push(name))
    }

    /// Opens the file `name` in `dir`. Not inlined, so that the path leaves the stack on return.
    #[inline(never)]
    fn open(self, dir: &Path, name: &str) -> Option<File> {
        let mut path_buf = FixedPath::new();
        self.push_to(&mut path_buf, dir)?;
        path_buf.push(OsStr::new(name))?;
        Some(File::from(os::open_to_read(path_buf.as_c_str()?).ok()?))
    }

    /// Calls `make` with the text of the file `name` in `dir`; invalid UTF-8 is replaced. Returns
    /// `None` if it cannot be read, or exceeds the buffer and there is no memory for it.
    #[inline(never)] // the buffer leaves the stack on return
    pub(crate) fn read<A>(self, dir: &Path, name: &str, make: impl FnOnce(&str) -> Option<A>) -> Option<A> {
        self.read_in(&mut [0; SHORT_FILE], dir, name, make)
    }

    fn read_in<A>(
        self,
        buffer: &mut [u8],
        dir: &Path,
        name: &str,
        make: impl FnOnce(&str) -> Option<A>,
    ) -> Option<A> {
        let mut file = self.open(dir, name)?;
        let filled = fill_buffer(&mut file, buffer).ok()?;
        match str::from_utf8(&buffer[..filled]) {
            Ok(text) if filled < buffer.len() => make(text),
            _ => make(&read_long(&mut file, buffer, filled).ok()?),
        }
    }

    /// Returns the text of a file, or `None` if it cannot be read.
    pub(crate) fn read_text(self, path: impl AsRef<Path>) -> Option<String> {
        self.read(path.as_ref(), "", |text| Some(text.to_owned()))
    }

    /// Calls `visit` with each line of a file of any length, until it breaks. Skips lines of
    /// invalid UTF-8. Returns `None` if the file cannot be read that far.
    pub(crate) fn for_each_line<A>(
        self,
        path: &str,
        mut visit: impl FnMut(&str) -> ControlFlow<A>,
    ) -> Option<ControlFlow<A>> {
        let mut file = self.open(Path::new(path), "")?;
        let line = |line: &[u8]| str::from_utf8(line).map_or(ControlFlow::Continue(()), &mut visit);
        line_reader::for_each_line(&mut file, line).ok()
    }

    /// Returns the first `Some` that `find` returns for a line of a file.
    pub(crate) fn find_line<A>(self, path: &str, mut find: impl FnMut(&str) -> Option<A>) -> Option<A> {
        let found = |line: &str| find(line).map_or(ControlFlow::Continue(()), ControlFlow::Break);
        self.for_each_line(path, found)?.break_value()
    }

    /// Returns the only number of a file.
    pub(crate) fn read_number(self, path: impl AsRef<Path>) -> Option<u64> {
        self.read_number_in(path.as_ref(), "")
    }

    /// Returns the only number of the file `name` in `dir`.
    pub(crate) fn read_number_in(self, dir: &Path, name: &str) -> Option<u64> {
        self.read_in(&mut [0; 64], dir, name, |text| text.trim().parse().ok())
    }

    /// Returns the only line of a file, trimmed, or `None` if it is empty.
    pub(crate) fn read_line(self, path: impl AsRef<Path>) -> Option<String> {
        let text = self.read_text(path)?;
        let line = text.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }

    /// Returns the names in a directory; none if it cannot be read.
    pub(crate) fn dir_names(self, dir: impl AsRef<Path>) -> Vec<String> {
        let entries = self.resolve(dir).map(|dir| fs::read_dir(&*dir));
        let Some(Ok(entries)) = entries else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Returns the numbers `n` for which `dir` has an entry `<prefix>n`, ascending.
    pub(crate) fn numbered_entries(self, dir: impl AsRef<Path>, prefix: &str) -> Vec<usize> {
        let number = |name: &String| name.strip_prefix(prefix)?.parse().ok();
        let mut numbers: Vec<usize> = self.dir_names(dir).iter().filter_map(number).collect();
        numbers.sort_unstable();
        numbers.dedup(); // `cpu1` and `cpu01`
        numbers
    }

    /// Returns whether the directory exists.
    pub(crate) fn has_dir(self, dir: impl AsRef<Path>) -> bool {
        let mut path_buf = FixedPath::new();
        let pushed = self.push_to(&mut path_buf, dir.as_ref());
        pushed.and_then(|()| path_buf.as_c_str()).is_some_and(os::is_dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fixture::Fixture;

    #[test]
    fn n16_a_path_never_leaves_the_root() {
        let root = SysRoot::at(Path::new("/fixture"));
        let path_buf = |path: &str| root.resolve(path).unwrap().to_path_buf();
        assert_eq!(path_buf("/sys/../../etc/./passwd"), Path::new("/fixture/sys/etc/passwd"));
        assert_eq!(path_buf("../../x"), Path::new("/fixture/x"));
        assert!(root.resolve("x".repeat(4096)).is_none());
    }

    #[test]
    fn n16_read_number_is_none_when_missing_or_garbled() {
        let fixture = Fixture::new()
            .file("a", "12\n")
            .file("empty", "")
            .file("nodes/node7/x", "")
            .bytes("bad", &[0xff, b'1']);
        let root = fixture.root();
        assert_eq!(root.read_number("/a"), Some(12));
        assert_eq!(
            (root.read_number("empty"), root.read_line("empty"), root.read_number("bad")),
            (None, None, None)
        );
        assert!(root.read_text("missing").is_none() && root.read_text("nodes").is_none());
        assert_eq!(
            (root.read_text("bad").unwrap().as_str(), root.read_text("empty").unwrap().as_str()),
            ("\u{fffd}1", "")
        );
        assert!(root.has_dir("nodes") && !root.has_dir("a") && !root.has_dir("missing"));
        assert_eq!(root.numbered_entries("nodes", "node"), [7]);
        assert!(root.numbered_entries("missing", "node").is_empty());
    }

    #[test]
    fn n16_a_text_of_any_length_is_read() {
        for length in [1, SHORT_FILE - 1, SHORT_FILE, SHORT_FILE + 1, 3 * SHORT_FILE] {
            let long = "é".repeat(length / 2) + &"x".repeat(length % 2);
            let fixture = Fixture::new().file("long", &long);
            assert_eq!(fixture.root().read_text("long").unwrap(), long, "{length}");
        }
    }
}
