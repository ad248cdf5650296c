//! The check of `docs/dependencies.md` against the manifests.
//!
//! The reasons in that list are written by hand. Crates, features and users are compared.

use crate::graph::{Graph, Kind};
use std::collections::{BTreeMap, BTreeSet};

/// What the manifests say about a third-party crate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Features that any crate enables. `default` is one of them unless it is switched off
    /// everywhere.
    pub features: BTreeSet<String>,
    /// Crates that use it. Use in tests or build scripts alone is marked: `name (tests)`,
    /// `name (build)`.
    pub users: BTreeSet<String>,
}

impl Row {
    /// Returns the text of the features column.
    pub fn features_cell(&self) -> String {
        cell(self.features.iter().map(|feature| format!("`{feature}`")))
    }

    /// Returns the text of the users column.
    pub fn users_cell(&self) -> String {
        cell(self.users.iter().cloned())
    }
}

fn cell(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { "–".to_owned() } else { words.join(", ") }
}

/// Returns a row for each third-party crate. `manifest` is the text of the workspace's manifest.
pub fn rows(graph: &Graph, manifest: &str) -> BTreeMap<String, Row> {
    let ours: BTreeSet<&str> = graph.members.iter().map(|member| member.name.as_str()).collect();
    let mut rows: BTreeMap<String, Row> = workspace_dependencies(manifest)
        .filter(|(name, line)| !ours.contains(name) && !line.contains("path ="))
        .map(|(name, _)| (name.to_owned(), Row::default()))
        .collect();
    for member in &graph.members {
        for used in member.uses.iter().filter(|used| !ours.contains(used.name.as_str())) {
            let row = rows.entry(used.name.clone()).or_default();
            row.features.extend(used.features.iter().cloned());
            let own = member.uses.iter().any(|other| other.name == used.name && other.kind == Kind::Normal);
            row.users.insert(match used.kind {
                _ if own => member.name.clone(),
                Kind::Build => format!("{} (build)", member.name),
                _ => format!("{} (tests)", member.name),
            });
        }
    }
    rows
}

/// Returns the lines of `[workspace.dependencies]`, each with the name at its start.
fn workspace_dependencies(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = manifest.lines().skip_while(|line| line.trim() != "[workspace.dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| Some((line.split(['=', '.']).next()?.trim(), line)))
        .filter(|(name, _)| name.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// Returns a line for each difference between `text`, the list, and the manifests.
pub fn differences(rows: &BTreeMap<String, Row>, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for cells in text.lines().filter_map(cells) {
        let name = cells[0].trim_matches('`').to_owned();
        let Some(row) = rows.get(&name) else {
            found.push(format!("{name} is listed and no manifest names it: remove its row"));
            continue;
        };
        for (what, listed, actual) in
            [("features", cells[1], row.features_cell()), ("used by", cells[2], row.users_cell())]
        {
            if listed != actual {
                found.push(format!("{name}, {what}: the list has {listed:?}, the manifests have {actual:?}"));
            }
        }
        if cells[3].len() < 20 {
            found.push(format!("{name} has no reason: {:?}", cells[3]));
        }
        if !seen.insert(name.clone()) {
            found.push(format!("{name} is listed twice"));
        }
    }
    for (name, row) in rows.iter().filter(|(name, _)| !seen.contains(*name)) {
        let (features, users) = (row.features_cell(), row.users_cell());
        found.push(format!("{name} is not listed; its row: | `{name}` | {features} | {users} | why |"));
    }
    found
}

/// Returns the four cells of a row that names a crate.
fn cells(line: &str) -> Option<[&str; 4]> {
    let cells: Vec<&str> =
        line.strip_prefix("| `")?.trim_end().strip_suffix('|')?.split('|').map(str::trim).collect();
    let cells: [&str; 4] = cells.try_into().ok()?;
    Some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Member, Use};

    fn graph() -> Graph {
        let used = |name: &str, kind, features: &[&str]| Use {
            name: name.into(),
            kind,
            features: features.iter().map(|&feature| feature.into()).collect(),
        };
        let member = |name: &str, uses| Member {
            name: name.into(),
            directory: name.into(),
            published: true,
            uses,
            examples: vec![],
        };
        Graph {
            root: "/".into(),
            target: "/".into(),
            members: vec![
                member("a", vec![used("b", Kind::Normal, &[]), used("slab", Kind::Dev, &["default"])]),
                member("b", vec![used("slab", Kind::Normal, &["std"]), used("cc", Kind::Build, &[])]),
            ],
        }
    }

    const MANIFEST: &str = "[workspace]\nslap = 1\n[workspace.dependencies]\nb = { path = \"b\" }\n# words = 1\n\
        slab = \"0.4\"\nloom.version = \"0.7\"\n\n[workspace.lints]\nunsafe = 1\n";

    const LIST: &str = "| crate | features | used by | why |\n|---|---|---|---|\n\
        | `cc` | – | b (build) | builds what has no Rust |\n\
        | `loom` | – | – | every interleaving of the atomics |\n\
        | `slab` | `default`, `std` | a (tests), b | the peer of our pools |\n";

    #[test]
    fn dependencies_a_correct_list_passes() {
        assert_eq!(differences(&rows(&graph(), MANIFEST), LIST), [""; 0]);
    }

    #[test]
    fn dependencies_each_difference_is_reported() {
        let rows = rows(&graph(), MANIFEST);
        let cases = [
            (LIST.replace("`default`, `std`", "`std`"), "slab, features"),
            (LIST.replace("a (tests), b", "a, b"), "slab, used by"),
            (LIST.replace("`slab`", "`slap`"), "slap is listed and no manifest"),
            (LIST.replace("the peer of our pools", "because"), "slab has no reason"),
            (LIST.replace("| `cc`", "| cc"), "cc is not listed; its row: | `cc` | – | b (build) |"),
            (format!("{LIST}| `cc` | – | b (build) | builds what has no Rust |\n"), "cc is listed twice"),
        ];
        for (text, part) in cases {
            let found = differences(&rows, &text);
            assert!(found.iter().any(|line| line.contains(part)), "{part}: {found:?}");
        }
    }
}
