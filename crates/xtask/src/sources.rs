//! The rules for source files: length, opening, unsafe code, and calls into the system.
//!
//! The compiler checks that unsafe code is expected and documented. These rules limit where it may
//! be.

use crate::strip::{is_word, strip_comments};
use std::io;
use std::path::{Path, PathBuf};

/// Maximum number of lines of a file.
pub const MAX_LINES: usize = 600;

/// Directories of the code that calls the operating system and drivers.
pub const SYSTEM_CALL_DIRS: [&str; 4] = [
    "crates/arenite-pages/src/os/",
    "crates/arenite-device/src/cuda/",
    "crates/arenite-device/src/vulkan/",
    // A part of a C library.
    "crates/arenite-preload/src/",
];

/// Crates that are not a part of the library and may call the system anywhere.
pub const SYSTEM_CALL_EXEMPT: [&str; 2] = ["crates/rivals/", "crates/xtask/"];

/// Crates of which every path is a call into the system or a driver.
const SYSTEM_CRATES: [&str; 4] = ["libc", "libloading", "ash", "rustix"];

/// Paths of [`SYSTEM_CRATES`] that are types.
const ALLOWED_PATHS: [&str; 1] = ["rustix::io::Errno"];

/// Files whose unsafe code is expected by another file: by the parent module, or by a file in
/// which their macros expand.
pub const INHERITED_UNSAFE: &[(&str, &str)] = &[
    ("crates/arenite-alloc/src/adaptor/charged.rs", "crates/arenite-alloc/src/adaptor/limit.rs"),
    ("crates/arenite-alloc/src/util/resource_macros.rs", "crates/arenite-alloc/src/checked/locked.rs"),
];

/// A file of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Path from the workspace's root, with `/` between its names.
    pub path: String,
    /// Content of the file.
    pub text: String,
}

/// Reads the Rust, HTML and JavaScript files of the crates and the fuzz targets, sorted by path.
///
/// # Errors
/// A directory or file that cannot be read.
pub fn read_sources(root: &Path) -> io::Result<Vec<Source>> {
    let mut found = Vec::new();
    let mut ahead = vec![root.join("crates"), root.join("fuzz/fuzz_targets")];
    while let Some(directory) = ahead.pop() {
        for entry in std::fs::read_dir(&directory)? {
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

/// Returns every problem of `file`, a line each.
pub fn problems(file: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let lines = file.text.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{}: {lines} lines, {MAX_LINES} is the maximum: split the file", file.path));
    }
    // The fuzz targets are a workspace of their own, without the lints of this one.
    if file.path.starts_with("crates/") && file.path.ends_with(".rs") {
        if file.path.contains("/src/") && !file.text.starts_with("//!") {
            found.push(format!(
                "{}: opens without `//!`: say what the file is, then why if that is not obvious",
                file.path
            ));
        }
        let code = strip_comments(&file.text);
        found.extend(unexpected_unsafe(file, &code));
        found.extend(misplaced_calls(file, &code));
    }
    found
}

/// Returns the problem of unsafe code that the file does not announce and tests do not hold.
fn unexpected_unsafe(file: &Source, code: &str) -> Option<String> {
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
    let inherits = INHERITED_UNSAFE.iter().any(|(path, _)| *path == file.path);
    (!opens && !tests && !inherits).then(|| {
        let line = line_of(code, first);
        format!("{}:{line}: unsafe code, and the file does not open with `#![expect(unsafe_code, reason = \"…\")]`", file.path)
    })
}

/// Returns the calls into the system from outside [`SYSTEM_CALL_DIRS`].
fn misplaced_calls(file: &Source, code: &str) -> Vec<String> {
    let allowed =
        SYSTEM_CALL_DIRS.iter().chain(&SYSTEM_CALL_EXEMPT).any(|directory| file.path.starts_with(directory));
    if allowed || !file.path.contains("/src/") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for library in SYSTEM_CRATES {
        for at in words(code, library) {
            let path = path_at(&code[at..]);
            if is_path(&code[..at], &code[at + library.len()..]) && !is_allowed_path(path) {
                let line = line_of(code, at);
                let path = &file.path;
                found.push(format!(
                    "{path}:{line}: `{library}` may be used only in {}",
                    SYSTEM_CALL_DIRS.join(", ")
                ));
            }
        }
    }
    found
}

/// Returns the offsets of `word` in `code` as a word of its own.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back().is_some_and(is_word);
        let after = code[at + word.len()..].chars().next().is_some_and(is_word);
        !before && !after
    })
}

/// Returns the path at the start of `code`.
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

