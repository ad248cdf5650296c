//! The packages of a Debian machine, and what they depend on.
//!
//! Rests on `apt-cache dumpavail`, which tells of every package that could be installed, or else on the list of those that are
//! (`deb-control(5)`: a record is a paragraph, a field a line, what continues it begins with a blank).

use super::edges::Names;
use super::{Links, RankError};
use std::path::Path;
use std::process::{Command, Stdio};

const INSTALLED: &str = "/var/lib/dpkg/status";

pub(super) fn read() -> Result<Links, RankError> {
    let dump = Command::new("apt-cache").arg("dumpavail").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let installed = || std::fs::read(INSTALLED).map_err(|_| RankError::NoPackages { path: INSTALLED.into() });
    let (bytes, source) = match dump {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            (output.stdout, "packages that apt knows")
        }
        _ => (installed()?, "installed packages"),
    };
    let links = parse(&String::from_utf8_lossy(&bytes), source);
    if links.edges.is_empty() {
        return Err(RankError::Empty { path: Path::new(source).to_path_buf() });
    }
    Ok(links)
}

/// The names in a list of dependencies: alternatives too, without versions and architectures.
fn needed(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', '|']).filter_map(|one| {
        let name = one.split_whitespace().next()?;
        name.split(['(', ':']).next().filter(|name| !name.is_empty())
    })
}

fn parse(text: &str, source: &str) -> Links {
    let mut names = Names::default();
    let mut records = Vec::new();
    let mut current = None;
    let mut in_list = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("Package:") {
            current = Some(names.number(name.trim()));
        }
        let list = line.strip_prefix("Depends:").or_else(|| line.strip_prefix("Pre-Depends:"));
        in_list = list.is_some() || (in_list && line.starts_with([' ', '\t']));
        if let (true, Some(package)) = (in_list, current) {
            records.push((package, list.unwrap_or(line)));
        }
    }
    // what no package is named, such as a virtual one, is nobody
    let edges = records
        .into_iter()
        .flat_map(|(package, list)| needed(list).map(move |name| (package, name)))
        .filter_map(|(package, name)| Some((package, names.get(name)?)))
        .collect();
    Links { edges, names: names.into_names(), source: source.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_paragraphs_and_dependencies_lists() {
        let text = "Package: a\nVersion: 1\nDepends: b (>= 1), c:any | d,\n e\nDescription: x\n Depends: none\n\n\
                    Package: b\nPre-Depends: a\n\nPackage: c\n\nPackage: e\n";
        let links = parse(text, "test");
        assert_eq!(links.names, ["a", "b", "c", "e"]);
        assert_eq!(links.edges, [(0, 1), (0, 2), (0, 3), (1, 0)]);
    }
}
