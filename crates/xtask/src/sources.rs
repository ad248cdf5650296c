//! What a source file of this house must look like.
//!
//! Rests on [`code`](crate::code), which blanks comments and strings. The compiler checks that unsafe code is expected and
//! proved; these rules say where it may stand, and keep files short enough to be read.

use crate::strip::{is_word, strip_comments};
use std::io;
use std::path::{Path, PathBuf};

/// The most lines that a file may have.
pub const LONGEST: usize = 600;

/// Folders in which the operating system and drivers may be called.
pub const CALLERS: [&str; 4] = [
    "crates/arenite-pages/src/os/",
    "crates/arenite-device/src/cuda/",
    "crates/arenite-device/src/vulkan/",
    // is a part of a C library
    "crates/arenite-preload/src/",
];

/// Crates that are measured or run beside the house and call what they need.
pub const EXEMPT: [&str; 2] = ["crates/rivals/", "crates/xtask/"];

/// Libraries whose every path is a call into the system or a driver.
const SYSTEM: [&str; 4] = ["libc", "libloading", "ash", "rustix"];

/// Paths of theirs that are words and not calls.
const WORDS: [&str; 1] = ["rustix::io::Errno"];

/// Files whose unsafe code is expected by a parent module, and that module. None so far.
pub const INHERIT: &[(&str, &str)] = &[];

/// A file of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path from the workspace's root, with `/`.
    pub path: String,
    /// What stands in it.
    pub text: String,
}

/// Every Rust file, page and script below `root/crates`, in the order of their paths.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn sources(root: &Path) -> io::Result<Vec<Source>> {
    let mut found = Vec::new();
    let mut ahead = vec![root.join("crates")];
    while let Some(folder) = ahead.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    ahead.push(path);
                }
            } else if ["rs", "html", "js"]
                .iter()
                .any(|ending| path.extension().is_some_and(|has| has == *ending))
            {
                found.push(source(root, path)?);
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn source(root: &Path, file: PathBuf) -> io::Result<Source> {
    let text = std::fs::read_to_string(&file)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
    let path = file.strip_prefix(root).unwrap_or(&file).components();
    let names: Vec<String> = path.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    Ok(Source { path: names.join("/"), text })
}

/// Everything that is wrong with `file`, a line each.
pub fn faults(file: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let lines = file.text.lines().count();
    if lines > LONGEST {
        found.push(format!(
            "{}: {lines} lines, and {LONGEST} is the most: one file knows one thing",
            file.path
        ));
    }
    if file.path.ends_with(".rs") {
        if file.path.contains("/src/") && !file.text.starts_with("//!") {
            found.push(format!(
                "{}: opens without `//!`: say what it is, what it rests on, why it is so",
                file.path
            ));
        }
        let code = strip_comments(&file.text);
        found.extend(bare_unsafe(file, &code));
        found.extend(stray_calls(file, &code));
    }
    found
}

/// Unsafe code in a file that neither opens by saying so nor keeps it to its tests.
fn bare_unsafe(file: &Source, code: &str) -> Option<String> {
    let first = words(code, "unsafe").next()?;
    let expected = code.find("unsafe_code");
    let opens = expected.is_some_and(|at| {
        let before = &code[..at];
        at < first
            && before.trim_start().starts_with("#![")
            && before.contains("expect(")
            && !before.contains("#[")
    });
    let tests = code.find("#[cfg(test)]").is_some_and(|tests| {
        tests < first && expected.is_some_and(|at| code[tests..at].contains("#[expect("))
    });
    let inherits = INHERIT.iter().any(|(path, _)| *path == file.path);
    (!opens && !tests && !inherits).then(|| {
        let line = line_of(code, first);
        format!("{}:{line}: unsafe code in a file that does not open with `#![expect(unsafe_code, reason = \"…\")]`", file.path)
    })
}

/// Calls into the system or a driver from a folder that is not among [`CALLERS`].
fn stray_calls(file: &Source, code: &str) -> Vec<String> {
    let allowed = CALLERS.iter().chain(&EXEMPT).any(|folder| file.path.starts_with(folder));
    if allowed || !file.path.contains("/src/") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for library in SYSTEM {
        for at in words(code, library) {
            let path = path_at(&code[at..]);
            if is_path(&code[..at], &code[at + library.len()..]) && !is_word_of_theirs(path) {
                let line = line_of(code, at);
                let path = &file.path;
                found
                    .push(format!("{path}:{line}: {library} is called from {} alone", CALLERS.join(" and ")));
            }
        }
    }
    found
}

/// Where `word` stands in `code` as a word of its own.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back().is_some_and(is_word);
        let after = code[at + word.len()..].chars().next().is_some_and(is_word);
        !before && !after
    })
}

