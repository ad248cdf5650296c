//! Import circles between the files of a crate.
//!
//! Files that import each other can only be understood and tested together. Types that several
//! files need belong in a file that imports none of them.

use crate::imports::{Import, imports};
use crate::sources::Source;
use std::collections::{BTreeMap, BTreeSet};

/// The circles that are allowed: their files in order, and why they stay.
pub const CIRCLES: &[(&[&str], &str)] = &[(
    &[
        "crates/arenite-alloc/src/heap/central/central.rs",
        "crates/arenite-alloc/src/heap/thread/thread_heap.rs",
    ],
    "the shared and the thread-local part of one heap: `Central` makes and lists thread heaps, and a \
     thread heap fetches its slabs from `Central`",
)];

/// A set of files that import each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Circle {
    /// Paths of the files, in order.
    pub files: Vec<String>,
    /// The imports between them, one for each pair of files.
    pub imports: Vec<Import>,
}

/// Returns the circles of every crate of which `files` has a root in `src`.
pub fn circles(files: &[Source]) -> Vec<Circle> {
    let roots = files.iter().filter(|file| is_root(&file.path));
    let found: BTreeSet<Circle> = roots.flat_map(|root| circles_of(&imports(&root.path, files))).collect();
    found.into_iter().collect()
}

/// Returns whether `path` is the root of a library or a program of a crate.
fn is_root(path: &str) -> bool {
    let names: Vec<&str> = path.split('/').collect();
    match names[..] {
        ["crates", _, "src", "lib.rs" | "main.rs"] => true,
        ["crates", _, "src", "bin", file] => file.ends_with(".rs"),
        ["crates", _, "src", "bin", _, file] => file == "main.rs",
        _ => false,
    }
}

/// Returns the strongly connected components of more than one file.
fn circles_of(imports: &[Import]) -> Vec<Circle> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for import in imports {
        next.entry(&import.from).or_default().insert(&import.to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        next.keys().map(|&file| (file, reachable(&next, file))).collect();
    let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|files| files.contains(to));
    let mut found = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for &file in next.keys() {
        if !reaches(file, file) || done.contains(file) {
            continue;
        }
        let files = next.keys().copied().filter(|other| reaches(file, other) && reaches(other, file));
        let files: BTreeSet<&str> = files.collect();
        let mut pairs = BTreeSet::new();
        let inside = imports.iter().filter(|import| {
            files.contains(&*import.from)
                && files.contains(&*import.to)
                && pairs.insert((&import.from, &import.to))
        });
        let imports = inside.cloned().collect();
        found.push(Circle { files: files.iter().map(|&file| file.to_owned()).collect(), imports });
        done.extend(files);
    }
    found
}

/// Returns the files that imports lead to from `file`, itself only if it is in a circle.
fn reachable<'a>(next: &BTreeMap<&str, BTreeSet<&'a str>>, file: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut ahead: Vec<&str> = next.get(file).into_iter().flatten().copied().collect();
    while let Some(file) = ahead.pop() {
        if let Some(file) = next.values().flatten().copied().find(|&known| known == file)
            && found.insert(file)
        {
            ahead.extend(next.get(file).into_iter().flatten().copied());
        }
    }
    found
}

/// Returns a text for each circle that `allowed` lacks, and for each of `allowed` that is gone.
pub fn problems(files: &[Source], allowed: &[(&[&str], &str)]) -> Vec<String> {
    let circles = circles(files);
    let mut found: Vec<String> = circles
        .iter()
        .filter(|circle| !allowed.iter().any(|(files, _)| *files == circle.files))
        .map(ToString::to_string)
        .collect();
    for (files, reason) in allowed {
        if !circles.iter().any(|circle| *files == circle.files) {
            let files = files.join(", ");
            found.push(format!("no import circle of {files}: remove its row from `CIRCLES`"));
        }
        if reason.len() < 20 {
            found.push(format!("the circle of {} has no reason: {reason:?}", files.join(", ")));
        }
    }
    found
}

impl std::fmt::Display for Circle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "import circle of {} files: {}", self.files.len(), self.files.join(", "))?;
        for Import { from, to, line, name } in &self.imports {
            write!(f, "\n    {from}:{line}: `{name}` of {to}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "circles_tests.rs"]
mod tests;
