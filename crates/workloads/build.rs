//! Build script: gathers this repository's documents and sources into one text, the corpus of the
//! character model.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Maximum size of the corpus in bytes; later files in path order are dropped.
const MAX_BYTES: usize = 1_500_000;

fn main() -> io::Result<()> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = here.parent().and_then(Path::parent).filter(|root| root.join("crates").is_dir());
    let mut paths = Vec::new();
    match root {
        Some(root) => {
            gather(root, false, &["md"], &mut paths)?;
            gather(&root.join("docs"), true, &["md"], &mut paths)?;
            gather(&root.join("crates"), true, &["md", "rs"], &mut paths)?;
        }
        None => gather(&here, true, &["md", "rs"], &mut paths)?,
    }
    paths.sort();
    let mut corpus = String::new();
    for path in paths {
        println!("cargo:rerun-if-changed={}", path.display());
        if let Ok(text) = fs::read_to_string(&path) {
            if corpus.len() + text.len() > MAX_BYTES {
                break;
            }
            corpus.push_str(&text);
        }
    }
    fs::write(Path::new(&variable("OUT_DIR")?).join("corpus.txt"), corpus)
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}

/// Adds the files of `dir` with one of these endings to `paths`; a missing directory has none.
fn gather(dir: &Path, deep: bool, endings: &[&str], paths: &mut Vec<PathBuf>) -> io::Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    if deep {
        println!("cargo:rerun-if-changed={}", dir.display());
    }
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            if deep {
                gather(&path, deep, endings, paths)?;
            }
        } else if path
            .extension()
            .and_then(|head_state| head_state.to_str())
            .is_some_and(|head_state| endings.contains(&head_state))
        {
            paths.push(path);
        }
    }
    Ok(())
}