/// Returns whether a path, a `use` or an `extern crate` holds the word between `before` and
/// `after`.
fn is_path(before: &str, after: &str) -> bool {
    let before = before.trim_end().trim_end_matches("::").trim_end();
    after.starts_with("::") || before.ends_with("use") || before.ends_with("extern crate")
}

/// Returns whether `path` is one of [`ALLOWED_PATHS`] or inside one.
fn is_allowed_path(path: &str) -> bool {
    ALLOWED_PATHS
        .iter()
        .any(|word| path.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(path: &str, text: &str) -> Vec<String> {
        problems(&Source { path: path.into(), text: text.into() })
    }

    #[test]
    fn sources_a_long_file_fails_and_one_of_600_lines_passes() {
        let page = |lines: usize| problems_of("crates/a/src/page.js", &"x\n".repeat(lines));
        assert_eq!(page(MAX_LINES).len(), 0);
        assert!(page(MAX_LINES + 1)[0].contains("601 lines"));
    }

    #[test]
    fn sources_a_file_must_open_with_a_comment() {
        assert_eq!(problems_of("crates/a/src/b.rs", "//! B.\n").len(), 0);
        assert!(problems_of("crates/a/src/b.rs", "use a;\n//! B.\n")[0].contains("opens without"));
        assert_eq!(problems_of("crates/a/build.rs", "fn main() {}\n").len(), 0);
    }

    #[test]
    fn sources_unsafe_code_must_be_announced() {
        let unannounced = problems_of("crates/a/src/b.rs", "//! B.\n\nfn b() { unsafe { c() } }\n");
        assert!(unannounced[0].starts_with("crates/a/src/b.rs:3: unsafe code"), "{unannounced:?}");
        for opening in [
            "#![expect(unsafe_code, reason = \"calls c\")]",
            "#![expect(\n    unsafe_code,\n    reason = \"calls c\"\n)]",
            "#![cfg_attr(unix, expect(unsafe_code, reason = \"calls c\"))]",
        ] {
            let text = format!("//! B.\n{opening}\nfn b() {{ unsafe {{ c() }} }}\n");
            assert_eq!(problems_of("crates/a/src/b.rs", &text), [""; 0]);
        }
    }

    #[test]
    fn sources_unsafe_code_may_be_expected_item_by_item_in_tests_only() {
        let item = "#[expect(unsafe_code, reason = \"calls c\")]\nfn b() { unsafe { c() } }\n";
        assert_eq!(
            problems_of("crates/a/src/b.rs", &format!("//! B.\n#[cfg(test)]\nmod tests {{ {item} }}")),
            [""; 0]
        );
        assert_eq!(problems_of("crates/a/src/b.rs", &format!("//! B.\n{item}")).len(), 1);
    }

    #[test]
    fn sources_a_fuzz_target_may_hold_unsafe_code() {
        assert_eq!(problems_of("fuzz/fuzz_targets/b.rs", "fn b() { unsafe { c() } }\n"), [""; 0]);
    }

    #[test]
    fn sources_the_word_unsafe_is_allowed_outside_code() {
        let text = "//! Is unsafe.\n/// unsafe\nfn b() -> &'static str { \"unsafe\" } // unsafe\n#[deny(unsafe_code)]\nfn c() {}";
        assert_eq!(problems_of("crates/a/src/b.rs", text), [""; 0]);
    }

    #[test]
    fn sources_the_system_is_called_from_its_directories_only() {
        let call = "//! B.\nuse rustix::mm::mmap;\nfn b() { libc::getpid(); }\n";
        assert_eq!(problems_of("crates/arenite-alloc/src/b.rs", call).len(), 2);
        assert_eq!(problems_of("crates/arenite-pages/src/b.rs", call).len(), 2);
        for path in [
            "crates/arenite-pages/src/os/b.rs",
            "crates/rivals/src/b.rs",
            "crates/arenite-device/src/cuda/b.rs",
        ] {
            assert_eq!(problems_of(path, call), [""; 0]);
        }
        assert_eq!(problems_of("crates/a/src/b.rs", "//! B.\nuse ash;\nuse ::libloading as l;\n").len(), 2);
    }

    #[test]
    fn sources_errno_and_the_hash_of_std_are_allowed() {
        let text = "//! B.\nuse std::hash::Hash;\nfn b(e: rustix::io::Errno, libc: u8) -> u8 { libc }\n\
            fn c(e: rustix::io::Errno) -> i32 { rustix::io::Errno::raw_os_error(e) }\n";
        assert_eq!(problems_of("crates/arenite-pages/src/b.rs", text), [""; 0]);
    }
}