/// The path that `code` starts with.
fn path_at(code: &str) -> &str {
    let mut end = 0;
    loop {
        end += code[end..].find(|c| !is_word(c)).unwrap_or(code.len() - end);
        let names_more = code[end..].strip_prefix("::").is_some_and(|rest| rest.starts_with(is_word));
        if !names_more {
            return &code[..end];
        }
        end += 2;
    }
}

/// Whether what stands between `before` and `after` is named by a path, a `use` or an `extern crate`.
fn is_path(before: &str, after: &str) -> bool {
    let before = before.trim_end().trim_end_matches("::").trim_end();
    after.starts_with("::") || before.ends_with("use") || before.ends_with("extern crate")
}

/// Whether `path` is one of [`WORDS`] or a part of one.
fn is_word_of_theirs(path: &str) -> bool {
    WORDS
        .iter()
        .any(|word| path.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(path: &str, text: &str) -> Vec<String> {
        faults(&Source { path: path.into(), text: text.into() })
    }

    #[test]
    fn sources_a_long_file_fails_and_one_of_600_lines_passes() {
        let page = |lines: usize| faults_of("crates/a/src/page.js", &"x\n".repeat(lines));
        assert_eq!(page(LONGEST).len(), 0);
        assert!(page(LONGEST + 1)[0].contains("601 lines"));
    }

    #[test]
    fn sources_a_file_must_open_with_its_own_words() {
        assert_eq!(faults_of("crates/a/src/b.rs", "//! B.\n").len(), 0);
        assert!(faults_of("crates/a/src/b.rs", "use a;\n//! B.\n")[0].contains("opens without"));
        assert_eq!(faults_of("crates/a/build.rs", "fn main() {}\n").len(), 0);
    }

    #[test]
    fn sources_unsafe_code_must_be_announced() {
        let unannounced = faults_of("crates/a/src/b.rs", "//! B.\n\nfn b() { unsafe { c() } }\n");
        assert!(unannounced[0].starts_with("crates/a/src/b.rs:3: unsafe code"), "{unannounced:?}");
        for opening in [
            "#![expect(unsafe_code, reason = \"calls c\")]",
            "#![expect(\n    unsafe_code,\n    reason = \"calls c\"\n)]",
            "#![cfg_attr(unix, expect(unsafe_code, reason = \"calls c\"))]",
        ] {
            let text = format!("//! B.\n{opening}\nfn b() {{ unsafe {{ c() }} }}\n");
            assert_eq!(faults_of("crates/a/src/b.rs", &text), [""; 0]);
        }
    }

    #[test]
    fn sources_unsafe_code_may_be_expected_item_by_item_in_tests_alone() {
        let item = "#[expect(unsafe_code, reason = \"calls c\")]\nfn b() { unsafe { c() } }\n";
        assert_eq!(
            faults_of("crates/a/src/b.rs", &format!("//! B.\n#[cfg(test)]\nmod tests {{ {item} }}")),
            [""; 0]
        );
        assert_eq!(faults_of("crates/a/src/b.rs", &format!("//! B.\n{item}")).len(), 1);
    }

    #[test]
    fn sources_the_word_unsafe_is_free() {
        let text = "//! Is unsafe.\n/// unsafe\nfn b() -> &'static str { \"unsafe\" } // unsafe\n#[deny(unsafe_code)]\nfn c() {}";
        assert_eq!(faults_of("crates/a/src/b.rs", text), [""; 0]);
    }

    #[test]
    fn sources_the_system_is_called_from_its_folders_alone() {
        let call = "//! B.\nuse rustix::mm::mmap;\nfn b() { libc::getpid(); }\n";
        assert_eq!(faults_of("crates/arenite-alloc/src/b.rs", call).len(), 2);
        assert_eq!(faults_of("crates/arenite-pages/src/b.rs", call).len(), 2);
        for path in [
            "crates/arenite-pages/src/os/b.rs",
            "crates/rivals/src/b.rs",
            "crates/arenite-device/src/cuda/b.rs",
        ] {
            assert_eq!(faults_of(path, call), [""; 0]);
        }
        assert_eq!(faults_of("crates/a/src/b.rs", "//! B.\nuse ash;\nuse ::libloading as l;\n").len(), 2);
    }

    #[test]
    fn sources_the_word_errno_and_the_hash_of_std_are_free() {
        let text = "//! B.\nuse std::hash::Hash;\nfn b(e: rustix::io::Errno, libc: u8) -> u8 { libc }\n\
            fn c(e: rustix::io::Errno) -> i32 { rustix::io::Errno::raw_os_error(e) }\n";
        assert_eq!(faults_of("crates/arenite-pages/src/b.rs", text), [""; 0]);
    }
}
