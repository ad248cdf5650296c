//! A path of fixed capacity that is built without an allocator: a reader of the kernel's files may
//! be short of memory.

use core::ffi::CStr;
use core::fmt;
use core::ops::Deref;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Maximum length of a path of the kernel, including the final zero.
const PATH_MAX: usize = 4096;

/// A path. Longer ones are invalid for the kernel, and `None` here.
pub(crate) struct FixedPath {
    /// Zeroes from `len` on.
    bytes: [u8; PATH_MAX],
    len: usize,
}

impl FixedPath {
    /// Makes an empty path.
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; PATH_MAX], len: 0 }
    }

    /// Sets the path from its form in `mountinfo`: a space is `\040`, likewise tab, line feed and
    /// backslash.
    pub(crate) fn set_escaped(&mut self, text: &str) -> Option<()> {
        self.clear();
        let mut rest = text;
        while let Some((before, escape)) = rest.split_once('\\') {
            self.add(before.as_bytes())?;
            let (bytes, skipped) = match escape.as_bytes().get(..3) {
                Some(b"040") => (b" ", 3),
                Some(b"011") => (b"\t", 3),
                Some(b"012") => (b"\n", 3),
                Some(b"134") => (b"\\", 3),
                _ => (b"\\", 0),
            };
            self.add(bytes)?;
            rest = escape.get(skipped..)?;
        }
        self.add(rest.as_bytes())
    }

    /// Sets the path.
    pub(crate) fn set(&mut self, path: &Path) -> Option<()> {
        self.clear();
        self.add(path.as_os_str().as_bytes())
    }

    fn clear(&mut self) {
        self.bytes[..self.len].fill(0);
        self.len = 0;
    }

    /// Appends a component, or nothing if `name` is empty.
    pub(crate) fn push(&mut self, name: &OsStr) -> Option<()> {
        if name.is_empty() {
            return Some(());
        }
        if self.len > 0 && self.bytes[self.len - 1] != b'/' {
            self.add(b"/")?;
        }
        self.add(name.as_bytes())
    }

    fn add(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len.checked_add(bytes.len()).filter(|&end| end < PATH_MAX)?;
        if bytes.contains(&0) {
            return None;
        }
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    pub(crate) fn as_c_str(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok()
    }
}

impl Deref for FixedPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.bytes[..self.len]))
    }
}

impl fmt::Debug for FixedPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn n16_fixed_path_is_none_when_too_long() {
        let mut path = FixedPath::new();
        for name in ["/", "sys", "", "fs"] {
            path.push(OsStr::new(name)).unwrap();
        }
        assert_eq!((&*path, path.as_c_str()), (Path::new("/sys/fs"), Some(c"/sys/fs")));
        let long = "x".repeat(4088);
        assert_eq!(path.push(OsStr::new(&long)), None, "no capacity for the zero");
        path.set(Path::new("/sys/fs")).unwrap();
        path.push(OsStr::new(&long[1..])).unwrap();
        assert_eq!((path.as_os_str().len(), path.as_c_str().map(CStr::count_bytes)), (4095, Some(4095)));
        assert!(path.set(Path::new("a\0b")).is_none());
        path.set_escaped("/a\\040b\\134\\011\\x\\").unwrap();
        assert_eq!((&*path, path.as_c_str()), (Path::new("/a b\\\t\\x\\"), Some(c"/a b\\\t\\x\\")));
    }

    proptest! {
        #[test]
        fn n16_any_text_is_a_path_or_none(text in any::<String>(), name in "[a-z\\\\01é]{0,8}") {
            let mut path = FixedPath::new();
            for text in [&text, &name] {
                let whole = text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n");
                prop_assert_eq!(path.set_escaped(text).is_none(), text.contains('\0'));
                if !text.contains("\\134") && !text.contains('\0') {
                    prop_assert_eq!(path.as_os_str(), OsStr::new(&whole));
                }
            }
            if path.set(Path::new(&text)).is_some() {
                path.push(OsStr::new(&name)).unwrap();
                let joined = Path::new(&text).join(&name);
                let joined = if name.is_empty() { Path::new(&text) } else { &joined };
                prop_assert_eq!(path.as_os_str(), joined.as_os_str());
            }
        }
    }
}
