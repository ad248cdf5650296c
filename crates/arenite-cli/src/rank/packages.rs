//! The packages of a Debian machine and their dependencies.
//!
//! `apt-cache dumpavail` prints every package that can be installed; without it, dpkg's list has
//! the installed ones. In `deb-control(5)`, a record is a paragraph and a field is a line, which
//! continues on lines that start with a blank.

use super::edge_list::{EdgeList, NodeNames};
use super::error::RankError;
use std::process::{Command, Stdio};

/// dpkg's list of installed packages.
const INSTALLED: &str = "/var/lib/dpkg/status";

/// Reads the packages that apt lists, or else the installed ones.
pub(super) fn read() -> Result<EdgeList, RankError> {
    let dump = Command::new("apt-cache").arg("dumpavail").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let installed = || std::fs::read(INSTALLED).map_err(|_| RankError::NoPackages { path: INSTALLED.into() });
    let (bytes, source) = match dump {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            (output.stdout, "packages in apt's lists")
        }
        _ => (installed()?, "installed packages"),
    };
    let list = parse(&String::from_utf8_lossy(&bytes), source);
    if list.edges.is_empty() {
        return Err(RankError::Empty { name: source.to_owned() });
    }
    Ok(list)
}

/// Returns the names in a list of dependencies, with alternatives, without versions and
/// architectures.
fn dependencies(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', '|']).filter_map(|one| {
        let name = one.split_whitespace().next()?;
        name.split(['(', ':']).next().filter(|name| !name.is_empty())
    })
}

fn parse(text: &str, source: &str) -> EdgeList {
    let mut names = NodeNames::default();
    let mut records = Vec::new();
    let mut current = None;
    let mut in_list = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("Package:") {
            current = Some(names.insert(name.trim()));
        }
        let list = line.strip_prefix("Depends:").or_else(|| line.strip_prefix("Pre-Depends:"));
        in_list = list.is_some() || (in_list && line.starts_with([' ', '\t']));
        if let (true, Some(package)) = (in_list, current) {
            records.push((package, list.unwrap_or(line)));
        }
    }
    // a name without a package, such as a virtual package, is left out
    let edges = records
        .into_iter()
        .flat_map(|(package, list)| dependencies(list).map(move |name| (package, name)))
        .filter_map(|(package, name)| Some((package, names.get(name)?)))
        .collect();
    EdgeList { edges, names: names.into_names(), source: source.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_reads_records_as_paragraphs_and_dependencies_as_lists() {
        let text = "Package: a\nVersion: 1\nDepends: b (>= 1), c:any | d,\n e\nDescription: x\n Depends: none\n\n\
                    Package: b\nPre-Depends: a\n\nPackage: c\n\nPackage: e\n";
        let list = parse(text, "test");
        assert_eq!(list.names, ["a", "b", "c", "e"]);
        assert_eq!(list.edges, [(0, 1), (0, 2), (0, 3), (1, 0)]);
    }
}
