//! Edges in a file, a line each.
//!
//! Rests on the standard library.

use super::{Links, RankError};
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

/// Numbers names as they come.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    pub(super) fn get(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    pub(super) fn into_names(self) -> Vec<String> {
        self.names
    }
}

pub(super) fn read(path: &Path) -> Result<Links, RankError> {
    let mut bytes = Vec::new();
    let read =
        if path == "-" { io::stdin().read_to_end(&mut bytes).map(|_| bytes) } else { std::fs::read(path) };
    let bytes = read.map_err(|source| RankError::File { path: path.to_path_buf(), source })?;
    parse(&String::from_utf8_lossy(&bytes), path)
}

fn parse(text: &str, path: &Path) -> Result<Links, RankError> {
    let (mut names, mut edges) = (Names::default(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        let Some(from) = words.next().filter(|word| !word.starts_with('#')) else { continue };
        let to =
            words.next().ok_or_else(|| RankError::NoEdge { path: path.to_path_buf(), line: index + 1 })?;
        let from = names.number(from);
        edges.push((from, names.number(to)));
    }
    if edges.is_empty() {
        return Err(RankError::Empty { path: path.to_path_buf() });
    }
    Ok(Links { names: names.into_names(), edges, source: path.display().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_a_line_of_two_names() {
        let links = parse("# from to\na b\n\n  b\tc  7 more\na b\n", Path::new("f")).unwrap();
        assert_eq!(
            (links.names, links.edges),
            (vec!["a".into(), "b".into(), "c".into()], vec![(0, 1), (1, 2), (0, 1)])
        );
        let error = parse("a b\nc\n", Path::new("f")).unwrap_err();
        assert!(matches!(error, RankError::NoEdge { line: 2, .. }), "{error}");
        assert!(matches!(parse("# none\n", Path::new("f")), Err(RankError::Empty { .. })));
    }
}
