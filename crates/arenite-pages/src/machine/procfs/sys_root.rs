//! The root below which `/proc` and `/sys` are read: `/` on a real machine, a fixture's folder in a test.
//!
//! Rests on `os`. How much memory there is, is asked where there is none: [`Root::read`], [`Root::each_line`] and numbers need no allocator,
//! but for the rest of a file that is longer than their room. It is a type of its own so that no reader can open an absolute path by mistake: whatever a file
//! of the kernel names (a mount point, a control group) is looked for below the same root, `..` taken out.

use super::fixed_path::Place;
use super::line_reader;
use crate::os;
use core::ops::ControlFlow;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path};

/// A file of fewer bytes is read without an allocator; the longest of those that tell of memory have about 3000.
const SHORT: usize = 4096;

/// Fills the room as far as the file goes; how far.
fn fill(file: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < room.len() {
        match file.read(&mut room[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The text of what is in the room and of the rest of the file; what is not UTF-8 is replaced.
fn long(file: &mut impl Read, room: &mut [u8], mut filled: usize) -> io::Result<String> {
    let (mut bytes, mut whole) = (Vec::new(), Vec::new());
    while filled > 0 {
        add(&mut bytes, &room[..filled])?;
        filled = fill(file, room)?;
    }
    for chunk in bytes.utf8_chunks() {
        add(&mut whole, chunk.valid().as_bytes())?;
        if !chunk.invalid().is_empty() {
            add(&mut whole, "\u{fffd}".as_bytes())?;
        }
    }
    Ok(String::from_utf8(whole).unwrap_or_default())
}

/// Adds bytes, if there is memory for them.
fn add(bytes: &mut Vec<u8>, more: &[u8]) -> io::Result<()> {
    bytes.try_reserve(more.len())?;
    bytes.extend_from_slice(more);
    Ok(())
}

/// A folder that stands for `/`.
#[derive(Debug, Clone, Copy)]
pub(in crate::machine) struct Root<'a>(&'a Path);

impl<'a> Root<'a> {
    /// The root of this machine.
    pub(in crate::machine) fn real() -> Root<'static> {
        Root(Path::new("/"))
    }

    /// `folder` as the root.
    pub(in crate::machine) fn at(folder: &'a Path) -> Self {
        Root(folder)
    }

    /// Where `path` lies below this root; `..`, `.` and a leading `/` are dropped. `None` where that is longer than a path can be.
    pub(in crate::machine) fn place(self, path: impl AsRef<Path>) -> Option<Place> {
        let mut place = Place::new();
        self.put(&mut place, path.as_ref())?;
        Some(place)
    }

    fn put(self, place: &mut Place, path: &Path) -> Option<()> {
        place.push(self.0.as_os_str())?;
        let named = |part| if let Component::Normal(name) = part { Some(name) } else { None };
        path.components().filter_map(named).try_for_each(|name| place.push(name))
    }

    /// Opens the file `name` in `folder`. The path is gone when this returns: small stacks are enough for all of it.
    #[inline(never)]
    fn open(self, folder: &Path, name: &str) -> Option<File> {
        let mut place = Place::new();
        self.put(&mut place, folder)?;
        place.push(OsStr::new(name))?;
        Some(File::from(os::open_to_read(place.as_c_str()?).ok()?))
    }

    /// What `make` makes of the text of the file `name` in `folder`; what is not UTF-8 is replaced. `None` where it cannot be read, or is
    /// longer than the room and there is no memory for it.
    #[inline(never)] // the room is on the stack for no longer than this takes
    pub(in crate::machine) fn read<A>(
        self,
        folder: &Path,
        name: &str,
        make: impl FnOnce(&str) -> Option<A>,
    ) -> Option<A> {
        self.read_in(&mut [0; SHORT], folder, name, make)
    }

    fn read_in<A>(
        self,
        room: &mut [u8],
        folder: &Path,
        name: &str,
        make: impl FnOnce(&str) -> Option<A>,
    ) -> Option<A> {
        let mut file = self.open(folder, name)?;
        let filled = fill(&mut file, room).ok()?;
        match str::from_utf8(&room[..filled]) {
            Ok(text) if filled < room.len() => make(text),
            _ => make(&long(&mut file, room, filled).ok()?),
        }
    }

    /// The text of a file. `None` where it cannot be read.
    pub(in crate::machine) fn text(self, path: impl AsRef<Path>) -> Option<String> {
        self.read(path.as_ref(), "", |text| Some(text.to_owned()))
    }

    /// Calls `visit` with each line of a file of any length, until it breaks off. Lines that are no UTF-8 are passed over. `None` where it
    /// cannot be read to where that is.
    pub(in crate::machine) fn each_line<A>(
        self,
        path: &str,
        mut visit: impl FnMut(&str) -> ControlFlow<A>,
    ) -> Option<ControlFlow<A>> {
        let mut file = self.open(Path::new(path), "")?;
        let line = |line: &[u8]| str::from_utf8(line).map_or(ControlFlow::Continue(()), &mut visit);
        line_reader::each(&mut file, line).ok()
    }

    /// What `find` makes of the first line of a file that it makes anything of.
    pub(in crate::machine) fn find_line<A>(
        self,
        path: &str,
        mut find: impl FnMut(&str) -> Option<A>,
    ) -> Option<A> {
        let found = |line: &str| find(line).map_or(ControlFlow::Continue(()), ControlFlow::Break);
        self.each_line(path, found)?.break_value()
    }

    /// A file that holds one unsigned number.
    pub(in crate::machine) fn number(self, path: impl AsRef<Path>) -> Option<u64> {
        self.number_in(path.as_ref(), "")
    }

    /// The same of the file `name` in `folder`.
    pub(in crate::machine) fn number_in(self, folder: &Path, name: &str) -> Option<u64> {
        self.read_in(&mut [0; 64], folder, name, |text| text.trim().parse().ok())
    }

    /// A file that holds one line, trimmed; `None` where it is empty.
    pub(in crate::machine) fn line(self, path: impl AsRef<Path>) -> Option<String> {
        let text = self.text(path)?;
        let line = text.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }

    /// Names in a folder; empty where it cannot be read.
    pub(in crate::machine) fn names(self, folder: impl AsRef<Path>) -> Vec<String> {
        let entries = self.place(folder).map(|folder| fs::read_dir(&*folder));
        let Some(Ok(entries)) = entries else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Numbers `n` for which `folder` holds an entry `<prefix>n`, ascending.
    pub(in crate::machine) fn numbered(self, folder: impl AsRef<Path>, prefix: &str) -> Vec<usize> {
        let number = |name: &String| name.strip_prefix(prefix)?.parse().ok();
        let mut numbers: Vec<usize> = self.names(folder).iter().filter_map(number).collect();
        numbers.sort_unstable();
        numbers.dedup(); // `cpu1` and `cpu01`
        numbers
    }

    /// Is this folder there?
    pub(in crate::machine) fn has_folder(self, folder: impl AsRef<Path>) -> bool {
        let mut place = Place::new();
        let put = self.put(&mut place, folder.as_ref());
        put.and_then(|()| place.as_c_str()).is_some_and(os::is_folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fixture::Fixture;

    #[test]
    fn n16_a_path_never_leaves_the_root() {
        let root = Root::at(Path::new("/fixture"));
        let place = |path: &str| root.place(path).unwrap().to_path_buf();
        assert_eq!(place("/sys/../../etc/./passwd"), Path::new("/fixture/sys/etc/passwd"));
        assert_eq!(place("../../x"), Path::new("/fixture/x"));
        assert!(root.place("x".repeat(4096)).is_none());
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
        assert!(root.text("missing").is_none() && root.text("nodes").is_none());
        assert_eq!(
            (root.text("bad").unwrap().as_str(), root.text("empty").unwrap().as_str()),
            ("\u{fffd}1", "")
        );
        assert!(root.has_folder("nodes") && !root.has_folder("a") && !root.has_folder("missing"));
        assert_eq!(root.numbered("nodes", "node"), [7]);
        assert!(root.numbered("missing", "node").is_empty());
    }

    #[test]
    fn n16_a_text_of_any_length_is_read() {
        for length in [1, SHORT - 1, SHORT, SHORT + 1, 3 * SHORT] {
            let long = "é".repeat(length / 2) + &"x".repeat(length % 2);
            let fixture = Fixture::new().file("long", &long);
            assert_eq!(fixture.root().text("long").unwrap(), long, "{length}");
        }
    }
}
